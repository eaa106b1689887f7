"""A MuJoCo body of three links that swims at a velocity.

The task of ProMP, https://arxiv.org/abs/1810.06784, with the body and the
resets of Gymnasium's Swimmer-v5.
"""

from collections.abc import Sequence

import gin
import numpy as np

from maml_tf.environments import locomotion
from maml_tf.environments import velocities


@gin.configurable
class SwimmerVelocity(velocities.TargetVelocity, locomotion.Locomotion):
  """A swimmer whose task is to swim at a given velocity along x [m/s].

      reward = -|velocity - task| - control_cost_weight * |action|^2

  ProMP's SwimmerRandVel, but for the sign: its published code *adds*
  |velocity - task|, which rewards deviation from the task. Observations are
  qpos[2:] (3, without the position in the plane) and qvel (5). An episode never
  terminates, unless the physics becomes unstable.

  `set_tasks` accepts any finite velocity, also one that `sample_tasks` never
  draws.
  """

  verb = 'swims'

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 200,
    control_cost_weight: float = 1e-4,
    reset_noise_scale: float = 0.1,
    velocity_range: Sequence[float] = (0.1, 0.2),
  ):
    """Loads N = B*E swimmers. A step takes 0.04 s.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      control_cost_weight: The cost of a unit of squared action.
      reset_noise_scale: The scale s of the noise at a reset: uniform in [-s, s]
        on positions [m, rad] and on velocities [m/s, rad/s].
      velocity_range: The range that `sample_tasks` draws from [m/s].

    Raises:
      ValueError: If an argument is out of range.
    """
    self._set_range(velocity_range)
    super().__init__(
      'swimmer.xml',
      frame_skip=4,
      num_observations=3 + 5,
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
      control_cost_weight=control_cost_weight,
      reset_noise_scale=reset_noise_scale,
    )

  def _draw_starts(self, generator, num_rows):
    return self._draw_uniform_starts(generator, num_rows)

  def _describe_state(self, state):
    # Swimmers are slow: two digits.
    position, speed = state[1], state[1 + self._model.nq]
    return f'{state[0]:.2f} s, speed {speed:.2f} m/s, position {position:.2f} m'

  def _observation(self):
    stop = 1 + self._model.nq + self._model.nv
    return self._physics.state[:, 3:stop].astype(np.float32)
