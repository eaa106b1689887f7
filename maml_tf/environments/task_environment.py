"""A batched environment whose rewards or dynamics depend on a task.

The environment plays B tasks at once, each in E copies. The N = B*E rows of the
batch are grouped by task (row = b*E + e). Every row plays ordinary TF-Agents
episodes: FIRST, MID, ..., LAST, then FIRST again at the next call.
"""

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.environments import py_environment
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from maml_tf.core import checks
from maml_tf.core import random_streams
from maml_tf.environments import tasks as tasks_lib
from maml_tf.environments.rendering import rendered_rows


class TaskEnvironment(
  tasks_lib.TaskFamily,
  rendered_rows.RenderedRows,
  py_environment.PyEnvironment,
):
  """N = B*E environments of B tasks, stepped together.

  Subclasses implement `sample_tasks`, `_draw_starts`, `_reset_rows` and
  `_advance`. They may also implement `task_list`, `_check_tasks`,
  `_truncated_rows`, `_unstable_rows`, `render_state` and `create_renderer`.
  This class handles step types, the horizon, automatic resets and random
  streams. Observations and actions may be nests of arrays.

  Before the first call of `set_tasks`, the environment plays tasks that it
  draws with `sample_tasks`. Before the first call of `seed`, all randomness
  comes from the operating system.

  Attributes:
    _row_tasks: The task of every row, a float64 array [N, ...] or a list of N
      objects. Subclasses read it.
  """

  _row_tasks: Any

  def __init__(
    self,
    observation_spec: types.NestedArraySpec,
    action_spec: types.NestedArraySpec,
    task_shape: Sequence[int] | None,
    num_tasks: int,
    environments_per_task: int,
    horizon: int,
  ):
    """Sets up the specs and counters of N = B*E rows.

    Args:
      observation_spec: An `ArraySpec` [O] of one row's observation, or a nest.
      action_spec: A `BoundedArraySpec` [A] of one row's action, or a nest.
      task_shape: The shape of one task, `()` if it is a number. None: a task
        may be any object.
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps after which an episode is truncated.

    Raises:
      ValueError: If a size is not an integer of at least 1, or a stage has too
        many frames.
    """
    super().__init__()
    self._observation_spec = observation_spec
    self._action_spec = action_spec
    self._task_shape = None if task_shape is None else tuple(task_shape)
    self._num_tasks = checks.integer('num_tasks', num_tasks, 1)
    self._environments_per_task = checks.integer(
      'environments_per_task', environments_per_task, 1
    )
    self._horizon = checks.integer('horizon', horizon, 1)
    checks.integer(
      'num_tasks * episodes_per_task * (horizon + 1)',
      self.batch_size * (self._horizon + 1),
      1,
      checks.MAX_SIZE,
    )

    self._tasks: Any = None  # An array or a list once there are tasks.
    self.seed(np.random.SeedSequence().entropy)
    self._elapsed = np.zeros(self.batch_size, np.int64)
    self._ended = np.zeros(self.batch_size, bool)
    self._resting = np.zeros(self.batch_size, bool)
    self._num_unstable_episodes = 0
    self._no_action = tf.nest.map_structure(self._no_action_part, action_spec)

  @property
  def batched(self) -> bool:
    return True

  @property
  def batch_size(self) -> int:
    """N = B*E, the number of rows."""
    return self._num_tasks * self._environments_per_task

  @property
  def num_tasks(self) -> int:
    """B, the number of tasks."""
    return self._num_tasks

  @property
  def environments_per_task(self) -> int:
    """E, the number of environments that play each task."""
    return self._environments_per_task

  @property
  def horizon(self) -> int:
    """The number of steps after which an episode is truncated."""
    return self._horizon

  @property
  def num_unstable_episodes(self) -> int:
    """The number of episodes that unstable physics has ended so far.

    The count includes episodes that a driver plays but does not keep. It stays
    zero in an environment without physics.
    """
    return self._num_unstable_episodes

  @property
  def steps_outside_python(self) -> bool:
    """Whether most of a step leaves Python's lock to other threads.

    Then the policy can act for some tasks while others are stepped; see
    `task_groups`.
    """
    return False

  def use_threads(self, num_threads: int) -> None:
    """Divides a step over a number of threads, if it is divided at all.

    It changes no result. By default, an environment that uses threads uses as
    many as there are processors.

    Args:
      num_threads: The number of threads, at least 1.
    """
    del num_threads

  @property
  def may_discard(self) -> bool:
    """Whether an episode may end because of a failure; see `discarded`."""
    return False

  @property
  def discarded(self) -> np.ndarray:
    """A bool array [N]: the last step ended an incomplete episode.

    Something failed that has nothing to do with the actions, such as the
    process that plays the row. All False unless `may_discard`.
    """
    return np.zeros(self.batch_size, bool)

  @property
  def success(self) -> np.ndarray | None:
    """A bool array [N]: whether the last step was a success.

    An episode counts as successful if any of its steps is. None: the family
    does not report successes.
    """
    return None

  @property
  def tasks(self) -> Any:
    """The current tasks, a float64 array [B, ...] or a list of B objects."""
    self._ensure_tasks()
    return self._tasks.copy()

  def observation_spec(self) -> types.NestedArraySpec:
    return self._observation_spec

  def action_spec(self) -> types.NestedArraySpec:
    return self._action_spec

  def set_tasks(self, tasks: Any) -> None:
    """Assigns a task to every row. The next step of every row is a reset.

    Args:
      tasks: An array [B, ...] or a list of B objects, one task for each group
        of E rows.

    Raises:
      ValueError: If the tasks have the wrong shape, are not finite, or are not
        tasks of this environment.
    """
    each = self._environments_per_task
    if self._task_shape is None:
      tasks = tasks_lib.check_objects(tasks, self._num_tasks)
      self._check_tasks(tasks)
      self._row_tasks = [task for task in tasks for _ in range(each)]
    else:
      tasks = tasks_lib.check_numbers(tasks, self._num_tasks, self._task_shape)
      self._check_tasks(tasks)
      self._row_tasks = np.repeat(tasks, each, axis=0)
    self._tasks = tasks
    # PyEnvironment.step resets if there is no current time step.
    self._current_time_step = None

  def seed(self, seed: Any) -> None:
    """Gives every task its own stream of random numbers.

    The resets of task b's rows draw only from stream b. So a task starts the
    same way in any company of other tasks.

    Args:
      seed: A sequence of B keys, one a task. A key is a non-negative int or a
        tuple of them. An int s stands for the keys (s, 0), ..., (s, B - 1).

    Raises:
      ValueError: If there are not B keys, or a key holds anything but
        non-negative ints.
    """
    self._generators = [
      random_streams.generator(key)
      for key in random_streams.keys_of_seed(seed, self._num_tasks)
    ]

  def rest(self, rows: np.ndarray) -> None:
    """Lets rows wait at LAST until the next `reset`, instead of starting anew.

    They are not stepped, which saves time. Their observation stays.

    Args:
      rows: A bool array [N]. Rows whose episode has not ended play on.
    """
    self._resting = rows & self._ended

  @abc.abstractmethod
  def _draw_starts(
    self, generator: np.random.Generator, num_rows: int
  ) -> np.ndarray:
    """Draws the random starts of rows of one task.

    Args:
      generator: The task's generator, the only permitted source of randomness.
      num_rows: K, the number of rows that start.

    Returns:
      An array [K, ...] in the order of the rows.
    """

  @abc.abstractmethod
  def _reset_rows(
    self, rows: np.ndarray, starts: np.ndarray
  ) -> types.NestedArray:
    """Puts some rows at the start of an episode.

    Args:
      rows: An int array [K] of increasing row numbers.
      starts: An array [K, ...], the starts that `_draw_starts` drew for them.

    Returns:
      A float32 array [K, O], the observations of these rows, or a nest.
    """

  @abc.abstractmethod
  def _advance(
    self, action: Any
  ) -> tuple[types.NestedArray, np.ndarray, np.ndarray]:
    """Advances every row by one step.

    Args:
      action: An array [N, A], or a nest. In rows whose episode has ended
        (`_ended`), it is zero, or the value of the spec that is closest to
        zero. The results for these rows are ignored.

    Returns:
      observation: A float32 array [N, O], or a nest.
      reward: A float32 array [N].
      terminated: A bool array [N]: True where the episode has terminated.
      Observation and reward should be new arrays at every call. Rollouts copy
      them, but stock TF-Agents drivers do not.
    """

  def _truncated_rows(self) -> np.ndarray:
    """Returns a bool array [N]: True where the last `_advance` cut an episode.

    The horizon cuts episodes besides. Truncation is not an end of the task: the
    value of the last state still counts.
    """
    return np.zeros(self.batch_size, bool)

  def _unstable_rows(self) -> np.ndarray:
    """Returns a bool array [N]: True where physics failed in `_advance`.

    The episodes of these rows end as terminated.
    """
    return np.zeros(self.batch_size, bool)

  def _reset(self):
    self._ensure_tasks()
    self._elapsed[:] = 0
    self._ended = np.zeros(self.batch_size, bool)
    self._resting = np.zeros(self.batch_size, bool)
    return ts.TimeStep(
      np.full(self.batch_size, ts.StepType.FIRST, np.int32),
      np.zeros(self.batch_size, np.float32),
      np.ones(self.batch_size, np.float32),
      self._start(np.arange(self.batch_size)),
    )

  def _step(self, action):
    if isinstance(self._action_spec, array_spec.ArraySpec):
      action = self._checked_action(action, self._action_spec)
    else:
      action = tf.nest.map_structure(
        self._checked_action, action, self._action_spec
      )
    resting = np.flatnonzero(self._resting)
    starting = np.flatnonzero(self._ended & ~self._resting)
    if starting.size == self.batch_size:
      return self._reset()
    kept: Any = ()
    if resting.size:
      # Before `_advance`, which may write to the arrays that it returned.
      last: Any = self._current_time_step
      kept = tf.nest.map_structure(lambda a: a[resting], last.observation)
    if starting.size or resting.size:
      action = _with_rows(action, self._ended, self._no_action)

    observation, reward, terminated = self._advance(action)
    unstable = self._unstable_rows() & ~self._ended
    self._num_unstable_episodes += np.count_nonzero(unstable)
    terminated = terminated | unstable
    self._elapsed += 1
    ended = terminated | self._truncated_rows() | self._resting
    ended |= self._elapsed >= self._horizon
    step_type = np.where(ended, ts.StepType.LAST, ts.StepType.MID)
    discount = np.where(terminated, np.float32(0), np.float32(1))
    # Copies: the arrays of `_advance` may be part of its state.
    if resting.size:
      observation = _with_rows(observation, resting, kept)
      reward = _with_rows(reward, resting, 0)
    if starting.size:
      starts = self._start(starting)
      observation = _with_rows(observation, starting, starts)
      reward = _with_rows(reward, starting, 0)
      discount[starting] = 1
      step_type[starting] = ts.StepType.FIRST
      self._elapsed[starting] = 0
      ended[starting] = False
    self._ended = ended
    return ts.TimeStep(step_type, reward, discount, observation)

  def _checked_action(self, action, spec):
    action = np.asarray(action)
    expected = (self.batch_size, *spec.shape)
    if action.shape != expected:
      raise ValueError(f'action has shape {action.shape}, expected {expected}')
    return action

  def _no_action_part(self, spec):
    """The value of a part of the action spec that is closest to zero."""
    if isinstance(spec, array_spec.BoundedArraySpec):
      zero = np.clip(0, spec.minimum, spec.maximum)
      return np.broadcast_to(zero, spec.shape).astype(spec.dtype)
    return np.zeros(spec.shape, spec.dtype)

  def _ensure_tasks(self):
    """Draws tasks if there are none yet."""
    if self._tasks is None:
      self.set_tasks(
        self.sample_tasks(self._num_tasks, np.random.default_rng())
      )

  def _start(self, rows):
    """Resets rows [K], each from its task's stream; returns [K, O]."""
    counts = np.bincount(rows // self._environments_per_task)
    starts = [
      self._draw_starts(self._generators[b], int(counts[b]))
      for b in np.flatnonzero(counts)
    ]
    return self._reset_rows(rows, np.concatenate(starts))


def _with_rows(nest, rows, values):
  """Returns copies of arrays [N, ...] with other values in some rows."""

  def replace(array, value):
    array = array.copy()
    array[rows] = value
    return array

  return tf.nest.map_structure(replace, nest, values)
