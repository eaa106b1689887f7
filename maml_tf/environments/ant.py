"""A four-legged MuJoCo body that walks in a direction or at a velocity.

The tasks of ProMP, https://arxiv.org/abs/1810.06784, and of the MAML paper,
https://arxiv.org/abs/1703.03400, with the body and the resets of Gymnasium's
Ant-v5. `goal_reaching` has the ant that must find a goal.

Observations are qpos[2:] (13, without the position in the plane), qvel (14) and
the clipped contact forces of all 14 bodies (84): 111 numbers, as in ProMP.
Ant-v5 leaves out the forces on the world: 105. The velocity is that of the
torso, which Gymnasium and ProMP read after MuJoCo's last stage of integration.
An episode terminates when the torso's height leaves `healthy_heights`. Every
step earns the bonus, also the one that ends an episode so; in Ant-v5 that one
does not.

MuJoCo 2 and newer leave contact forces at zero unless they are asked for. They
are computed here, as in MuJoCo 1.5, which ProMP used.
"""

from collections.abc import Sequence

import gin
import numpy as np

from maml_tf.core import checks
from maml_tf.environments import directions
from maml_tf.environments import locomotion
from maml_tf.environments import velocities

_TORSO = 1
_NUM_OBSERVATIONS = 13 + 14 + 14 * 6


class _Ant(locomotion.Locomotion):
  """The four-legged body: 111 observations, 8 torques, 0.05 s a step.

  reward = task_reward(velocity)
           - control_cost_weight * |action|^2
           - contact_cost_weight * |clip(contact forces, -1, 1)|^2
           + alive_bonus
  """

  def __init__(
    self,
    num_tasks: int,
    environments_per_task: int,
    horizon: int,
    control_cost_weight: float,
    contact_cost_weight: float,
    alive_bonus: float,
    healthy_heights: Sequence[float],
    reset_noise_scale: float,
    task_shape: tuple[int, ...] = (),
  ):
    self._contact_cost_weight = checks.number(
      'contact_cost_weight', contact_cost_weight
    )
    self._bonus = checks.number('alive_bonus', alive_bonus)
    self._healthy_heights = checks.interval('healthy_heights', healthy_heights)
    super().__init__(
      'ant.xml',
      frame_skip=5,
      num_observations=_NUM_OBSERVATIONS,
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
      control_cost_weight=control_cost_weight,
      reset_noise_scale=reset_noise_scale,
      task_shape=task_shape,
      contact_forces=True,
      derived=('xpos',),
    )

  def _position(self):
    return self._physics.derived('xpos')[:, _TORSO, 0]

  def _healthy(self):
    low, high = self._healthy_heights
    height = self._physics.qpos[:, 2]
    return (low <= height) & (height <= high)

  def _contact_cost(self):
    forces = self._clipped_forces()
    return self._contact_cost_weight * np.einsum('nf,nf->n', forces, forces)

  def _alive_bonus(self, healthy):
    return np.full(healthy.shape, self._bonus)

  def _observation(self):
    stop = 1 + self._model.nq + self._model.nv
    return np.concatenate(
      [self._physics.state[:, 3:stop], self._clipped_forces()],
      axis=1,
      dtype=np.float32,
    )

  def _clipped_forces(self):
    forces = np.clip(self._physics.contact_forces, -1.0, 1.0)
    return forces.reshape(self.batch_size, -1)


@gin.configurable
class AntDirection(directions.ForwardOrBackward, _Ant):
  """An ant whose task is to walk forward, +1, or backward, -1.

      reward = task * velocity along x
               - control_cost_weight * |action|^2
               - contact_cost_weight * |clip(contact forces, -1, 1)|^2
               + alive_bonus

  ProMP's AntRandDirec: the weights are 0.5 and 5e-4, the bonus is 1, and an
  episode terminates if the torso is below 0 or above 1 m. With the task +1 the
  rewards are those of Gymnasium's Ant-v5, which terminates below 0.2 m already
  and pays no bonus in that step.
  """

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 200,
    control_cost_weight: float = 0.5,
    contact_cost_weight: float = 5e-4,
    alive_bonus: float = 1.0,
    healthy_heights: Sequence[float] = (0.0, 1.0),
    reset_noise_scale: float = 0.1,
    balanced: bool = False,
  ):
    """Loads N = B*E ants. A step takes 0.05 s.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      control_cost_weight: The cost of a unit of squared action.
      contact_cost_weight: The cost of a unit of squared contact force.
      alive_bonus: The reward of every step.
      healthy_heights: The lowest and the highest height of the torso [m] that
        do not end an episode.
      reset_noise_scale: See `MujocoBody`.
      balanced: Whether the places of the meta-batches take the directions in
        turn, so that both are played equally often. False: each place draws.

    Raises:
      ValueError: If an argument is out of range.
    """
    self._balanced = checks.boolean('balanced', balanced)
    super().__init__(
      num_tasks,
      environments_per_task,
      horizon,
      control_cost_weight,
      contact_cost_weight,
      alive_bonus,
      healthy_heights,
      reset_noise_scale,
    )


