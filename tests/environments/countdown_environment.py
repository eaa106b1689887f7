"""A task environment whose task is the length of its episodes."""

import numpy as np
from tf_agents.specs import array_spec

from maml_tf.environments import task_environment


class CountdownEnvironment(task_environment.TaskEnvironment):
  """Terminates after `task` steps. The reward is the action.

  The observation is the number that the row drew at its reset, and the number
  of steps since then. `advanced` counts the steps of the whole batch,
  `last_action` is the last action of the batch.
  """

  def __init__(self, num_tasks=2, environments_per_task=1, horizon=100):
    super().__init__(
      observation_spec=array_spec.ArraySpec((2,), np.float32, 'observation'),
      action_spec=array_spec.BoundedArraySpec((1,), np.float32, -9.0, 9.0),
      task_shape=(),
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
    )
    self.advanced = 0
    self.last_action = None
    self._drawn_and_age = np.zeros((self.batch_size, 2), np.float32)

  def sample_tasks(self, n, rng):
    """Draws lengths from 1 to 3; returns float64 [n]."""
    return rng.integers(1, 4, n).astype(np.float64)

  def _check_tasks(self, tasks):
    if (tasks < 1).any():
      raise ValueError('tasks must be lengths of at least 1')

  def _draw_starts(self, generator, num_rows):
    return generator.random((num_rows, 1))

  def _reset_rows(self, rows, starts):
    self._drawn_and_age[rows, :1] = starts
    self._drawn_and_age[rows, 1] = 0
    return self._drawn_and_age[rows]

  def _advance(self, action):
    self.advanced += 1
    self.last_action = action
    self._drawn_and_age[:, 1] += 1
    return (
      self._drawn_and_age.copy(),
      action[:, 0].astype(np.float32),
      self._drawn_and_age[:, 1] == self._row_tasks,
    )
