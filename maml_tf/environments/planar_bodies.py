"""Planar MuJoCo bodies that walk or hop, and fall: what their tasks share.

The bodies are those of Gymnasium's Walker2d-v5 and Hopper-v5.
"""

import mujoco
import numpy as np

from maml_tf.core import checks
from maml_tf.environments import locomotion
from maml_tf.environments import mujoco_body
from maml_tf.environments import mujoco_models

# Observed velocities are clipped to this [m/s, rad/s].
_LARGEST_VELOCITY = 10.0


class PlanarBody(locomotion.Locomotion):
  """A body in the vertical plane, whose torso must stay up.

  Observations are qpos without the position along the track, and qvel clipped
  to [-10, 10]. The bonus is for every step, also for the one that ends the
  episode; in Gymnasium's v5 a step that ends the episode gets none. Starts are
  uniform in [-s, s] around the model's pose, positions [m, rad] and velocities
  [m/s, rad/s] alike.
  """

  def __init__(
    self,
    model: mujoco.MjModel,
    frame_skip: int,
    num_tasks: int,
    environments_per_task: int,
    horizon: int,
    control_cost_weight: float,
    alive_bonus: float,
    reset_noise_scale: float,
    **body,
  ):
    """Copies the model N = B*E times; for the arguments, see `Locomotion`."""
    self._bonus = checks.number('alive_bonus', alive_bonus)
    super().__init__(
      model,
      frame_skip,
      num_observations=model.nq - 1 + model.nv,
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
      control_cost_weight=control_cost_weight,
      reset_noise_scale=reset_noise_scale,
      **body,
    )

  def _alive_bonus(self, healthy):
    return np.full(len(healthy), self._bonus)

  def _observation(self):
    velocities = np.clip(
      self._physics.qvel, -_LARGEST_VELOCITY, _LARGEST_VELOCITY
    )
    return np.concatenate(
      [self._physics.qpos[:, 1:], velocities], axis=1, dtype=np.float32
    )

  def _draw_starts(self, generator, num_rows):
    return self._draw_uniform_starts(generator, num_rows)


class Walker2d(PlanarBody):
  """Two legs: 17 observations, 6 torques.

  An episode terminates unless the torso is between 0.8 and 2 m high and tilts
  by less than 1 rad.
  """

  def _healthy(self):
    height, tilt = self._physics.qpos[:, 1], self._physics.qpos[:, 2]
    return (0.8 < height) & (height < 2.0) & (-1.0 < tilt) & (tilt < 1.0)


def walker_model(right_foot_friction, timestep=0.002):
  """Loads the walker with other sliding friction at the right foot."""
  model = load_model('walker2d_v5.xml', timestep)
  model.geom('foot_geom').friction[0] = checks.number(
    'right_foot_friction', right_foot_friction, minimum=0
  )
  return model


def load_model(asset, timestep):
  model = mujoco_models.load_model(mujoco_body.asset_path(asset))
  model.opt.timestep = checks.number('timestep', timestep, above=0)
  return model
