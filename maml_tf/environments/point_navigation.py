"""A point in the plane that must find a hidden goal.

The 2-D navigation tasks of the MAML paper, https://arxiv.org/abs/1703.03400.
"""

import gin
import numpy as np
from tf_agents.specs import array_spec

from maml_tf.environments import task_environment
from maml_tf.environments.painting import point_painter

_MAX_STEP = 0.1
_GOAL_RADIUS = 0.01


@gin.configurable
class PointNavigation(task_environment.TaskEnvironment):
  """A point that starts at the origin; the task is its goal, never observed.

      position' = position + clip(action, -0.1, 0.1)
      reward    = -|position' - goal|

  An episode ends within 0.01 of the goal, or at the horizon. The observation is
  the position. Any finite goal can be set, also beyond those that are drawn.
  """

  def __init__(self, num_tasks=20, environments_per_task=20, horizon=100):
    """Makes N = B*E points.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps after which an episode is cut off.
    """
    super().__init__(
      observation_spec=array_spec.ArraySpec((2,), np.float32, 'observation'),
      action_spec=array_spec.BoundedArraySpec(
        (2,), np.float32, -_MAX_STEP, _MAX_STEP, 'action'
      ),
      task_shape=(2,),
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
    )
    self._position = np.zeros((self.batch_size, 2))

  @property
  def position(self):
    """Where the points are, uncast: a float64 array [N, 2]."""
    return self._position.copy()

  def sample_tasks(self, n, rng):
    """Draws goals uniform in [-0.5, 0.5]^2; returns float64 [n, 2]."""
    return rng.uniform(-0.5, 0.5, (n, 2))

  def picture_states(self):
    return self.position

  def create_painter(self, task, states, width, height):
    return point_painter.PointPainter(task, states, width, height)

  def _draw_starts(self, generator, num_rows):
    del generator  # All points start at the origin.
    return np.zeros((num_rows, 2))

  def _reset_rows(self, rows, starts):
    self._position[rows] = starts
    return starts.astype(np.float32)

  def _advance(self, action):
    self._position += np.clip(action, -_MAX_STEP, _MAX_STEP)
    distance = np.linalg.norm(self._position - self._row_tasks, axis=1)
    return (
      self._position.astype(np.float32),
      -distance.astype(np.float32),
      distance <= _GOAL_RADIUS,
    )
