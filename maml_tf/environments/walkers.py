"""A planar two-legged MuJoCo body that walks as its task says.

The walker's tasks of ProMP, https://arxiv.org/abs/1810.06784 and
https://github.com/jonasrothfuss/ProMP.
"""

import gin
import numpy as np

from maml_tf.core import checks
from maml_tf.environments import directions
from maml_tf.environments import planar_bodies


@gin.configurable
class Walker2dDirection(directions.ForwardOrBackward, planar_bodies.Walker2d):
  """A walker whose task is to walk forward, +1, or backward, -1.

      reward = task * velocity + alive_bonus - control_cost_weight * |action|^2

  ProMP's Walker2DRandDirec on the body of Gymnasium's Walker2d-v5. That has
  friction 1.9 at both feet; the body of ProMP has 0.9 at the right foot. A step
  takes 8 physics steps, 0.016 s, twice those of Walker2d-v5.
  """

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 200,
    control_cost_weight: float = 1e-3,
    alive_bonus: float = 1.0,
    reset_noise_scale: float = 0.005,
    right_foot_friction: float = 1.9,
    balanced: bool = False,
  ):
    """Loads N = B*E walkers. A step takes 0.016 s.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      control_cost_weight: The cost of a unit of squared action.
      alive_bonus: The reward of every step besides.
      reset_noise_scale: The scale s of the noise at a reset, uniform in [-s, s]
        on positions [m, rad] and velocities [m/s, rad/s].
      right_foot_friction: The sliding friction of the right foot; that of the
        left foot is 1.9.
      balanced: Whether the places of a meta-batch take the directions in turn,
        so that an even number of tasks plays both equally often. False: each
        place draws.

    Raises:
      ValueError: If an argument is out of range.
    """
    self._balanced = checks.boolean('balanced', balanced)
    super().__init__(
      planar_bodies.walker_model(right_foot_friction),
      8,
      num_tasks,
      environments_per_task,
      horizon,
      control_cost_weight,
      alive_bonus,
      reset_noise_scale,
    )


@gin.configurable
class Walker2dVelocity(planar_bodies.Walker2d):
  """A walker whose task is to walk at a given velocity [m/s].

      reward = -|velocity - task| + alive_bonus
               - control_cost_weight * |action|^2

  ProMP's Walker2DRandVel. Its bonus of 15 makes every step worth more than none
  at velocities up to 10 m/s; with a bonus of 1, a walker with a fast task would
  rather fall. Body and time step are those of `Walker2dDirection`.

  `set_tasks` accepts any finite velocity, also one that `sample_tasks` never
  draws.
  """

  task_label = 'target velocity [m/s]'

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 200,
    control_cost_weight: float = 1e-3,
    alive_bonus: float = 15.0,
    reset_noise_scale: float = 0.005,
    right_foot_friction: float = 1.9,
  ):
    """Loads N = B*E walkers; for the arguments, see `Walker2dDirection`."""
    super().__init__(
      planar_bodies.walker_model(right_foot_friction),
      8,
      num_tasks,
      environments_per_task,
      horizon,
      control_cost_weight,
      alive_bonus,
      reset_noise_scale,
    )

  def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws velocities uniformly from [0, 10] m/s; returns float64 [n]."""
    return rng.uniform(0.0, 10.0, n)

  def describe_task(self, task: float) -> str:
    return f'task {task:.3g}: walks at {task:.3g} m/s'

  def _task_reward(self, velocity):
    return -np.abs(velocity - self._row_tasks)
