"""Planar MuJoCo bodies whose task is their own dynamics.

Walker2DRandParams and HopperRandParams of
https://github.com/dennisl88/rand_param_envs, which ProMP, PEARL and VariBAD
train on.
"""

import gin
import numpy as np

from maml_tf.environments import planar_bodies
from maml_tf.environments import random_dynamics


@gin.configurable
class Walker2dRandomDynamics(
  random_dynamics.RandomDynamics, planar_bodies.Walker2d
):
  """A walker whose task is its own mass, inertia, damping and friction.

      reward = velocity + alive_bonus - control_cost_weight * |action|^2

  A task is a vector of 65 exponents, see `RandomDynamics`: 8 of masses, 24 of
  inertias, 9 of dampings and 24 of frictions. It is Walker2DRandParams of
  rand_param_envs on the body of Gymnasium's Walker2d-v5, with the time step of
  the former, 0.004 s instead of 0.002, and its friction at the right foot, 0.9
  instead of 1.9. Unlike there, what MuJoCo derives from masses is computed
  again for every task.
  """

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 200,
    control_cost_weight: float = 1e-3,
    alive_bonus: float = 1.0,
    reset_noise_scale: float = 0.005,
    right_foot_friction: float = 0.9,
    timestep: float = 0.004,
    log_scale_limit: float = 3.0,
  ):
    """Loads N = B*E walkers. A step takes 4 physics steps, 0.016 s.

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
      timestep: The duration of a physics step [s].
      log_scale_limit: The limit of the exponents that are drawn.

    Raises:
      ValueError: If an argument is out of range.
    """
    self._set_limit(log_scale_limit)
    model = planar_bodies.walker_model(right_foot_friction, timestep)
    super().__init__(
      model,
      4,
      num_tasks,
      environments_per_task,
      horizon,
      control_cost_weight,
      alive_bonus,
      reset_noise_scale,
      task_shape=(random_dynamics.num_exponents(model),),
      change_model=random_dynamics.scale_model,
    )

  def _task_reward(self, velocity):
    return velocity


@gin.configurable
class HopperRandomDynamics(
  random_dynamics.RandomDynamics, planar_bodies.PlanarBody
):
  """A hopper whose task is its own mass, inertia, damping and friction.

      reward = velocity + alive_bonus - control_cost_weight * |action|^2

  A task is a vector of 41 exponents, see `RandomDynamics`: 5 of masses, 15 of
  inertias, 6 of dampings and 15 of frictions. It is HopperRandParams of
  rand_param_envs on the body of Gymnasium's Hopper-v5, with the time step of
  the former, 0.004 s instead of 0.002. Unlike there, what MuJoCo derives from
  masses is computed again for every task.

  One leg: 11 observations, 3 torques. An episode terminates unless the torso is
  higher than 0.7 m and tilts by less than 0.2 rad, and tilt, angles of joints
  and all velocities are below 100 [rad, m/s, rad/s].
  """

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 200,
    control_cost_weight: float = 1e-3,
    alive_bonus: float = 1.0,
    reset_noise_scale: float = 0.005,
    timestep: float = 0.004,
    log_scale_limit: float = 3.0,
  ):
    """Loads N = B*E hoppers. A step takes 4 physics steps, 0.016 s.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      control_cost_weight: The cost of a unit of squared action.
      alive_bonus: The reward of every step besides.
      reset_noise_scale: The scale s of the noise at a reset, uniform in [-s, s]
        on positions [m, rad] and velocities [m/s, rad/s].
      timestep: The duration of a physics step [s].
      log_scale_limit: The limit of the exponents that are drawn.

    Raises:
      ValueError: If an argument is out of range.
    """
    self._set_limit(log_scale_limit)
    model = planar_bodies.load_model('hopper.xml', timestep)
    super().__init__(
      model,
      4,
      num_tasks,
      environments_per_task,
      horizon,
      control_cost_weight,
      alive_bonus,
      reset_noise_scale,
      task_shape=(random_dynamics.num_exponents(model),),
      change_model=random_dynamics.scale_model,
    )

  def _task_reward(self, velocity):
    return velocity

  def _healthy(self):
    # The time, then the positions along the track and above it.
    moving = self._physics.state[:, 3:]
    height, tilt = self._physics.qpos[:, 1], self._physics.qpos[:, 2]
    is_slow = (np.abs(moving) < 100.0).all(axis=1)
    return is_slow & (height > 0.7) & (np.abs(tilt) < 0.2)
