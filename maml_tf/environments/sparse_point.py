"""A point that trains with dense rewards and is tested with sparse ones.

The sparse-point-robot of PEARL, https://arxiv.org/abs/1903.08254, with its code
https://github.com/katerakelly/oyster. PEARL infers the task from sparse rewards
in training, too; here adaptation in training sees dense rewards.
"""

import gin
import numpy as np
from tf_agents.specs import array_spec

from maml_tf.environments import task_environment
from maml_tf.environments import tasks as tasks_lib
from maml_tf.environments.rendering import point_renderer
from maml_tf.environments.rendering import renderer

MAX_STEP = 0.1
GOAL_DISTANCE = 1.0
# Sparse rewards are paid within this distance of the goal.
REWARDED_DISTANCE = 0.2


@gin.configurable
class SparsePoint(task_environment.TaskEnvironment):
  """A point that starts at the origin. A task is (goal_x, goal_y, sparse).

      position' = position + clip(action, -0.1, 0.1)
      distance  = |position' - goal|
      reward    = -distance                               if sparse is 0
      reward    = 1 - distance if distance <= 0.2 else 0  if sparse is 1

  Goals lie on the upper half circle of radius 1. Training plays dense tasks:
  sparse is 0. `held_out_task` gives sparse ones. So a policy has learned from
  dense rewards where goals lie, and adapts with sparse ones to a goal that it
  must first come across. Returns of training and evaluation differ in scale.

  An episode is truncated at the horizon and never terminates. The observation
  is the position. `set_tasks` accepts any finite goal, with either reward.
  """

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 20,
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
      task_shape=(3,),
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
    )
    self._position = np.zeros((self.batch_size, 2))

  def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws dense tasks at angles from U[0, pi]; returns float64 [n, 3]."""
    angle = rng.uniform(0.0, np.pi, n)
    return np.stack(
      [
        GOAL_DISTANCE * np.cos(angle),
        GOAL_DISTANCE * np.sin(angle),
        np.zeros(n),
      ],
      axis=1,
    )

  def held_out_task(self, index: int, rng: np.random.Generator) -> np.ndarray:
    """Draws a sparse task, float64 [3]."""
    goal_x, goal_y, _ = self.sample_task(index, rng)
    return np.array([goal_x, goal_y, 1.0])

  def observed_numbers(self, task: np.ndarray) -> np.ndarray:
    """Returns the goal, float64 [2]: no training task is sparse."""
    return np.asarray(task, np.float64)[:2]

  def describe_task(self, task: np.ndarray) -> str:
    goal_x, goal_y, is_sparse = task
    reward = 'sparse' if is_sparse else 'dense'
    name = tasks_lib.name(np.array([goal_x, goal_y]))
    return f'task {name}: goal, {reward} reward'

  def render_state(self) -> np.ndarray:
    """Returns the positions, float64 [N, 2]."""
    return self._position.copy()

  def create_renderer(
    self, task: np.ndarray, states: np.ndarray, width: int, height: int
  ) -> renderer.Renderer:
    return point_renderer.PointRenderer(task[:2], states, width, height)

  def _check_tasks(self, tasks):
    if not np.isin(tasks[:, 2], (0, 1)).all():
      raise ValueError(
        f'tasks {tasks.tolist()} are not (goal_x, goal_y, sparse): give 0 or 1'
        ' as the third number of each'
      )

  def _draw_starts(self, generator, num_rows):
    del generator  # All points start at the origin.
    return np.zeros((num_rows, 2))

  def _reset_rows(self, rows, starts):
    self._position[rows] = starts
    return starts.astype(np.float32)

  def _advance(self, action):
    self._position += np.clip(action, -MAX_STEP, MAX_STEP)
    goals, is_sparse = self._row_tasks[:, :2], self._row_tasks[:, 2] == 1
    distance = np.linalg.norm(self._position - goals, axis=1)
    sparse = np.where(distance <= REWARDED_DISTANCE, 1 - distance, 0)
    return (
      self._position.astype(np.float32),
      np.where(is_sparse, sparse, -distance).astype(np.float32),
      np.zeros(self.batch_size, bool),
    )
