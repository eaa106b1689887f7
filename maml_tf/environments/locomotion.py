"""MuJoCo bodies that run in the direction or at the velocity of their task.

The half-cheetah tasks of the MAML paper, https://arxiv.org/abs/1703.03400, with
the body, observations and resets of Gymnasium's HalfCheetah-v5.
"""

import abc
import importlib.util
import os
from typing import NamedTuple

import gin
import numpy as np
from tf_agents.specs import array_spec

from maml_tf.core import checks
from maml_tf.environments import mujoco_batch
from maml_tf.environments import task_environment
from maml_tf.environments.rendering import mujoco_renderer
from maml_tf.environments.rendering import renderer


class RewardTerms(NamedTuple):
  """The terms of one step's rewards.

  Attributes:
    velocity: A float64 array [N], mean forward velocity over the step [m/s].
    task_reward: A float64 array [N], the task's reward for that velocity.
    control_cost: A float64 array [N], the cost of the action.
  """

  velocity: np.ndarray
  task_reward: np.ndarray
  control_cost: np.ndarray


class Locomotion(task_environment.TaskEnvironment):
  """A body whose task rewards its velocity, minus a cost of control.

      reward = task_reward(velocity) - control_cost_weight * |action|^2

  The cost is that of the action before the actuators clamp it to [-1, 1].
  Observations are qpos[1:] and qvel; they omit the position along the track.
  Episodes are truncated at the horizon. They terminate if the physics becomes
  unstable. In the last step of such an episode the body does not move.
  """

  def __init__(
    self,
    asset: str,
    frame_skip: int,
    num_tasks: int,
    environments_per_task: int,
    horizon: int,
    control_cost_weight: float,
    reset_noise_scale: float,
  ):
    """Loads the body N = B*E times.

    Args:
      asset: The file name of the body among Gymnasium's MuJoCo models.
      frame_skip: The number of physics steps in one step.
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      control_cost_weight: The cost of a unit of squared action.
      reset_noise_scale: The scale s of the noise at a reset: uniform in [-s, s]
        on positions [m, rad], normal with standard deviation s on velocities
        [m/s, rad/s].

    Raises:
      ValueError: If an argument is out of range.
    """
    self._control_cost_weight = checks.number(
      'control_cost_weight', control_cost_weight
    )
    self._reset_noise_scale = checks.number(
      'reset_noise_scale', reset_noise_scale, minimum=0
    )
    self._model = mujoco_batch.load_model(asset_path(asset))
    super().__init__(
      observation_spec=array_spec.ArraySpec(
        (self._model.nq - 1 + self._model.nv,), np.float32, 'observation'
      ),
      action_spec=array_spec.BoundedArraySpec(
        (self._model.nu,),
        np.float32,
        *self._model.actuator_ctrlrange.T,
        name='action',
      ),
      task_shape=(),
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
    )
    self._step_seconds = self._model.opt.timestep * frame_skip
    self._physics = mujoco_batch.MujocoBatch(
      self._model, self.batch_size, frame_skip
    )
    self._reward_terms: RewardTerms | None = None

  @property
  def physics(self) -> mujoco_batch.MujocoBatch:
    """The physics, which holds the rows' states in float64."""
    return self._physics

  @property
  def reward_terms(self) -> RewardTerms | None:
    """The last step's reward terms in float64; None before the first step."""
    return self._reward_terms

  def close(self) -> None:
    self._physics.close()

  def render_state(self) -> np.ndarray:
    """Returns the physics states, float64 [N, 1 + nq + nv + na]."""
    return self._physics.state

  def create_renderer(
    self, task: np.ndarray, states: np.ndarray, width: int, height: int
  ) -> renderer.Renderer:
    del task, states  # The camera follows the body. The task is not visible.
    return mujoco_renderer.MujocoRenderer(self._model, width, height)

  @abc.abstractmethod
  def _task_reward(self, velocity: np.ndarray) -> np.ndarray:
    """Returns the task's reward for each row's velocity [m/s]: [N] -> [N]."""

  def _draw_starts(self, generator, num_rows):
    scale = self._reset_noise_scale
    qpos = generator.uniform(-scale, scale, (num_rows, self._model.nq))
    qvel = scale * generator.standard_normal((num_rows, self._model.nv))
    return np.concatenate([self._model.qpos0 + qpos, qvel], axis=1)

  def _reset_rows(self, rows, starts):
    qpos, qvel = np.split(starts, [self._model.nq], axis=1)
    self._physics.set_state(qpos, qvel, rows)
    return self._observation()[rows]

  def _advance(self, action):
    action = action.astype(np.float64)
    before = self._physics.qpos[:, 0]
    self._physics.step(action)
    velocity = (self._physics.qpos[:, 0] - before) / self._step_seconds
    terms = RewardTerms(
      velocity,
      self._task_reward(velocity),
      self._control_cost_weight * np.einsum('na,na->n', action, action),
    )
    self._reward_terms = terms
    reward = (terms.task_reward - terms.control_cost).astype(np.float32)
    return self._observation(), reward, np.zeros(self.batch_size, bool)

  def _unstable_rows(self):
    return self._physics.unstable

  def _observation(self):
    # qpos and qvel are adjacent in the state: one cast copies both.
    stop = 1 + self._model.nq + self._model.nv
    return self._physics.state[:, 2:stop].astype(np.float32)


class _HalfCheetah(Locomotion):
  """The planar two-legged body: 17 observations, 6 torques, 0.05 s a step."""

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 100,
    control_cost_weight: float = 0.05,
    reset_noise_scale: float = 0.1,
  ):
    super().__init__(
      asset='half_cheetah.xml',
      frame_skip=5,
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
      control_cost_weight=control_cost_weight,
      reset_noise_scale=reset_noise_scale,
    )


@gin.configurable
class HalfCheetahDirection(_HalfCheetah):
  """A half-cheetah whose task is to run forward, +1, or backward, -1.

      reward = task * velocity - control_cost_weight * |action|^2

  With the task +1 it equals Gymnasium's HalfCheetah-v5 of the same weight.
  """

  def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws +1 or -1 with equal probability; returns float64 [n]."""
    return np.where(rng.random(n) < 0.5, -1.0, 1.0)

  def _check_tasks(self, tasks):
    if not (np.abs(tasks) == 1).all():
      raise ValueError(
        f'tasks {tasks.tolist()} are not directions: give +1 or -1 for each'
      )

  def _task_reward(self, velocity):
    return self._row_tasks * velocity


@gin.configurable
class HalfCheetahVelocity(_HalfCheetah):
  """A half-cheetah whose task is to run at a given velocity [m/s].

      reward = -|velocity - task| - control_cost_weight * |action|^2

  `set_tasks` accepts any finite velocity, also one that `sample_tasks` never
  draws.
  """

  def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws velocities uniformly from [0, 2] m/s; returns float64 [n]."""
    return rng.uniform(0.0, 2.0, n)

  def _task_reward(self, velocity):
    return -np.abs(velocity - self._row_tasks)


def asset_path(name: str) -> str:
  """Returns the path of one of Gymnasium's MuJoCo models.

  Args:
    name: The file's name, such as 'half_cheetah.xml'.
  """
  # This finds the package without importing it, which saves time.
  spec = importlib.util.find_spec('gymnasium')
  assert spec is not None and spec.submodule_search_locations
  package = spec.submodule_search_locations[0]
  return os.path.join(package, 'envs', 'mujoco', 'assets', name)
