"""MuJoCo bodies that run in the direction or at the velocity of their task.

The half-cheetah tasks of the MAML paper, https://arxiv.org/abs/1703.03400, with
the body, observations and resets of Gymnasium's HalfCheetah-v5.
"""

import abc
from collections.abc import Sequence
from typing import NamedTuple

import gin
import mujoco
import numpy as np

from maml_tf.core import checks
from maml_tf.environments import directions
from maml_tf.environments import mujoco_body
from maml_tf.environments import velocities


class RewardTerms(NamedTuple):
  """The terms of one step's rewards.

  Attributes:
    velocity: A float64 array, mean velocity over the step [m/s]: [N] along the
      track, or [N, 2] in the plane.
    task_reward: A float64 array [N], the task's reward for that velocity.
    control_cost: A float64 array [N], the cost of the action.
    contact_cost: A float64 array [N], the cost of contact forces; 0 if they
      cost nothing.
    alive_bonus: A float64 array [N], the reward for not having fallen.
  """

  velocity: np.ndarray
  task_reward: np.ndarray
  control_cost: np.ndarray
  contact_cost: np.ndarray | float = 0.0
  alive_bonus: np.ndarray | float = 0.0


class Locomotion(mujoco_body.MujocoBody):
  """A body whose task rewards its velocity, minus a cost of control.

      reward = task_reward(velocity) - control_cost_weight * |action|^2
               - contact cost + alive bonus

  The cost is that of the action before the actuators clamp it to [-1, 1].
  Observations are qpos[1:] and qvel; they omit the position along the track.
  Episodes are truncated at the horizon. They terminate if the body is no longer
  healthy, or if the physics becomes unstable. In the last step of an unstable
  episode the body does not move.

  Subclasses implement `_task_reward`. The defaults are those of a body on a
  track that cannot fall: they may override `_position`, `_healthy`,
  `_contact_cost`, `_alive_bonus` and `_observation`.
  """

  def __init__(
    self,
    asset: str | mujoco.MjModel,
    frame_skip: int,
    num_observations: int,
    num_tasks: int,
    environments_per_task: int,
    horizon: int,
    control_cost_weight: float,
    reset_noise_scale: float,
    task_shape: tuple[int, ...] = (),
    **body,
  ):
    """Loads the body N = B*E times.

    Args:
      asset: The file name of the body among Gymnasium's MuJoCo models, or
        another body; see `MujocoBody`.
      frame_skip: The number of physics steps in one step.
      num_observations: O, nq - 1 + nv unless `_observation` says otherwise.
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      control_cost_weight: The cost of a unit of squared action.
      reset_noise_scale: See `MujocoBody`.
      task_shape: The shape of one task.
      **body: Other arguments of `MujocoBody`.

    Raises:
      ValueError: If an argument is out of range.
    """
    self._control_cost_weight = checks.number(
      'control_cost_weight', control_cost_weight
    )
    super().__init__(
      asset,
      frame_skip,
      num_observations=num_observations,
      task_shape=task_shape,
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
      reset_noise_scale=reset_noise_scale,
      **body,
    )
    self._reward_terms: RewardTerms | None = None

  @property
  def reward_terms(self) -> RewardTerms | None:
    """The last step's reward terms in float64; None before the first step."""
    return self._reward_terms

  @abc.abstractmethod
  def _task_reward(self, velocity: np.ndarray) -> np.ndarray:
    """Returns the task's reward for each row's velocity [m/s].

    Args:
      velocity: A float64 array like `RewardTerms.velocity`.

    Returns:
      A float64 array [N].
    """

  def _position(self) -> np.ndarray:
    """Returns where the rows are [m], [N] or [N, 2]; velocity is its change."""
    return self._physics.qpos[:, 0]

  def _healthy(self) -> np.ndarray:
    """Returns a bool array [N]: False where the last step ends the episode."""
    return np.ones(self.batch_size, bool)

  def _contact_cost(self) -> np.ndarray | float:
    """Returns the cost of contact forces [N]; 0 if they cost nothing."""
    return 0.0

  def _alive_bonus(self, healthy: np.ndarray) -> np.ndarray | float:
    """Returns the bonus of a step [N], given which rows are healthy [N]."""
    del healthy
    return 0.0

  def _advance(self, action):
    action = action.astype(np.float64)
    before = self._position()
    self._physics.step(action)
    velocity = (self._position() - before) / self._step_seconds
    healthy = self._healthy()
    terms = RewardTerms(
      velocity,
      self._task_reward(velocity),
      self._control_cost_weight * np.einsum('na,na->n', action, action),
      self._contact_cost(),
      self._alive_bonus(healthy),
    )
    self._reward_terms = terms
    reward = (
      terms.task_reward
      - terms.control_cost
      - terms.contact_cost
      + terms.alive_bonus
    )
    return self._observation(), reward.astype(np.float32), ~healthy

  def _describe_state(self, state):
    # The time, then qpos and qvel, which begin along the track.
    position, speed = state[1], state[1 + self._model.nq]
    return f'{state[0]:.2f} s, speed {speed:.1f} m/s, position {position:.1f} m'

  def _observation(self):
    # qpos and qvel are adjacent in the state: one cast copies both.
    stop = 1 + self._model.nq + self._model.nv
    return self._physics.state[:, 2:stop].astype(np.float32)


class HalfCheetah(Locomotion):
  """The planar two-legged body: 17 observations, 6 torques, 0.05 s a step."""

  def __init__(
    self,
    num_tasks: int,
    environments_per_task: int,
    horizon: int,
    control_cost_weight: float,
    reset_noise_scale: float,
    **body,
  ):
    """Loads the body N = B*E times; for the arguments, see `Locomotion`."""
    super().__init__(
      asset='half_cheetah.xml',
      frame_skip=5,
      num_observations=17,
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
      control_cost_weight=control_cost_weight,
      reset_noise_scale=reset_noise_scale,
      **body,
    )


@gin.configurable
class HalfCheetahDirection(directions.ForwardOrBackward, HalfCheetah):
  """A half-cheetah whose task is to run forward, +1, or backward, -1.

      reward = task * velocity - control_cost_weight * |action|^2

  With the task +1 it equals Gymnasium's HalfCheetah-v5 of the same weight.
  """

  verb = 'runs'

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 100,
    control_cost_weight: float = 0.05,
    reset_noise_scale: float = 0.1,
    balanced: bool = False,
  ):
    """Loads N = B*E half-cheetahs. A step takes 0.05 s.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      control_cost_weight: The cost of a unit of squared action.
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
      reset_noise_scale,
    )


@gin.configurable
class HalfCheetahVelocity(velocities.TargetVelocity, HalfCheetah):
  """A half-cheetah whose task is to run at a given velocity [m/s].

      reward = -|velocity - task| - control_cost_weight * |action|^2

  `set_tasks` accepts any finite velocity, also one that `sample_tasks` never
  draws.
  """

  verb = 'runs'

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 100,
    control_cost_weight: float = 0.05,
    reset_noise_scale: float = 0.1,
    velocity_range: Sequence[float] = (0.0, 2.0),
  ):
    """Loads N = B*E half-cheetahs. A step takes 0.05 s.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      control_cost_weight: The cost of a unit of squared action.
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
      reset_noise_scale,
    )
