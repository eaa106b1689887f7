"""A family of tasks in TensorFlow: a glider must hold a hidden height.

  python -m maml_tf.train --gin_file=tensor_family.gin

Run it in this folder. The family is a subclass of `TensorTasks` that describes
one row. maml_tf plays whole stages of it in compiled calls.
`docs/tensor_tasks.md` explains it.
"""

import numpy as np
import tensorflow as tf
from tf_agents.specs import array_spec

from maml_tf.environments.in_graph import tensor_tasks

_SECONDS = 0.1  # The duration of one step.


class HoldingHeight(tensor_tasks.TensorTasks):
  """A mass that is lifted by a motor. The task is the height [m] to hold.

      reward = -|height - task|

  Observations are the height [m] and its velocity [m/s]. The episode
  terminates 3 m from the start.
  """

  def __init__(self, friction=2.0):
    super().__init__(
      observation_spec=array_spec.ArraySpec((2,), np.float32, 'observation'),
      action_spec=array_spec.BoundedArraySpec(
        (1,), np.float32, -1.0, 1.0, 'force'
      ),
      task_shape=(),
    )
    self._friction = friction

  def sample_tasks(self, n, rng):
    return rng.uniform(-1.0, 1.0, n)

  def draw_noise(self, generator, num_rows):
    return generator.normal(0.0, 0.05, (num_rows, 2))

  def reset(self, task, noise):
    return noise, noise  # The state is the observation.

  def step(self, task, state, action):
    height, velocity = tf.unstack(state)
    force = tf.clip_by_value(action[0], -1.0, 1.0)
    velocity += _SECONDS * (5.0 * force - self._friction * velocity)
    height += _SECONDS * velocity
    state = tf.stack([height, velocity])
    return state, state, -tf.abs(height - task), tf.abs(height) > 3.0
