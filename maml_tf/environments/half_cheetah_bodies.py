"""Half-cheetahs of different mass, damping and size, which run forward.

The tasks of RobustMetaRL, "Train Hard, Fight Easy",
https://arxiv.org/abs/2301.11147 and github.com/ido90/RobustMetaRL, with the
observations and resets of Gymnasium's HalfCheetah-v5.
"""

import gin
import mujoco
import numpy as np

from maml_tf.environments import locomotion

_HEAD = 2  # Among geoms, after the floor and the torso.
# With factors far beyond this one the physics becomes unstable.
_LARGEST_FACTOR = 10.0
_FACTORS = ('mass', 'damping', 'head length')


def _scale(
  model: mujoco.MjModel, mass: float, damping: float = 1, length: float = 1
) -> None:
  """Multiplies numbers of a half-cheetah.

  Args:
    model: The model that it changes.
    mass: The factor of all masses and of the thickness of all parts.
    damping: The factor of the damping of all joints.
    length: The factor of the head's length, without its round ends.
  """
  model.body_mass *= mass
  model.geom_size[1:, 0] *= mass
  model.dof_damping *= damping
  model.geom_size[_HEAD, 1] *= length
  # MuJoCo looks for contacts within this radius. Old versions keep it.
  model.geom_rbound[1:] = model.geom_size[1:, :2].sum(axis=1)


class _ScaledHalfCheetah(locomotion.HalfCheetah):
  """A half-cheetah whose numbers the task multiplies; it runs forward."""

  def _check_tasks(self, tasks):
    low, high = 1 / _LARGEST_FACTOR, _LARGEST_FACTOR
    if not ((low <= tasks) & (tasks <= high)).all():
      raise ValueError(
        f'tasks {tasks.tolist()} are not factors: give numbers'
        f' from {low:g} to {high:g}'
      )

  def _task_reward(self, velocity):
    return velocity + self._physics.qpos[:, 1]


@gin.configurable
class HalfCheetahMass(_ScaledHalfCheetah):
  """A half-cheetah whose task is a factor of its mass; it runs forward.

      reward = velocity + height - control_cost_weight * |action|^2

  The height is that of the torso above where it starts, the first observation:
  about 0 upright and -0.5 upside down [m]. The factor multiplies all masses and
  the thickness of all parts, so that heavy bodies look heavy. As in
  RobustMetaRL, the inertia of the parts about their own centres stays.

  RobustMetaRL's HalfCheetahMass observes also the torso's place: 20 numbers
  where this class has 17. It leaves what MuJoCo derives from masses as it was;
  here it is computed anew.
  """

  task_label = 'factor of the mass'

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 200,
    control_cost_weight: float = 0.05,
    reset_noise_scale: float = 0.1,
  ):
    """Loads N = B*E half-cheetahs. A step takes 0.05 s.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      control_cost_weight: The cost of a unit of squared action.
      reset_noise_scale: See `MujocoBody`.

    Raises:
      ValueError: If an argument is out of range.
    """
    super().__init__(
      num_tasks,
      environments_per_task,
      horizon,
      control_cost_weight,
      reset_noise_scale,
      change_model=_scale,
    )

  def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws factors log-uniformly from [1/2, 2]; returns float64 [n]."""
    return 2.0 ** rng.uniform(-1.0, 1.0, n)

  def describe_task(self, task: float) -> str:
    return f'task {task:.3g}: mass times {task:.3g}'


@gin.configurable
class HalfCheetahBody(_ScaledHalfCheetah):
  """A half-cheetah whose task is three factors (3,); it runs forward.

      reward = velocity + height - control_cost_weight * |action|^2

  The factors multiply (1) all masses and the thickness of all parts, as in
  `HalfCheetahMass`; (2) the damping of all joints; (3) the length of the head.
  RobustMetaRL's HalfCheetahBody calls the third the length of the torso, but
  the number that it changes is the head's, `geom_size[2, 1]`: so does this
  class. As there, masses do not follow from lengths.
  """

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 200,
    control_cost_weight: float = 0.05,
    reset_noise_scale: float = 0.1,
  ):
    """Loads N = B*E half-cheetahs. A step takes 0.05 s.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      control_cost_weight: The cost of a unit of squared action.
      reset_noise_scale: See `MujocoBody`.

    Raises:
      ValueError: If an argument is out of range.
    """
    super().__init__(
      num_tasks,
      environments_per_task,
      horizon,
      control_cost_weight,
      reset_noise_scale,
      task_shape=(len(_FACTORS),),
      change_model=lambda model, factors: _scale(model, *factors),
    )

  def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws each factor log-uniformly from [1/2, 2]; float64 [n, 3]."""
    return 2.0 ** rng.uniform(-1.0, 1.0, (n, len(_FACTORS)))

  def describe_task(self, task: np.ndarray) -> str:
    factors = ', '.join(f'{n} times {f:.2g}' for n, f in zip(_FACTORS, task))
    return f'task: {factors}'