@gin.configurable
class AntPlanarDirection(directions.InThePlane, _Ant):
  """An ant whose task is a direction in the plane, a unit vector (2,).

      reward = task . velocity in the plane
               - control_cost_weight * |action|^2
               - contact_cost_weight * |clip(contact forces, -1, 1)|^2
               + alive_bonus

  ProMP's AntRandDirec2D, whose numbers are those of `AntDirection`.
  """

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 200,
    control_cost_weight: float = 0.5,
    contact_cost_weight: float = 5e-4,
    alive_bonus: float = 1.0,
    healthy_heights: Sequence[float] = (0.0, 1.0),
    reset_noise_scale: float = 0.1,
  ):
    """Loads N = B*E ants. A step takes 0.05 s.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      control_cost_weight: The cost of a unit of squared action.
      contact_cost_weight: The cost of a unit of squared contact force.
      alive_bonus: The reward of every step.
      healthy_heights: The lowest and the highest height of the torso [m] that
        do not end an episode.
      reset_noise_scale: See `MujocoBody`.

    Raises:
      ValueError: If an argument is out of range.
    """
    super().__init__(
      num_tasks,
      environments_per_task,
      horizon,
      control_cost_weight,
      contact_cost_weight,
      alive_bonus,
      healthy_heights,
      reset_noise_scale,
      task_shape=(2,),
    )

  def _position(self):
    return self._physics.derived('xpos')[:, _TORSO, :2]


@gin.configurable
class AntVelocity(velocities.TargetVelocity, _Ant):
  """An ant whose task is to walk at a given velocity along x [m/s].

      reward = -|velocity - task|
               - control_cost_weight * |action|^2
               - contact_cost_weight * |clip(contact forces, -1, 1)|^2
               + alive_bonus

  The task of the MAML paper and its published code (ant_env_rand.py of
  cbfinn/maml_rl): the weights are 0.005 and 5e-4, the bonus is 1 + 0.05, tasks
  are uniform in [0, 3] m/s, and an episode terminates if the torso is below
  0.2 or above 1 m. That code's body is rllab's: its ant differs from
  Gymnasium's, and it observes also the torso's place and rotation (125 numbers
  where this class has 111).

  `set_tasks` accepts any finite velocity, also one that `sample_tasks` never
  draws.
  """

  verb = 'walks'

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 200,
    control_cost_weight: float = 0.005,
    contact_cost_weight: float = 5e-4,
    alive_bonus: float = 1.05,
    healthy_heights: Sequence[float] = (0.2, 1.0),
    reset_noise_scale: float = 0.1,
    velocity_range: Sequence[float] = (0.0, 3.0),
  ):
    """Loads N = B*E ants. A step takes 0.05 s.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      control_cost_weight: The cost of a unit of squared action.
      contact_cost_weight: The cost of a unit of squared contact force.
      alive_bonus: The reward of every step.
      healthy_heights: The lowest and the highest height of the torso [m] that
        do not end an episode.
      reset_noise_scale: See `MujocoBody`.
      velocity_range: The range that `sample_tasks` draws from [m/s].

    Raises:
      ValueError: If an argument is out of range.
    """
    self._set_range(velocity_range)
    super().__init__(
      num_tasks,
      environments_per_task,
      horizon,
      control_cost_weight,
      contact_cost_weight,
      alive_bonus,
      healthy_heights,
      reset_noise_scale,
    )
