"""Gymnasium environments in processes that are watched and replaced."""

import collections
from collections.abc import Callable
from collections.abc import Sequence
from concurrent import futures
import contextlib
from multiprocessing import connection
import time
from typing import Any

from absl import logging
import cloudpickle
import gymnasium
from gymnasium.vector import utils
import numpy as np

from maml_tf.core import checks
from maml_tf.core import random_streams
from maml_tf.environments.gymnasium_bridge import environment_process

# Where an info says that a row's episode was discarded.
EPISODE_DISCARDED = 'episode_discarded'


class SupervisedVectorEnv(gymnasium.vector.VectorEnv):
  """N environments, each in a process of its own, none of which ends the run.

  A process whose environment raises, does not answer in time or dies is killed
  and started again. The episode that it played ends there: truncated, with the
  reward 0, the last observation that came, and `info['episode_discarded']` of
  the row. At the next step the new process resets the row, as after any end
  (`AutoresetMode.NEXT_STEP`), with a seed made of the row's own and of how
  often it was started again. The other rows do not notice.

  The processes end with this one, however it ends: on Linux the kernel sees to
  it, whatever they are doing. Ctrl-C does not reach them.

  Attributes:
    num_discarded: Episodes that were lost so far.
    num_restarts: A `Counter` of restarts by cause: raised, hung, died.
  """

  autoreset_mode = gymnasium.vector.AutoresetMode.NEXT_STEP

  def __init__(
    self,
    env_fns: Sequence[Callable[[], gymnasium.Env]],
    timeout: float = 60.0,
    start_timeout: float = 300.0,
    max_restarts: int = 10,
  ):
    """Starts the processes and makes the environments in them.

    Args:
      env_fns: N functions, each makes the environment of a row. They are sent
        by cloudpickle, and must make everything that an environment consists
        of: a new process knows nothing of the old one.
      timeout: Seconds that a step or a reset may take, and closing.
      start_timeout: Seconds that it may take to start a process, make its
        environment and reset it. N processes share the cores.
      max_restarts: How many restarts there may be, of all rows together.

    Raises:
      ValueError: An argument is impossible, a function cannot be sent, or the
        rows' spaces differ.
      RuntimeError: An environment cannot be made.
    """
    if not env_fns:
      raise ValueError('env_fns is empty: give a function for each row')
    self._timeout = checks.number('timeout', timeout, above=0)
    self._start_timeout = checks.number('start_timeout', start_timeout, above=0)
    self._max_restarts = checks.integer('max_restarts', max_restarts, 0)
    self._functions = [_pickle(row, f) for row, f in enumerate(env_fns)]
    self.num_envs = len(self._functions)
    self.num_discarded = 0
    self.num_restarts = collections.Counter()
    # What the rows were seeded with, and how often started again since then.
    self._seeds = [None] * self.num_envs
    self._restarts_since = [0] * self.num_envs
    # What their next reset is seeded with; None lets it go on.
    self._next_seeds = [None] * self.num_envs
    self._observations = [None] * self.num_envs
    self._ended = np.ones(self.num_envs, bool)
    # Its thread lives as long as this object does.
    self._starter = futures.ThreadPoolExecutor(1)
    self._processes = []
    with self._closed_by_errors():
      for function in self._functions:
        self._processes.append(self._start(function))
      observation_space, action_space, metadata = self._describe()
    self.metadata = {**metadata, 'autoreset_mode': self.autoreset_mode}
    self.single_observation_space = observation_space
    self.single_action_space = action_space
    self.observation_space = utils.batch_space(observation_space, self.num_envs)
    self.action_space = utils.batch_space(action_space, self.num_envs)

  def reset(
    self,
    *,
    seed: int | Sequence[int | None] | None = None,
    options: dict[str, Any] | None = None,
  ) -> tuple[Any, dict[str, Any]]:
    """Begins new episodes in all rows.

    Args:
      seed: s for s, ..., s + N - 1; or N seeds, one a row.
      options: Given to each environment.

    Returns:
      Observations and infos, as `gymnasium.vector.AsyncVectorEnv` does.

    Raises:
      ValueError: The seeds are none, or not N.
      RuntimeError: A restart too many was needed. The environment is closed
        then, as after every error of which the rows know.
    """
    self._check_open()
    if seed is not None:
      self._seed(seed)
    with self._closed_by_errors():
      for row in range(self.num_envs):
        self._ask_to_reset(row, options)
      answers = self._answers(np.ones(self.num_envs, bool), options)
    infos = {}
    for row, (observation, info) in enumerate(answers):
      self._observations[row] = observation
      infos = self._add_info(infos, info, row)
    self._ended[:] = False
    return self._batched_observations(), infos

  def step(
    self, actions: Any
  ) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
    """Steps all rows, and resets those that have ended.

    Args:
      actions: Of the `action_space`; an ended row's does not matter.

    Returns:
      Observations, float64 rewards [N], bool terminations [N] and truncations
      [N], and infos, as `gymnasium.vector.AsyncVectorEnv` does.

    Raises:
      ValueError: The actions are not N.
      RuntimeError: As for `reset`.
    """
    self._check_open()
    actions = list(utils.iterate(self.action_space, actions))
    if len(actions) != self.num_envs:
      raise ValueError(
        f'there are {len(actions)} actions for {self.num_envs} rows: give one'
        ' a row'
      )
    starting = self._ended
    with self._closed_by_errors():
      for row, action in enumerate(actions):
        if starting[row]:
          self._ask_to_reset(row)
        else:
          self._processes[row].ask(self._timeout, 'step', action=action)
      answers = self._answers(starting)
    rewards = np.zeros(self.num_envs)
    terminations = np.zeros(self.num_envs, bool)
    truncations = np.zeros(self.num_envs, bool)
    infos = {}
    for row, answer in enumerate(answers):
      if isinstance(answer, environment_process.Failure):
        truncations[row] = True
        info = {EPISODE_DISCARDED: True}
        self.num_discarded += 1
      elif starting[row]:
        self._observations[row], info = answer
      else:
        (
          self._observations[row],
          rewards[row],
          terminations[row],
          truncations[row],
          info,
        ) = answer
      infos = self._add_info(infos, info, row)
    self._ended = terminations | truncations
    return (
      self._batched_observations(),
      rewards,
      terminations,
      truncations,
      infos,
    )

  def close_extras(self, terminate: bool = False) -> None:
    """Ends the processes.

    Args:
      terminate: Whether to kill them at once. Otherwise each may close its
        environment first, and has `timeout` seconds for it.
    """
    if not terminate:
      for process in self._processes:
        process.ask(self._timeout, 'close')
      for process in self._processes:
        process.wait()
    for process in self._processes:
      process.kill()
    self._starter.shutdown()

  def __del__(self):
    if not self.closed and hasattr(self, '_processes'):
      self.close(terminate=True)

  def _start(self, function):
    return environment_process.EnvironmentProcess(function, self._starter)

  def _describe(self):
    """Waits until all are made; returns the spaces and metadata of each."""
    for process in self._processes:
      process.ask(self._start_timeout, 'start')
    descriptions = {}
    waiting = set(range(self.num_envs))
    for row in self._due(waiting):
      answer = self._processes[row].answer()
      if isinstance(answer, environment_process.Failure):
        raise RuntimeError(
          f'the environment of row {row} {answer.summary} while it was made:'
          f' mend env_fns[{row}]' + _with_traceback(answer)
        )
      waiting.discard(row)
      descriptions[row] = answer
    for row, description in sorted(descriptions.items()):
      for own, first in zip(description[:2], descriptions[0][:2]):
        if own != first:
          raise ValueError(
            f'row {row} has the space {own}, row 0 has {first}: give'
            ' environments of the same spaces'
          )
    return descriptions[0]

  def _seed(self, seed):
    is_one = not np.iterable(seed)
    seeds = range(seed, seed + self.num_envs) if is_one else seed
    if len(seeds) != self.num_envs:
      raise ValueError(
        f'there are {len(seeds)} seeds for {self.num_envs} rows: give one int,'
        ' or one a row'
      )
    self._seeds = [
      s if s is None else checks.integer('seed', s, 0) for s in seeds
    ]
    self._next_seeds = list(self._seeds)
    self._restarts_since = [0] * self.num_envs

  def _ask_to_reset(self, row, options=None):
    process = self._processes[row]
    process.ask(
      self._timeout if process.answered else self._start_timeout,
      'reset',
      seed=self._next_seeds[row],
      options=options,
    )
    self._next_seeds[row] = None

  def _answers(self, resetting, options=None):
    """Waits for the answers of all rows.

    Args:
      resetting: A bool array [N]: the rows that were asked to reset, and will
        be again until they have.
      options: For their resets.

    Returns:
      A list of N; of rows that were to step a `Failure` where it failed, and
      they have a new process then.
    """
    answers = [None] * self.num_envs
    waiting = set(range(self.num_envs))
    for row in self._due(waiting):
      answers[row] = self._processes[row].answer()
      if isinstance(answers[row], environment_process.Failure):
        self._restart(row, answers[row])
        if resetting[row]:
          self._ask_to_reset(row, options)
          continue
      waiting.discard(row)
    return answers

  def _due(self, waiting):
    """Yields the rows that have answered or should have, until none waits.

    Args:
      waiting: A set of rows; who gets a row takes it out, or asks it again.
    """
    while waiting:
      processes = {row: self._processes[row] for row in sorted(waiting)}
      deadline = min(process.deadline for process in processes.values())
      ready = connection.wait(
        [process.pipe for process in processes.values()],
        max(deadline - time.monotonic(), 0),
      )
      now = time.monotonic()
      for row, process in processes.items():
        if process.pipe in ready or process.deadline <= now:
          yield row

  def _restart(self, row, failure):
    """Gives a row a new process, or raises the error that says why not."""
    self._processes[row].kill()
    if self.num_restarts.total() >= self._max_restarts:
      longer = ', give it a longer timeout' * (failure.cause == 'hung')
      raise RuntimeError(
        f'the environment of row {row} {failure.summary}, after'
        f' {self._max_restarts} restarts: mend it{longer}, or raise'
        ' max_restarts' + _with_traceback(failure)
      )
    self.num_restarts[failure.cause] += 1
    self._restarts_since[row] += 1
    if self._seeds[row] is not None:
      stream = (self._seeds[row], self._restarts_since[row])
      generator = random_streams.generator(stream)
      self._next_seeds[row] = int(generator.integers(2**31))
    logging.warning(
      'The environment of row %d %s: restart %d of at most %d.',
      row,
      failure.summary,
      self.num_restarts.total(),
      self._max_restarts,
    )
    self._processes[row] = self._start(self._functions[row])

  def _batched_observations(self):
    return utils.concatenate(
      self.single_observation_space,
      self._observations,
      utils.create_empty_array(self.single_observation_space, self.num_envs),
    )

  def _check_open(self):
    if self.closed:
      raise gymnasium.error.ClosedEnvironmentError(
        'the vector environment is closed: make a new one'
      )

  @contextlib.contextmanager
  def _closed_by_errors(self):
    """Leaves no process behind, and no answer for a request it is not for."""
    try:
      yield
    except BaseException:
      self.close(terminate=True)
      raise


def _pickle(row, function):
  """Returns a row's function as bytes.

  Raises:
    ValueError: It cannot be sent to another process.
  """
  try:
    return cloudpickle.dumps(function)
  except Exception as error:
    raise ValueError(
      f'env_fns[{row}] cannot be sent to a process ({error}): give a function'
      ' that makes all it needs itself'
    ) from error


def _with_traceback(failure):
  if not failure.traceback:
    return ''
  return f'\n\nThe traceback of its process:\n{failure.traceback}'
