"""A batched environment whose rewards or dynamics depend on a task.

The environment plays B tasks at once, each in E copies. The N = B*E rows of the
batch are grouped by task (row = b*E + e). Every row plays ordinary TF-Agents
episodes: FIRST, MID, ..., LAST, then FIRST again at the next call.
"""

import abc
from collections.abc import Sequence
import numbers
from typing import Any

import numpy as np
import numpy.typing as npt
from tf_agents.environments import py_environment
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts

from maml_tf.core import checks
from maml_tf.core import errors
from maml_tf.core import random_streams
from maml_tf.environments.rendering import renderer

# Far below float32's maximum, so that rewards computed from it stay finite.
_LARGEST_NUMBER = 1e30

# Methods that version 0.1.0 called by another name.
_FORMER_NAMES = {
  'render_state': 'picture_states',
  'create_renderer': 'create_painter',
}


class TaskEnvironment(py_environment.PyEnvironment):
  """N = B*E environments of B tasks, stepped together.

  Subclasses implement `sample_tasks`, `_draw_starts`, `_reset_rows` and
  `_advance`. They may also implement `_check_tasks`, `_unstable_rows`,
  `render_state` and `create_renderer`. This class handles step types, the
  horizon, automatic resets and random streams.

  Before the first call of `set_tasks`, the environment plays tasks that it
  draws with `sample_tasks`. Before the first call of `seed`, all randomness
  comes from the operating system.

  Attributes:
    _row_tasks: A float64 array [N, ...], the task of every row. Subclasses read
      it.
  """

  _row_tasks: np.ndarray

  def __init__(
    self,
    observation_spec: array_spec.ArraySpec,
    action_spec: array_spec.BoundedArraySpec,
    task_shape: Sequence[int],
    num_tasks: int,
    environments_per_task: int,
    horizon: int,
  ):
    """Sets up the specs and counters of N = B*E rows.

    Args:
      observation_spec: An `ArraySpec` [O] of one row's observation.
      action_spec: A `BoundedArraySpec` [A] of one row's action.
      task_shape: The shape of one task, `()` if it is a number.
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

    self._tasks: Any = None  # An array once there are tasks.
    self.seed(np.random.SeedSequence().entropy)
    self._elapsed = np.zeros(self.batch_size, np.int64)
    self._ended = np.zeros(self.batch_size, bool)
    self._num_unstable_episodes = 0

  def __init_subclass__(cls, **kwargs: Any):
    """Gives overridden rendering methods both their names."""
    super().__init_subclass__(**kwargs)
    own = cls.__mro__[: cls.__mro__.index(TaskEnvironment)]
    for names in _FORMER_NAMES.items():
      # The first class of the two names' owners overrides both, mixins too.
      for base in own:
        found = [name for name in names if name in vars(base)]
        if found:
          for name in names:
            if name not in vars(base):
              setattr(cls, name, vars(base)[found[0]])
          break

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
  def tasks(self) -> np.ndarray:
    """The current tasks, a float64 array [B, ...]."""
    self._ensure_tasks()
    return self._tasks.copy()

  def observation_spec(self) -> array_spec.ArraySpec:
    return self._observation_spec

  def action_spec(self) -> array_spec.BoundedArraySpec:
    return self._action_spec

  @abc.abstractmethod
  def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws independent tasks without changing the environment.

    Args:
      n: The number of tasks to draw. It may differ from B.
      rng: The generator to draw from.

    Returns:
      A float64 array [n, ...].
    """

  def set_tasks(self, tasks: npt.ArrayLike) -> None:
    """Assigns a task to every row. The next step of every row is a reset.

    Args:
      tasks: An array [B, ...], one task for each group of E rows.

    Raises:
      ValueError: If the tasks have the wrong shape, are not finite, or are not
        tasks of this environment.
    """
    expected = (self._num_tasks,) + self._task_shape
    try:
      given = np.asarray(tasks)
      # NumPy would drop imaginary parts, and convert dates and texts to
      # numbers.
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
    if isinstance(seed, numbers.Integral):
      keys: list[Any] = [(seed, b) for b in range(self._num_tasks)]
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

  def render_state(self) -> np.ndarray:
    """Returns the states of the rows that a renderer needs, float64 [N, S].

    Raises:
      errors.UsageError: The environment cannot be rendered.
    """
    raise errors.UsageError(self._cannot_be_rendered())

  def create_renderer(
    self, task: np.ndarray, states: np.ndarray, width: int, height: int
  ) -> renderer.Renderer:
    """Creates a renderer of one row.

    Args:
      task: The row's task, a float64 array [...].
      states: A float64 array [K, S] of all the states that will be rendered, so
        that the renderer can choose a view that shows them all.
      width: The width of the images in pixels.
      height: The height of the images in pixels.

    Raises:
      errors.UsageError: The environment cannot be rendered, or this machine has
        no library that renders it.
    """
    raise errors.UsageError(self._cannot_be_rendered())

  # The names of version 0.1.0.
  picture_states = render_state
  create_painter = create_renderer

  def _cannot_be_rendered(self):
    return (
      f'{type(self).__name__} cannot be rendered: give it the methods'
      ' render_state and create_renderer'
    )

  def _check_tasks(self, tasks: np.ndarray) -> None:
    """Checks a float64 array [B, ...] of the right shape and finite numbers.

    Raises:
      ValueError: If one of the tasks is impossible.
    """
    del tasks  # By default, any number is a task.

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
  def _reset_rows(self, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Puts some rows at the start of an episode.

    Args:
      rows: An int array [K] of increasing row numbers.
      starts: An array [K, ...], the starts that `_draw_starts` drew for them.

    Returns:
      A float32 array [K, O], the observations of these rows.
    """

  @abc.abstractmethod
  def _advance(
    self, action: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Advances every row by one step.

    Args:
      action: An array [N, A]. It is zero in rows that are about to be reset.
        The results for these rows are ignored.

    Returns:
      observation: A float32 array [N, O].
      reward: A float32 array [N].
      terminated: A bool array [N]: True where the episode has terminated.
      Observation and reward are new arrays at every call: the caller writes to
      them.
    """

  def _unstable_rows(self) -> np.ndarray:
    """Returns a bool array [N]: True where physics failed in `_advance`.

    The episodes of these rows end as terminated.
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


def _checked_key(key):
  """Returns a random stream's key as a tuple of non-negative ints."""
  words = tuple(key) if np.iterable(key) else (key,)
  for word in words:
    if not isinstance(word, numbers.Integral) or word < 0:
      raise ValueError(f'seed {key!r}: give non-negative integers')
  return words
