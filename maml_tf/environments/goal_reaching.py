"""A four-legged MuJoCo body that must find a hidden goal.

The task of RLlib's AntRandGoal and of ProMP, https://arxiv.org/abs/1810.06784,
with the body and the resets of Gymnasium's Ant-v5.
"""

from typing import Any
from typing import NamedTuple

import gin
import numpy as np

from maml_tf.core import checks
from maml_tf.environments import mujoco_body
from maml_tf.environments.rendering import mujoco_renderer
from maml_tf.environments.rendering import renderer

# In metres.
_GOAL_DISTANCE = 3.0

_NUM_OBSERVATIONS = 15 + 14 + 14 * 6


class RewardTerms(NamedTuple):
  """The terms of one step's rewards.

  Attributes:
    distance: A float64 array [N], |x - goal x| + |y - goal y| after the step
      [m].
    control_cost: A float64 array [N], the cost of the action.
    contact_cost: A float64 array [N], the cost of the contact forces.
  """

  distance: np.ndarray
  control_cost: np.ndarray
  contact_cost: np.ndarray


@gin.configurable
class AntGoal(mujoco_body.MujocoBody):
  """An ant whose task is a goal in the plane that it never observes.

      reward = -(|x - goal_x| + |y - goal_y|)
               - control_cost_weight * |action|^2
               - contact_cost_weight * |clip(contact forces, -1, 1)|^2

  x and y are the position of the torso after the step. The cost of control is
  that of the action before the actuators clamp it to [-1, 1]. Observations are
  qpos (15, with the position in the plane), qvel (14) and the clipped contact
  forces of all 14 bodies (84): 113 numbers. An episode never terminates, unless
  the physics becomes unstable; it is truncated at the horizon.

  MuJoCo 2 and newer leave contact forces at zero unless they are asked for.
  RLlib's environment does not ask, but its published returns are of MuJoCo 1.5,
  which filled them in. They are computed here.

  `set_tasks` accepts any finite goal, also one that `sample_tasks` never draws.
  """

  def __init__(
    self,
    num_tasks: int = 40,
    environments_per_task: int = 20,
    horizon: int = 200,
    control_cost_weight: float = 0.1,
    contact_cost_weight: float = 0.5e-3,
    reset_noise_scale: float = 0.1,
  ):
    """Loads N = B*E ants. A step takes 0.05 s.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      control_cost_weight: The cost of a unit of squared action.
      contact_cost_weight: The cost of a unit of squared contact force.
      reset_noise_scale: See `MujocoBody`.

    Raises:
      ValueError: If an argument is out of range.
    """
    self._control_cost_weight = checks.number(
      'control_cost_weight', control_cost_weight
    )
    self._contact_cost_weight = checks.number(
      'contact_cost_weight', contact_cost_weight
    )
    super().__init__(
      'ant.xml',
      frame_skip=5,
      num_observations=_NUM_OBSERVATIONS,
      task_shape=(2,),
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
      reset_noise_scale=reset_noise_scale,
      contact_forces=True,
    )
    self._reward_terms: RewardTerms | None = None

  @property
  def reward_terms(self) -> RewardTerms | None:
    """The last step's reward terms in float64; None before the first step."""
    return self._reward_terms

  def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws goals uniformly from a disc of 3 m; returns float64 [n, 2]."""
    angle = rng.uniform(0.0, 2 * np.pi, n)
    # The area inside a radius grows with its square.
    radius = _GOAL_DISTANCE * np.sqrt(rng.uniform(0.0, 1.0, n))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)

  def create_renderer(
    self, task: Any, states: np.ndarray, width: int, height: int
  ) -> renderer.Renderer:
    """Renders the ant from its camera, and the goal as a red ball."""
    return mujoco_renderer.MujocoRenderer(
      self._model,
      width,
      height,
      marker=np.array([*task, 0.2]),
      describe=self._describe_state,
    )

  def _advance(self, action):
    action = action.astype(np.float64)
    self._physics.step(action)
    forces = np.clip(self._physics.contact_forces, -1.0, 1.0)
    terms = RewardTerms(
      np.abs(self._physics.qpos[:, :2] - self._row_tasks).sum(axis=1),
      self._control_cost_weight * np.einsum('na,na->n', action, action),
      self._contact_cost_weight * np.einsum('nbf,nbf->n', forces, forces),
    )
    self._reward_terms = terms
    reward = -(terms.distance + terms.control_cost + terms.contact_cost)
    terminated = np.zeros(self.batch_size, bool)
    return self._observation(), reward.astype(np.float32), terminated

  def _observation(self):
    stop = 1 + self._model.nq + self._model.nv
    forces = np.clip(self._physics.contact_forces, -1.0, 1.0)
    return np.concatenate(
      [self._physics.state[:, 1:stop], forces.reshape(self.batch_size, -1)],
      axis=1,
      dtype=np.float32,
    )
