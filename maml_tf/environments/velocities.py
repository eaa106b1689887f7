"""Tasks that are a velocity along the track."""

from collections.abc import Sequence

import numpy as np

from maml_tf.core import checks
from maml_tf.environments import tasks as tasks_lib


class TargetVelocity(tasks_lib.TaskFamily):
  """Moves at a velocity [m/s]: task reward = -|velocity - task|.

  A mixin for `Locomotion`. Any finite number is a task, also one that
  `sample_tasks` never draws.
  """

  task_label = 'target velocity [m/s]'
  verb = 'moves'
  _row_tasks: np.ndarray

  def _set_range(self, velocity_range: Sequence[float]) -> None:
    """Stores the range that tasks are drawn from.

    Raises:
      ValueError: If it is not an interval.
    """
    self._velocity_range = checks.interval('velocity_range', velocity_range)

  def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws velocities uniformly from `velocity_range`; float64 [n]."""
    return rng.uniform(*self._velocity_range, n)

  def describe_task(self, task: float) -> str:
    return f'task {task:.3g}: {self.verb} at {task:.3g} m/s'

  def _task_reward(self, velocity):
    return -np.abs(velocity - self._row_tasks)
