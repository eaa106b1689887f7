"""A family of tasks in NumPy: an arm that must point in a hidden direction.

  python -m maml_tf.train --gin_file=numpy_family.gin

Run it in this folder. The environment is a subclass of
`maml_tf.TaskEnvironment` with five short methods. NumPy steps all N rows
together. `docs/own_tasks.md` explains it.
"""

import numpy as np
from tf_agents.specs import array_spec

import maml_tf

_SECONDS = 0.1  # The duration of one step.


class PointingArm(maml_tf.TaskEnvironment):
  """One joint, driven by a torque. The task is the target angle [rad].

      reward = -|angle - task|

  Observations are the angle [rad] and its velocity [rad/s].
  """

  def __init__(
    self, num_tasks=20, environments_per_task=10, horizon=30, friction=5.0
  ):
    super().__init__(
      observation_spec=array_spec.ArraySpec((2,), np.float32, 'observation'),
      action_spec=array_spec.BoundedArraySpec(
        (1,), np.float32, -1.0, 1.0, 'torque'
      ),
      task_shape=(),
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
    )
    self._friction = friction
    self._state = np.zeros((self.batch_size, 2))

  def sample_tasks(self, n, rng):
    return rng.uniform(-1.0, 1.0, n)

  def _draw_starts(self, generator, num_rows):
    return generator.normal(0.0, 0.05, (num_rows, 2))

  def _reset_rows(self, rows, starts):
    self._state[rows] = starts
    return starts.astype(np.float32)

  def _advance(self, action):
    angle, velocity = self._state.T
    torque = np.clip(action[:, 0], -1.0, 1.0)
    velocity = velocity + _SECONDS * (10.0 * torque - self._friction * velocity)
    angle = angle + _SECONDS * velocity
    self._state = np.stack([angle, velocity], axis=1)
    reward = -np.abs(angle - self._row_tasks).astype(np.float32)
    terminated = np.zeros(self.batch_size, bool)
    return self._state.astype(np.float32), reward, terminated
