"""A point in the plane that must find a hidden goal.

The 2-D navigation tasks of the MAML paper, https://arxiv.org/abs/1703.03400.
"""

import gin
import numpy as np
from tf_agents.specs import array_spec

from maml_tf.environments import task_environment
from maml_tf.environments import tasks as tasks_lib
from maml_tf.environments.rendering import point_renderer
from maml_tf.environments.rendering import renderer

MAX_STEP = 0.1
GOAL_RADIUS = 0.01


@gin.configurable
class PointNavigation(task_environment.TaskEnvironment):
  """A point that starts at the origin. Its task is a goal it never observes.

      position' = position + clip(action, -0.1, 0.1)
      reward    = -|position' - goal|

  An episode terminates within 0.01 of the goal and is truncated at the horizon.
  The observation is the position. `set_tasks` accepts any finite goal, also one
  that `sample_tasks` never draws.
  """

  def __init__(
    self,
    num_tasks: int = 20,
    environments_per_task: int = 20,
    horizon: int = 100,
  ):
    """Creates N = B*E points.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps after which an episode is truncated.
    """
    super().__init__(
      observation_spec=array_spec.ArraySpec((2,), np.float32, 'observation'),
      action_spec=array_spec.BoundedArraySpec(
        (2,), np.float32, -MAX_STEP, MAX_STEP, 'action'
      ),
      task_shape=(2,),
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
    )
    self._position = np.zeros((self.batch_size, 2))

  @property
  def position(self) -> np.ndarray:
    """The positions of the points, a float64 array [N, 2]."""
    return self._position.copy()

  def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws goals uniformly from [-0.5, 0.5]^2; returns float64 [n, 2]."""
    return sample_goals(n, rng)

  def describe_task(self, task: np.ndarray) -> str:
    return describe_goal(task)

  def render_state(self) -> np.ndarray:
    """Returns the positions, float64 [N, 2]."""
    return self.position

  def create_renderer(
    self, task: np.ndarray, states: np.ndarray, width: int, height: int
  ) -> renderer.Renderer:
    return point_renderer.PointRenderer(task, states, width, height)

  def _draw_starts(self, generator, num_rows):
    del generator  # All points start at the origin.
    return np.zeros((num_rows, 2))

  def _reset_rows(self, rows, starts):
    self._position[rows] = starts
    return starts.astype(np.float32)

  def _advance(self, action):
    self._position += np.clip(action, -MAX_STEP, MAX_STEP)
    distance = np.linalg.norm(self._position - self._row_tasks, axis=1)
    return (
      self._position.astype(np.float32),
      -distance.astype(np.float32),
      distance <= GOAL_RADIUS,
    )


def sample_goals(n: int, rng: np.random.Generator) -> np.ndarray:
  """Draws goals uniformly from [-0.5, 0.5]^2; returns float64 [n, 2]."""
  return rng.uniform(-0.5, 0.5, (n, 2))


def describe_goal(task: np.ndarray) -> str:
  """Returns what a film calls a goal [2]."""
  return f'task {tasks_lib.name(task)}: the hidden goal'
