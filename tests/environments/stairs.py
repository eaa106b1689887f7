"""A family whose integer actions are -1, 0 and 1."""

import numpy as np
from tf_agents.specs import array_spec

from maml_tf.environments import task_environment


class Stairs(task_environment.TaskEnvironment):
  """Rewards the floor. An action goes down, stays or goes up."""

  def __init__(self, num_tasks=1, environments_per_task=8, horizon=10):
    super().__init__(
      array_spec.ArraySpec((1,), np.float32, 'observation'),
      array_spec.BoundedArraySpec((), np.int32, -1, 1, 'action'),
      (),
      num_tasks,
      environments_per_task,
      horizon,
    )
    self._floor = np.zeros((self.batch_size, 1), np.float32)
    self.sent = set()

  def sample_tasks(self, n, rng):
    return rng.uniform(size=n)

  def _draw_starts(self, generator, num_rows):
    return np.zeros((num_rows, 1))

  def _reset_rows(self, rows, starts):
    self._floor[rows] = starts
    return self._floor[rows].copy()

  def _advance(self, action):
    self.sent |= set(action.tolist())
    self._floor += action[:, np.newaxis]
    return (
      self._floor.copy(),
      self._floor[:, 0].copy(),
      np.zeros(self.batch_size, bool),
    )
