"""A batched environment whose rewards or dynamics a task sets.

B tasks are played at once, each in E copies: the N = B*E rows of the batch are
grouped by task (row = b*E + e). Every row is an ordinary TF-Agents episode:
FIRST, MID, ..., LAST, then FIRST again at the next call.
"""

import abc
import numbers

import numpy as np
from tf_agents.environments import py_environment
from tf_agents.trajectories import time_step as ts

from maml_tf.core import checks
from maml_tf.core import errors
from maml_tf.core import random_streams

# Well within float32, so that what an environment makes of it still is.
_LARGEST_NUMBER = 1e30


class TaskEnvironment(py_environment.PyEnvironment):
  """N = B*E environments of B tasks, stepped together.

  Subclasses implement `sample_tasks`, `_draw_starts`, `_reset_rows`, `_advance`
  and, where needed, `_check_tasks` and `_unstable_rows`; step types, the
  horizon, automatic resets and random streams are decided here. `_row_tasks`, a
  float64 array [N, ...], holds the task of every row.

  Until `set_tasks` is called, the tasks are drawn by `sample_tasks`, and until
  `seed` is called all randomness comes from the operating system.
  """

  def __init__(
    self,
    observation_spec,
    action_spec,
    task_shape,
    num_tasks,
    environments_per_task,
    horizon,
  ):
    """Makes the specs and counters of N = B*E rows.

    Args:
      observation_spec: An `ArraySpec` [O] of one row's observation.
      action_spec: A `BoundedArraySpec` [A] of one row's action.
      task_shape: The shape of one task, `()` for a number.
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps after which an episode is cut off.

    Raises:
      ValueError: If a size is not an integer of at least 1, or a stage has too
        many frames.
    """
    super().__init__()
    self._observation_spec = observation_spec
    self._action_spec = action_spec
    self._task_shape = tuple(task_shape)
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

    self._tasks = None
    self._row_tasks = None
    self.seed(np.random.SeedSequence().entropy)
    self._elapsed = np.zeros(self.batch_size, np.int64)
    self._ended = np.zeros(self.batch_size, bool)
    self._num_unstable_episodes = 0

  @property
  def batched(self):
    return True

  @property
  def batch_size(self):
    """N = B*E, the number of rows."""
    return self._num_tasks * self._environments_per_task

  @property
  def num_tasks(self):
    """B, the number of tasks."""
    return self._num_tasks

  @property
  def environments_per_task(self):
    """E, the number of environments that play each task."""
    return self._environments_per_task

  @property
  def horizon(self):
    """The number of steps after which an episode is cut off."""
    return self._horizon

  @property
  def num_unstable_episodes(self):
    """How many episodes unstable physics has ended, of all that were played.

    It counts from the making of the environment on, and also what drivers play
    on behind the episodes that they keep. Zero where there is no physics.
    """
    return self._num_unstable_episodes

  @property
  def tasks(self):
    """The current tasks, a float64 array [B, ...]."""
    self._ensure_tasks()
    return self._tasks.copy()

  def observation_spec(self):
    return self._observation_spec

  def action_spec(self):
    return self._action_spec

  @abc.abstractmethod
  def sample_tasks(self, n, rng):
    """Draws independent tasks; changes nothing in the environment.

    Args:
      n: How many tasks to draw, any number: it need not be B.
      rng: The `np.random.Generator` to draw from.

    Returns:
      A float64 array [n, ...].
    """

  def set_tasks(self, tasks):
    """Gives every row its task; the next step of every row is a reset.

    Args:
      tasks: An array [B, ...], one task for each group of E rows.

    Raises:
      ValueError: If the tasks have another shape, are not finite, or are not
        tasks of this environment.
    """
    expected = (self._num_tasks,) + self._task_shape
    try:
      given = np.asarray(tasks)
      # NumPy would drop imaginary parts, and take dates and texts for numbers.
      if given.dtype.kind not in 'biufO':
        raise TypeError(f'they are of type {given.dtype}')
      tasks = np.array(given, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
      raise ValueError(
        f'tasks must be numbers of shape {expected}: {error}'
      ) from None
    if tasks.shape != expected:
      raise ValueError(
        f'tasks has shape {tasks.shape}, but this environment plays '
        f'{self._num_tasks} tasks: give an array of shape {expected}'
      )
    if not np.isfinite(tasks).all():
      raise ValueError(f'tasks must be finite numbers, not {tasks.tolist()}')
    if (np.abs(tasks) > _LARGEST_NUMBER).any():
      raise ValueError(
        f'tasks {tasks.tolist()} are too large for float32 rewards: give'
        f' numbers from {-_LARGEST_NUMBER:g} to {_LARGEST_NUMBER:g}'
      )
    self._check_tasks(tasks)
    self._tasks = tasks
    self._row_tasks = np.repeat(tasks, self._environments_per_task, axis=0)
    # PyEnvironment.step resets whenever there is no current time step.
    self._current_time_step = None

  def seed(self, seed):
    """Gives every task its own stream of random numbers.

    The resets of task b's rows draw from stream b only, so a task starts alike
    whichever other tasks share its environment.

    Args:
      seed: B keys, one a task, each a non-negative int or a tuple of them; or
        one int s, which stands for the keys (s, 0), ..., (s, B - 1).

    Raises:
      ValueError: If the number of keys is not B or a key is not of such ints.
    """
    if isinstance(seed, numbers.Integral):
      keys = [(seed, b) for b in range(self._num_tasks)]
    else:
      keys = list(seed) if np.iterable(seed) else [seed]
    if len(keys) != self._num_tasks:
      raise ValueError(
        f'seed has {len(keys)} keys for {self._num_tasks} tasks: give one int, '
        'or one key for each task'
      )
    self._generators = [
      random_streams.generator(_checked_key(key)) for key in keys
    ]

  def picture_states(self):
    """What has to be known of the rows to draw them: an array [N, S]."""
    raise errors.UsageError(self._not_drawn())

  def create_painter(self, task, states, width, height):
    """Makes what draws one row.

    Args:
      task: The row's task.
      states: All that may be drawn, [K, S]: a picture may have to hold it all.
      width: Pixels from left to right.
      height: Pixels from above to below.

    Returns:
      A `Painter`.

    Raises:
      errors.UsageError: It cannot be drawn, or not on this machine.
    """
    raise errors.UsageError(self._not_drawn())

  def _not_drawn(self):
    return (
      f'{type(self).__name__} cannot be drawn: give it the methods'
      ' picture_states and create_painter'
    )

  def _check_tasks(self, tasks):
    """Raises ValueError if the finite array [B, ...] has an impossible task."""
    del tasks  # Where a subclass says nothing, any numbers will do.

  @abc.abstractmethod
  def _draw_starts(self, generator, num_rows):
    """Draws what the rows of one task start from.

    Args:
      generator: The task's `np.random.Generator`, the only source to draw from.
      num_rows: K, how many rows start.

    Returns:
      An array [K, ...] in the order of the rows.
    """

  @abc.abstractmethod
  def _reset_rows(self, rows, starts):
    """Puts some rows at the start of an episode.

    Args:
      rows: An int array [K] of increasing row numbers.
      starts: An array [K, ...] of what `_draw_starts` gave for them.

    Returns:
      A float32 array [K, O], the observations of these rows.
    """

  @abc.abstractmethod
  def _advance(self, action):
    """Advances every row by one step.

    Args:
      action: An array [N, A]. Zero for rows that are about to be reset; what
        is returned for those is not used.

    Returns:
      observation: A float32 array [N, O].
      reward: A float32 array [N].
      terminated: A bool array [N], whether the episode ended before its time.
      The first two are new arrays at every call: the caller writes to them.
    """

  def _unstable_rows(self):
    """Which rows the physics could not advance at the last `_advance`.

    Their episodes end there as terminated.

    Returns:
      A bool array [N].
    """
    return np.zeros(self.batch_size, bool)

  def _reset(self):
    self._ensure_tasks()
    self._elapsed[:] = 0
    self._ended = np.zeros(self.batch_size, bool)
    return ts.TimeStep(
      np.full(self.batch_size, ts.StepType.FIRST, np.int32),
      np.zeros(self.batch_size, np.float32),
      np.ones(self.batch_size, np.float32),
      self._start(np.arange(self.batch_size)),
    )

  def _step(self, action):
    action = np.asarray(action)
    if action.shape != (self.batch_size,) + self._action_spec.shape:
      raise ValueError(
        f'action has shape {action.shape}, expected '
        f'{(self.batch_size,) + self._action_spec.shape}'
      )
    starting = np.flatnonzero(self._ended)
    if starting.size == self.batch_size:
      return self._reset()
    if starting.size:
      action = action.copy()
      action[starting] = 0

    observation, reward, terminated = self._advance(action)
    unstable = self._unstable_rows() & ~self._ended
    self._num_unstable_episodes += np.count_nonzero(unstable)
    terminated = terminated | unstable
    self._elapsed += 1
    ended = terminated | (self._elapsed >= self._horizon)
    step_type = np.where(ended, ts.StepType.LAST, ts.StepType.MID)
    discount = np.where(terminated, np.float32(0), np.float32(1))
    if starting.size:
      observation[starting] = self._start(starting)
      reward[starting] = 0
      discount[starting] = 1
      step_type[starting] = ts.StepType.FIRST
      self._elapsed[starting] = 0
      ended[starting] = False
    self._ended = ended
    return ts.TimeStep(step_type, reward, discount, observation)

  def _ensure_tasks(self):
    if self._tasks is None:
      self.set_tasks(
        self.sample_tasks(self._num_tasks, np.random.default_rng())
      )

  def _start(self, rows):
    """Resets rows [K], each from its task's stream; returns [K, O]."""
    counts = np.bincount(rows // self._environments_per_task)
    starts = [
      self._draw_starts(self._generators[b], counts[b])
      for b in np.flatnonzero(counts)
    ]
    return self._reset_rows(rows, np.concatenate(starts))


def _checked_key(key):
  """Returns a random stream's key as a tuple of non-negative ints."""
  words = tuple(key) if np.iterable(key) else (key,)
  for word in words:
    if not isinstance(word, numbers.Integral) or word < 0:
      raise ValueError(f'seed {key!r}: give non-negative integers')
  return words
