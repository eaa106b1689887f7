"""A planar two-legged MuJoCo body that walks as its task says.

The walker's tasks of ProMP, https://arxiv.org/abs/1810.06784 and
https://github.com/jonasrothfuss/ProMP.
"""

from collections.abc import Sequence

import gin

from maml_tf.core import checks
from maml_tf.environments import directions
from maml_tf.environments import planar_bodies
from maml_tf.environments import velocities


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
      balanced: Whether the places of the meta-batches take the directions in
        turn, so that both are played equally often. False: each place draws.

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
class Walker2dVelocity(velocities.TargetVelocity, planar_bodies.Walker2d):
  """A walker whose task is to walk at a given velocity [m/s].

      reward = -|velocity - task| + alive_bonus
               - control_cost_weight * |action|^2

  ProMP's Walker2DRandVel. Its bonus of 15 makes every step worth more than none
  at velocities up to 10 m/s; with a bonus of 1, a walker with a fast task would
  rather fall. Body and time step are those of `Walker2dDirection`.

  `set_tasks` accepts any finite velocity, also one that `sample_tasks` never
  draws.
  """

  verb = 'walks'

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 200,
    control_cost_weight: float = 1e-3,
    alive_bonus: float = 15.0,
    reset_noise_scale: float = 0.005,
    right_foot_friction: float = 1.9,
    velocity_range: Sequence[float] = (0.0, 10.0),
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
      velocity_range: The range that `sample_tasks` draws from [m/s].

    Raises:
      ValueError: If an argument is out of range.
    """
    self._set_range(velocity_range)
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
