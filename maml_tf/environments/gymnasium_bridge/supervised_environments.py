"""Gymnasium environments in supervised processes, restarted when they fail."""

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

# The key of an info that marks rows whose episode was discarded.
EPISODE_DISCARDED = 'episode_discarded'


class SupervisedVectorEnv(gymnasium.vector.VectorEnv):
  """N environments, each in its own process, whose failures do not end the run.

  A process fails if its environment raises, if it does not answer in time, or
  if it dies. A failed process is killed and restarted. The episode that it
  played is truncated, with reward 0, the last received observation, and
  `info['episode_discarded']` of the row. At the next step the new process
  resets the row, as after every episode (`AutoresetMode.NEXT_STEP`). The seed
  of that reset is derived from the row's seed and its number of restarts. A
  failure does not affect the other rows.

  The processes end when this process ends, for whatever reason: on Linux the
  kernel kills them. Ctrl-C does not reach them.

  Attributes:
    num_discarded: The number of discarded episodes so far.
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
    """Starts the processes and creates the environments in them.

    Args:
      env_fns: N functions that create the environments of the rows. Cloudpickle
        sends them to the processes. A function must create all parts of its
        environment: a new process shares nothing with the one that it replaces.
      timeout: The longest time that a step, a reset or closing may take [s].
      start_timeout: The longest time that starting a process, creating its
        environment and the first reset may take [s]. N processes share the
        cores.
      max_restarts: The largest number of restarts, summed over all rows.

    Raises:
      ValueError: If an argument is out of range, a function cannot be sent to a
        process, or the rows' spaces differ.
      RuntimeError: If an environment cannot be created.
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
    # The rows' seeds, and the number of restarts of each row since it was
    # seeded.
    self._seeds: list[int | None] = [None] * self.num_envs
    self._restarts_since = [0] * self.num_envs
    # The seeds of the rows' next resets. None continues the random stream.
    self._next_seeds: list[int | None] = [None] * self.num_envs
    self._observations: list[Any] = [None] * self.num_envs
    self._ended = np.ones(self.num_envs, bool)
    # Its thread lives as long as this object.
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
      seed: N seeds, one for each row. An int s stands for s, ..., s + N - 1.
      options: Passed to each environment's `reset`.

    Returns:
      Observations [N, ...] and infos, in the form of
      `gymnasium.vector.AsyncVectorEnv`.

    Raises:
      ValueError: If the seeds are not N non-negative integers.
      RuntimeError: If more than `max_restarts` restarts were needed. The
        environment is then closed, as after every error that occurs while
        requests are on their way.
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
    """Steps all rows, except that rows that have ended are reset.

    Args:
      actions: A value of `action_space`. Rows that have ended ignore theirs.

    Returns:
      Observations [N, ...], float64 rewards [N], bool terminations [N] and
      truncations [N], and infos, in the form of
      `gymnasium.vector.AsyncVectorEnv`.

    Raises:
      ValueError: If there are not N actions.
      RuntimeError: As in `reset`.
    """
    self._check_open()
    actions = list(utils.iterate(self.action_space, actions))
    if len(actions) != self.num_envs:
      raise ValueError(
        f'there are {len(actions)} actions for {self.num_envs} rows: give one'
        ' for each row'
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
      terminate: Whether to kill the processes at once. Otherwise each has
        `timeout` seconds to close its environment.
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
    """Waits for all environments; returns their spaces and metadata.

    Raises:
      RuntimeError: If an environment cannot be created.
      ValueError: If the rows' spaces differ.
    """
    for process in self._processes:
      process.ask(self._start_timeout, 'start')
    descriptions = {}
    waiting = set(range(self.num_envs))
    for row in self._due(waiting):
      answer = self._processes[row].answer()
      if isinstance(answer, environment_process.Failure):
        raise RuntimeError(
          f'the environment of row {row} {answer.summary} while it was created:'
          f' fix env_fns[{row}]' + _format_traceback(answer)
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
    seeds = list(
      seed if np.iterable(seed) else range(seed, seed + self.num_envs)
    )
    if len(seeds) != self.num_envs:
      raise ValueError(
        f'there are {len(seeds)} seeds for {self.num_envs} rows: give one int,'
        ' or one for each row'
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
    """Waits for the answers of all rows and restarts processes that fail.

    Args:
      resetting: A bool array [N]: True in rows that were asked to reset. After
        a restart, such a row is asked again.
      options: The options of these resets.

    Returns:
      A list of N answers. The answer of a row that failed to step is a
      `Failure`.
    """
    answers: list[Any] = [None] * self.num_envs
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
    """Yields rows that have answered or are overdue, until `waiting` is empty.

    Args:
      waiting: A set of rows. For each yielded row, the caller removes it from
        the set or sends it another request.
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
    """Gives a row a new process.

    Raises:
      RuntimeError: If there have been `max_restarts` restarts already.
    """
    self._processes[row].kill()
    if self.num_restarts.total() >= self._max_restarts:
      longer = ', give it a longer timeout' * (failure.cause == 'hung')
      raise RuntimeError(
        f'the environment of row {row} {failure.summary}, after'
        f' {self._max_restarts} restarts: fix it{longer}, or raise'
        ' max_restarts' + _format_traceback(failure)
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
    """Closes the environment if an error occurs.

    No process is left behind, and no answer that a later request could receive.
    """
    try:
      yield
    except BaseException:
      self.close(terminate=True)
      raise


def _pickle(row, function):
  """Returns a row's function as bytes.

  Raises:
    ValueError: If it cannot be sent to another process.
  """
  try:
    return cloudpickle.dumps(function)
  except Exception as error:
    raise ValueError(
      f'env_fns[{row}] cannot be sent to a process ({error}): give a function'
      ' that creates everything it needs'
    ) from error


def _format_traceback(failure):
  if not failure.traceback:
    return ''
  return f'\n\nThe traceback of its process:\n{failure.traceback}'
