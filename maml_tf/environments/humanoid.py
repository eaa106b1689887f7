"""A two-legged MuJoCo body in space that walks in a direction.

The task of ProMP, https://arxiv.org/abs/1810.06784, with the body and the
resets of Gymnasium's Humanoid-v5.
"""

from collections.abc import Sequence

import gin
import numpy as np

from maml_tf.core import checks
from maml_tf.environments import directions
from maml_tf.environments import locomotion

_NUM_BODIES = 14
# qpos[2:], qvel, cinert, cvel, qfrc_actuator and cfrc_ext.
_NUM_OBSERVATIONS = 22 + 23 + _NUM_BODIES * (10 + 6) + 23 + _NUM_BODIES * 6

# Numbers of the physics that observations have, in their order.
_OBSERVED = ('cinert', 'cvel', 'qfrc_actuator', 'cfrc_ext')

_LARGEST_CONTACT_COST = 10.0


@gin.configurable
class HumanoidPlanarDirection(directions.InThePlane, locomotion.Locomotion):
  """A humanoid whose task is a direction in the plane, a unit vector (2,).

      reward = velocity_weight * (task . velocity of the centre of mass)
               - control_cost_weight * |action|^2
               - min(contact_cost_weight * |contact forces|^2, 10)
               + alive_bonus

  ProMP's HumanoidRandDirec2D. It multiplies the way of the centre of mass by
  0.25 and divides it by the timestep of the physics, 0.003 s. A step takes five
  of them, so that the weight of the velocity is 1.25, which is Gymnasium's.

  Observations are qpos[2:] (22, without the position in the plane), qvel (23),
  the bodies' inertia (140) and velocity (84) about the centre of mass, the
  actuators' forces on the joints (23) and the contact forces (84): 376 numbers,
  as in ProMP. Gymnasium's Humanoid-v5 leaves out the world body and the
  actuators' forces on the root: 348. An episode terminates when the torso's
  height leaves `healthy_heights`. Every step earns the bonus, also the one that
  ends an episode so; in Humanoid-v5 that one does not.

  MuJoCo 2 and newer leave contact forces at zero unless they are asked for.
  They are computed here, as in MuJoCo 1.5, which ProMP used.
  """

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 200,
    velocity_weight: float = 1.25,
    control_cost_weight: float = 0.1,
    contact_cost_weight: float = 5e-7,
    alive_bonus: float = 5.0,
    healthy_heights: Sequence[float] = (1.0, 2.0),
    reset_noise_scale: float = 0.01,
  ):
    """Loads N = B*E humanoids. A step takes 0.015 s.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      velocity_weight: The reward of 1 m/s in the task's direction.
      control_cost_weight: The cost of a unit of squared action; actions are
        limited to [-0.4, 0.4] by the actuators, but not their cost.
      contact_cost_weight: The cost of a unit of squared contact force.
      alive_bonus: The reward of every step.
      healthy_heights: The lowest and the highest height of the torso [m] that
        do not end an episode.
      reset_noise_scale: The scale s of the noise at a reset: uniform in [-s, s]
        on positions [m, rad] and on velocities [m/s, rad/s].

    Raises:
      ValueError: If an argument is out of range.
    """
    self._velocity_weight = checks.number('velocity_weight', velocity_weight)
    self._contact_cost_weight = checks.number(
      'contact_cost_weight', contact_cost_weight
    )
    self._bonus = checks.number('alive_bonus', alive_bonus)
    self._healthy_heights = checks.interval('healthy_heights', healthy_heights)
    super().__init__(
      'humanoid.xml',
      frame_skip=5,
      num_observations=_NUM_OBSERVATIONS,
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
      control_cost_weight=control_cost_weight,
      reset_noise_scale=reset_noise_scale,
      task_shape=(2,),
      derived=('xipos', *_OBSERVED),
    )

  def _draw_starts(self, generator, num_rows):
    return self._draw_uniform_starts(generator, num_rows)

  def _position(self):
    """Returns the place of the centre of mass in the plane [m], [N, 2]."""
    mass = self._model.body_mass
    places = self._physics.derived('xipos')[..., :2]
    return np.einsum('b,nbd->nd', mass / mass.sum(), places)

  def _task_reward(self, velocity):
    return self._velocity_weight * super()._task_reward(velocity)

  def _healthy(self):
    low, high = self._healthy_heights
    height = self._physics.qpos[:, 2]
    return (low <= height) & (height <= high)

  def _contact_cost(self):
    forces = self._physics.derived('cfrc_ext')
    cost = self._contact_cost_weight * np.einsum('nbf,nbf->n', forces, forces)
    return np.minimum(cost, _LARGEST_CONTACT_COST)

  def _alive_bonus(self, healthy):
    return np.full(healthy.shape, self._bonus)

  def _observation(self):
    stop = 1 + self._model.nq + self._model.nv
    parts = [self._physics.derived(name) for name in _OBSERVED]
    return np.concatenate(
      [
        self._physics.state[:, 3:stop],
        *(part.reshape(self.batch_size, -1) for part in parts),
      ],
      axis=1,
      dtype=np.float32,
    )
