"""MuJoCo bodies that a task tells where to run.

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
from maml_tf.environments.painting import mujoco_painter


class RewardTerms(NamedTuple):
  """What the rewards of one step are made of.

  Attributes:
    velocity: A float64 array [N], mean forward velocity over the step [m/s].
    task_reward: A float64 array [N], what the task pays for that velocity.
    control_cost: A float64 array [N], the price of the action.
  """

  velocity: np.ndarray
  task_reward: np.ndarray
  control_cost: np.ndarray


class Locomotion(task_environment.TaskEnvironment):
  """A body whose reward is what its task pays for velocity, less the effort.

      reward = task_reward(velocity) - control_cost_weight * |action|^2

  The cost is that of the action as the policy gave it; the actuators clamp the
  control to [-1, 1]. Observations are qpos[1:] and qvel: where the body is
  along its track is hidden. Episodes end at the horizon, or where the physics
  becomes unstable: the last step is then one that does not move the body.
  """

  def __init__(
    self,
    asset,
    frame_skip,
    num_tasks,
    environments_per_task,
    horizon,
    control_cost_weight,
    reset_noise_scale,
  ):
    """Loads the body N = B*E times.

    Args:
      asset: The file name of the body among Gymnasium's MuJoCo models.
      frame_skip: The number of physics steps in one step.
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      control_cost_weight: The price of a unit of squared action.
      reset_noise_scale: Starting positions deviate from the model's by uniform
        noise up to this, velocities by normal noise of this deviation.
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
    self._reward_terms = None

  @property
  def physics(self):
    """The `MujocoBatch` that holds the rows' uncast states."""
    return self._physics

  @property
  def reward_terms(self):
    """The last step's uncast `RewardTerms`; None before the first."""
    return self._reward_terms

  def close(self):
    self._physics.close()

  def picture_states(self):
    return self._physics.state

  def create_painter(self, task, states, width, height):
    del task, states  # The camera runs along; who is told where, can't be seen.
    return mujoco_painter.MujocoPainter(self._model, width, height)

  @abc.abstractmethod
  def _task_reward(self, velocity):
    """What each row's task pays for its velocity [m/s]: [N] -> [N]."""

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
    # qpos and qvel are neighbours in the state: one cast copies both.
    stop = 1 + self._model.nq + self._model.nv
    return self._physics.state[:, 2:stop].astype(np.float32)


class _HalfCheetah(Locomotion):
  """The planar two-legged body: 17 observations, 6 torques, 0.05 s a step."""

  def __init__(
    self,
    num_tasks=40,
    environments_per_task=20,
    horizon=100,
    control_cost_weight=0.05,
    reset_noise_scale=0.1,
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
  """A half-cheetah that a task, +1 or -1, tells to run forward or backward.

      reward = task * velocity - control_cost_weight * |action|^2

  For the task +1 this is Gymnasium's HalfCheetah-v5 with that weight.
  """

  def sample_tasks(self, n, rng):
    """Draws +1 or -1, equally likely; returns float64 [n]."""
    return np.where(rng.random(n) < 0.5, -1.0, 1.0)

  def _check_tasks(self, tasks):
    if not (np.abs(tasks) == 1).all():
      raise ValueError(
        f'tasks {tasks.tolist()} are no directions: give +1 or -1 for each'
      )

  def _task_reward(self, velocity):
    return self._row_tasks * velocity


@gin.configurable
class HalfCheetahVelocity(_HalfCheetah):
  """A half-cheetah that a task tells to run at a given velocity [m/s].

      reward = -|velocity - task| - control_cost_weight * |action|^2

  Any finite velocity can be set, also beyond those that are drawn.
  """

  def sample_tasks(self, n, rng):
    """Draws target velocities uniform in [0, 2] m/s; returns float64 [n]."""
    return rng.uniform(0.0, 2.0, n)

  def _task_reward(self, velocity):
    return -np.abs(velocity - self._row_tasks)


def asset_path(name):
  """The path of one of Gymnasium's MuJoCo models."""
  # Found without an import of Gymnasium, which this module has no use for.
  package = importlib.util.find_spec('gymnasium').submodule_search_locations[0]
  return os.path.join(package, 'envs', 'mujoco', 'assets', name)
