"""Tasks that are directions: forward or backward, or any in the plane."""

from typing import Any

import mujoco
import numpy as np

from maml_tf.environments import tasks as tasks_lib
from maml_tf.environments.rendering import mujoco_renderer
from maml_tf.environments.rendering import renderer

# In metres: how far ahead of the body films show a ball, and its height.
_AHEAD = 1.0
_BALL_HEIGHT = 0.2

# Far above the error of a unit vector that was rounded to float32.
_LENGTH_TOLERANCE = 1e-5


class ForwardOrBackward(tasks_lib.TaskFamily):
  """Moves forward, +1, or backward, -1: task reward = task * velocity.

  A mixin for `Locomotion`.
  """

  verb = 'moves'
  _row_tasks: np.ndarray

  @property
  def task_list(self) -> tasks_lib.TaskList:
    """Both directions; training draws from both, so none is held out."""
    return tasks_lib.TaskList(training=(-1.0, 1.0))

  def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws +1 or -1 with equal probability; returns float64 [n]."""
    return np.where(rng.random(n) < 0.5, -1.0, 1.0)

  def describe_task(self, task: float) -> str:
    direction = 'forward' if task > 0 else 'backward'
    return f'task {task:g}: {self.verb} {direction}'

  def _check_tasks(self, tasks):
    if not (np.abs(tasks) == 1).all():
      raise ValueError(
        f'tasks {tasks.tolist()} are not directions: give +1 or -1 for each'
      )

  def _task_reward(self, velocity):
    return self._row_tasks * velocity


class InThePlane(tasks_lib.TaskFamily):
  """Moves in a direction, a unit vector: task reward = task . velocity.

  A mixin for `Locomotion` whose `task_shape` is (2,) and whose `_position`
  returns [N, 2].
  """

  _model: mujoco.MjModel
  _row_tasks: np.ndarray

  def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws unit vectors of uniform angle; returns float64 [n, 2]."""
    # A normal distribution is the same in all directions.
    vectors = rng.standard_normal((n, 2))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

  def describe_task(self, task: np.ndarray) -> str:
    x, y = task
    degrees = np.degrees(np.arctan2(y, x))
    return f'task ({x:.3g}, {y:.3g}): moves at {degrees:.0f} degrees'

  def create_renderer(
    self, task: Any, states: np.ndarray, width: int, height: int
  ) -> renderer.Renderer:
    """Renders the body, and a red ball ahead of it in the task's direction."""
    del states
    direction = np.asarray(task)
    speeds = slice(1 + self._model.nq, 3 + self._model.nq)

    def marker(state):
      return np.array([*(state[1:3] + _AHEAD * direction), _BALL_HEIGHT])

    def describe(state):
      return (
        f'{state[0]:.2f} s, speed {state[speeds] @ direction:.1f} m/s,'
        f' position {state[1:3] @ direction:.1f} m'
      )

    return mujoco_renderer.MujocoRenderer(
      self._model, width, height, marker=marker, describe=describe
    )

  def _check_tasks(self, tasks):
    lengths = np.linalg.norm(tasks, axis=1)
    if (np.abs(lengths - 1) > _LENGTH_TOLERANCE).any():
      raise ValueError(
        f'tasks {tasks.tolist()} are not directions: give vectors of length 1'
      )

  def _task_reward(self, velocity):
    return np.einsum('nd,nd->n', velocity, self._row_tasks)
