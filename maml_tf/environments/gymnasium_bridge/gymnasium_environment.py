"""A Gymnasium environment, single or vectorised, as a TF-Agents environment."""

from collections.abc import Sequence
import numbers
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from tf_agents.environments import py_environment
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from maml_tf.core import checks
from maml_tf.environments import mujoco_batch
from maml_tf.environments.gymnasium_bridge import gymnasium_spaces
from maml_tf.environments.gymnasium_bridge import supervised_environments

_AutoresetMode = gymnasium.vector.AutoresetMode

# Gymnasium's half-cheetah would have MuJoCo write a file about it.
mujoco_batch.route_warnings()


class GymnasiumEnvironment(py_environment.PyEnvironment):
  """Plays a `gymnasium.Env`, or the N rows of a `gymnasium.vector.VectorEnv`.

  Episodes are TF-Agents': FIRST, MID, ..., LAST, and the step after LAST starts
  the row anew whatever its action. A terminated episode ends with discount 0, a
  truncated one with 1. Specs are those of `gymnasium_spaces.to_spec`: float64
  observations and all rewards become float32. Actions beyond the bounds of a
  `Box` are clipped on their way in; who acted keeps what was sampled.

  With `supervised_environments.SupervisedVectorEnv` a row whose process fails
  ends as truncated, and `discarded` says so.
  """

  def __init__(self, environment: gymnasium.Env | gymnasium.vector.VectorEnv):
    """Wraps an environment, which this one closes.

    Args:
      environment: What `gymnasium.make` or `gymnasium.make_vec` gives. A vector
        environment must reset a row at the step after its end, which is
        Gymnasium's default (`AutoresetMode.NEXT_STEP`), or leave it to the
        caller (`DISABLED`). Then a row that ends before others do is reset
        twice, since it cannot stand still while they are stepped.

    Raises:
      ValueError: It is not of Gymnasium, a space has no spec, or its rows are
        reset at the step that ends them, which hides what comes after an end.
    """
    super().__init__(handle_auto_reset=True)
    if isinstance(environment, gymnasium.vector.VectorEnv):
      self._batch_shape = (environment.num_envs,)
      self._resets_rows = _resets_rows(environment)
      self._observation_space = environment.single_observation_space
      self._action_space = environment.single_action_space
    elif isinstance(environment, gymnasium.Env):
      self._batch_shape = ()
      self._resets_rows = True
      self._observation_space = environment.observation_space
      self._action_space = environment.action_space
    else:
      raise ValueError(
        f'the environment is {environment!r}: give a gymnasium.Env or a'
        ' gymnasium.vector.VectorEnv, as gymnasium.make and make_vec do'
      )
    self._gym = environment
    self._observation_spec = gymnasium_spaces.to_spec(
      self._observation_space, 'observation'
    )
    self._action_spec = gymnasium_spaces.to_spec(self._action_space, 'action')
    self._seed = None
    self._info = None
    self._ended = np.zeros(self._batch_shape, bool)
    self._discarded = np.zeros(self._batch_shape, bool)

  @property
  def gym(self) -> gymnasium.Env | gymnasium.vector.VectorEnv:
    """The environment that is wrapped."""
    return self._gym

  @property
  def batched(self) -> bool:
    return bool(self._batch_shape)

  @property
  def batch_size(self) -> int | None:
    """N of a vector environment, None of a single one."""
    return self._batch_shape[0] if self.batched else None

  @property
  def discarded(self) -> np.ndarray:
    """A bool array, [N] or []: the last step ended what is no whole episode.

    The process of the row has failed, which says nothing about the actions.
    """
    return self._discarded

  def observation_spec(self) -> types.NestedArraySpec:
    return self._observation_spec

  def action_spec(self) -> types.NestedArraySpec:
    return self._action_spec

  def seed(self, seed: int | Sequence[int]) -> None:
    """Sets what the next `reset` of all rows is seeded with.

    Args:
      seed: A non-negative int; for a vector environment also N of them, one a
        row. Gymnasium's vector environments take s for s, ..., s + N - 1.

    Raises:
      ValueError: It is something else.
    """
    if isinstance(seed, numbers.Integral) or not self.batched:
      self._seed = checks.integer('seed', seed, 0)
      return
    seeds = list(seed) if np.iterable(seed) else []
    if len(seeds) != self.batch_size:
      raise ValueError(
        f'seed is {seed!r}: give one int, or one for each of'
        f' {self.batch_size} rows'
      )
    self._seed = [checks.integer('seed', s, 0) for s in seeds]

  def get_info(self) -> dict[str, Any] | None:
    """Returns Gymnasium's info of the last step or reset."""
    return self._info

  def render(self, mode: str = 'rgb_array') -> np.ndarray | None:
    """Draws what the environment shows now.

    Args:
      mode: The `render_mode` that the environment was made with.

    Returns:
      A uint8 array [H, W, 3], of a vector environment [N, H, W, 3]; None where
      the mode shows a window.

    Raises:
      ValueError: The environment was made with another render mode.
    """
    if mode != self._gym.render_mode:
      raise ValueError(
        f'the environment was made with render_mode={self._gym.render_mode!r}:'
        f' give gymnasium.make render_mode={mode!r}'
      )
    frames = self._gym.render()
    if mode == 'human':
      return None
    return np.stack(frames) if self.batched else frames

  def close(self) -> None:
    self._gym.close()

  def _reset(self):
    seed, self._seed = self._seed, None
    observation, self._info = self._gym.reset(seed=seed)
    self._ended = np.zeros(self._batch_shape, bool)
    self._discarded = np.zeros(self._batch_shape, bool)
    return ts.TimeStep(
      np.full(self._batch_shape, ts.StepType.FIRST, np.int32),
      np.zeros(self._batch_shape, np.float32),
      np.ones(self._batch_shape, np.float32),
      gymnasium_spaces.to_arrays(self._observation_space, observation),
    )

  def _step(self, action):
    action = gymnasium_spaces.to_value(
      self._action_space, action, self._batch_shape
    )
    starting = self._ended
    resets = starting.any() and not self._resets_rows
    if resets:
      self._reset_rows(starting)
    observation, reward, terminated, truncated, self._info = self._gym.step(
      action
    )
    observation = gymnasium_spaces.to_arrays(
      self._observation_space, observation
    )
    if resets:
      observation = _choose(starting, self._reset_rows(starting), observation)

    terminated = np.asarray(terminated, bool) & ~starting
    self._ended = terminated | (np.asarray(truncated, bool) & ~starting)
    self._discarded = self._ended & np.asarray(
      self._info.get(supervised_environments.EPISODE_DISCARDED, False), bool
    )
    step_type = np.where(self._ended, ts.StepType.LAST, ts.StepType.MID)
    reward = np.asarray(reward, np.float32).reshape(self._batch_shape)
    return ts.TimeStep(
      np.where(starting, ts.StepType.FIRST, step_type),
      np.where(starting, np.float32(0), reward),
      np.where(terminated, np.float32(0), np.float32(1)),
      observation,
    )

  def _reset_rows(self, rows):
    """Resets the rows of a mask [N]; returns observations, of those rows."""
    observation, _ = self._gym.reset(options={'reset_mask': rows.copy()})
    return gymnasium_spaces.to_arrays(self._observation_space, observation)


def _resets_rows(environment):
  """Whether a vector environment resets its rows, at the step after their end.

  Raises:
    ValueError: It resets them at another time, or does not say when.
  """
  # Vector environments of one class share their metadata: the last one made
  # has written its mode there, so what the environment itself says comes first.
  mode = getattr(environment.unwrapped, 'autoreset_mode', None)
  mode = mode or environment.metadata.get('autoreset_mode')
  if mode in (_AutoresetMode.NEXT_STEP, _AutoresetMode.DISABLED):
    return mode == _AutoresetMode.NEXT_STEP
  if mode == _AutoresetMode.SAME_STEP:
    raise ValueError(
      'the vector environment resets rows at the step that ends them: make it'
      ' with autoreset_mode=gymnasium.vector.AutoresetMode.NEXT_STEP'
    )
  raise ValueError(
    'the vector environment does not say when it resets rows: set its'
    " metadata['autoreset_mode'] to a gymnasium.vector.AutoresetMode"
  )


def _choose(rows, where, elsewhere):
  """Takes the rows of a mask [N] from one nest, the others from another."""

  def choose(a, b):
    return np.where(rows.reshape([-1] + [1] * (a.ndim - 1)), a, b)

  return tf.nest.map_structure(choose, where, elsewhere)
