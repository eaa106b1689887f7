"""A Gymnasium environment, single or vectorised, as a TF-Agents environment."""

import numbers
from typing import Any
from typing import cast

import gymnasium
import numpy as np
import tensorflow as tf
from tf_agents.environments import py_environment
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from maml_tf.core import checks
from maml_tf.core import plain_texts
from maml_tf.environments import mujoco_batch
from maml_tf.environments.gymnasium_bridge import gymnasium_spaces
from maml_tf.environments.gymnasium_bridge import returned_values
from maml_tf.environments.gymnasium_bridge import supervised_environments

_AutoresetMode = gymnasium.vector.AutoresetMode

# Otherwise Gymnasium's half-cheetah would make MuJoCo write a log file.
mujoco_batch.route_warnings()


class GymnasiumEnvironment(py_environment.PyEnvironment):
  """Plays a `gymnasium.Env`, or the N rows of a `gymnasium.vector.VectorEnv`.

  Episodes follow TF-Agents: FIRST, MID, ..., LAST. The step after LAST ignores
  its action and resets the row. A terminated episode ends with discount 0, a
  truncated one with discount 1. `gymnasium_spaces.to_spec` defines the specs:
  float64 observations and all rewards become float32. The environment clips
  actions to the bounds of a `Box`. Trajectories keep the sampled actions.

  What `reset` and `step` return is compared with the spaces; `returned_values`
  lists the errors. The first observations are also compared with their bounds.

  In a `supervised_environments.SupervisedVectorEnv`, the failure of a row's
  process truncates the row's episode. `discarded` then marks the row.
  """

  def __init__(self, environment: gymnasium.Env | gymnasium.vector.VectorEnv):
    """Wraps a Gymnasium environment and takes over closing it.

    Args:
      environment: An environment of `gymnasium.make` or `gymnasium.make_vec`. A
        vector environment must reset a row at the step after the row's end
        (`AutoresetMode.NEXT_STEP`, Gymnasium's default) or leave resets to its
        caller (`AutoresetMode.DISABLED`). In the second case, a row that ends
        early is reset twice: it cannot pause while the others are stepped.

    Raises:
      ValueError: If the environment is not a Gymnasium environment, a space is
        missing or has no spec, its `reset` takes no seed, or rows are reset at
        the step that ends them, which hides their last observation.
    """
    super().__init__(handle_auto_reset=True)
    if not isinstance(environment, (gymnasium.Env, gymnasium.vector.VectorEnv)):
      raise ValueError(
        f'the environment is {environment!r}: give a gymnasium.Env or a'
        ' gymnasium.vector.VectorEnv, from gymnasium.make or make_vec'
      )
    self._interface = returned_values.interface_of(environment)
    self._batch_shape = self._interface.batch_shape
    self._observation_space = self._interface.observation_space
    self._action_space: Any
    if isinstance(environment, gymnasium.vector.VectorEnv):
      self._resets_rows = _resets_rows(environment)
      self._action_space = environment.single_action_space
    else:
      self._resets_rows = True
      self._action_space = environment.action_space
    self._gym = environment
    # The methods whose values have not yet been compared with all bounds.
    # `SupervisedVectorEnv` compares them itself.
    is_supervised = isinstance(
      environment.unwrapped, supervised_environments.SupervisedVectorEnv
    )
    self._unseen = set() if is_supervised else {'reset', 'step'}
    self._observation_spec = gymnasium_spaces.to_spec(
      self._observation_space, 'observation'
    )
    self._action_spec = gymnasium_spaces.to_spec(self._action_space, 'action')
    self._seed: Any = None
    self._info: dict[str, Any] | None = None
    self._ended = np.zeros(self._batch_shape, bool)
    self._discarded = np.zeros(self._batch_shape, bool)

  @property
  def gym(self) -> gymnasium.Env | gymnasium.vector.VectorEnv:
    """The wrapped environment."""
    return self._gym

  @property
  def batched(self) -> bool:
    return bool(self._batch_shape)

  @property
  def batch_size(self) -> int | None:
    """N for a vector environment, None for a single one."""
    return self._batch_shape[0] if self.batched else None

  @property
  def discarded(self) -> np.ndarray:
    """A bool array, [N] or []: the last step ended an incomplete episode.

    The row's process failed for a reason that is unrelated to the actions.
    """
    return self._discarded

  def observation_spec(self) -> types.NestedArraySpec:
    return self._observation_spec

  def action_spec(self) -> types.NestedArraySpec:
    return self._action_spec

  def seed(self, seed: Any) -> None:
    """Sets the seed of the next `reset` of all rows.

    Args:
      seed: A non-negative int, or for a vector environment N of them, one for
        each row. An int s stands for s, ..., s + N - 1.

    Raises:
      ValueError: If the seed has another form.
    """
    if isinstance(seed, numbers.Integral) or not self.batched:
      self._seed = checks.integer('seed', cast(int, seed), 0)
      return
    seeds = list(seed) if np.iterable(seed) else []
    if len(seeds) != self.batch_size:
      raise ValueError(
        f'seed is {plain_texts.of(seed)}: give one int, or one for each'
        f' of {self.batch_size} rows'
      )
    self._seed = [checks.integer('seed', s, 0) for s in seeds]

  def get_info(self) -> dict[str, Any] | None:
    """Returns Gymnasium's info of the last step or reset."""
    return self._info

  def render(self, mode: str = 'rgb_array') -> np.ndarray | None:
    """Renders the current state.

    Args:
      mode: The `render_mode` that the environment was created with.

    Returns:
      A uint8 array [H, W, 3], or [N, H, W, 3] for a vector environment. None if
      the mode is 'human', which shows a window.

    Raises:
      ValueError: If the environment, or a row, was created with another render
        mode.
    """
    if mode != self._gym.render_mode:
      raise ValueError(
        f'the environment was made with render_mode={self._gym.render_mode!r}:'
        f' call gymnasium.make with render_mode={mode!r}'
      )
    frames: Any = self._gym.render()
    if mode == 'human':
      return None
    if not self.batched:
      return frames
    missing = [row for row, frame in enumerate(frames) if frame is None]
    if missing:
      raise ValueError(
        f'row {missing[0]} gave no picture: make all rows with'
        f' render_mode={mode!r}'
      )
    return np.stack(frames)

  def close(self) -> None:
    self._gym.close()

  def _reset(self):
    seed, self._seed = self._seed, None
    observation, self._info = self._call_reset(seed=seed)
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
    observation, reward, terminated, truncated, self._info = self._call_step(
      action
    )
    observation = gymnasium_spaces.to_arrays(
      self._observation_space, observation
    )
    if resets:
      observation = _choose(starting, self._reset_rows(starting), observation)

    terminated = self._to_rows(terminated, bool) & ~starting
    self._ended = terminated | (self._to_rows(truncated, bool) & ~starting)
    self._discarded = self._ended & np.asarray(
      self._info.get(supervised_environments.EPISODE_DISCARDED, False), bool
    )
    step_type = np.where(self._ended, ts.StepType.LAST, ts.StepType.MID)
    reward = self._to_rows(reward, np.float32)
    return ts.TimeStep(
      np.where(starting, ts.StepType.FIRST, step_type),
      np.where(starting, np.float32(0), reward),
      np.where(terminated, np.float32(0), np.float32(1)),
      observation,
    )

  def _reset_rows(self, rows):
    """Resets the rows of a mask [N] and returns observations [N, ...].

    Only the observations of those rows are meaningful.
    """
    observation, _ = self._call_reset(options={'reset_mask': rows.copy()})
    return gymnasium_spaces.to_arrays(self._observation_space, observation)

  def _call_reset(self, **arguments):
    """Resets the environment and returns checked values."""
    try:
      returned = self._gym.reset(**arguments)
    except (TypeError, ValueError) as error:
      returned_values.explain(self._interface, 'reset', error)
      raise
    return returned_values.check_reset(
      self._interface, returned, self._is_first('reset')
    )

  def _call_step(self, action):
    """Steps the environment and returns checked values."""
    try:
      returned = self._gym.step(action)
    except (TypeError, ValueError) as error:
      returned_values.explain(self._interface, 'step', error)
      raise
    return returned_values.check_step(
      self._interface, returned, self._is_first('step')
    )

  def _is_first(self, method):
    is_first = method in self._unseen
    self._unseen.discard(method)
    return is_first

  def _to_rows(self, values, dtype):
    return np.asarray(values, dtype).reshape(self._batch_shape)


def _resets_rows(environment):
  """Returns whether a vector environment itself resets rows that have ended.

  Raises:
    ValueError: If it resets them at another time than the step after their end,
      or does not declare the time.
  """
  # Vector environments of one class share their metadata, which holds the mode
  # of the newest one. So the environment's own attribute takes precedence.
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
    'the vector environment does not declare when it resets rows: set its'
    " metadata['autoreset_mode'] to a gymnasium.vector.AutoresetMode"
  )


def _choose(rows, where, elsewhere):
  """Takes the rows of a mask [N] from one nest and the rest from another."""

  def choose(a, b):
    return np.where(rows.reshape([-1] + [1] * (a.ndim - 1)), a, b)

  return tf.nest.map_structure(choose, where, elsewhere)
