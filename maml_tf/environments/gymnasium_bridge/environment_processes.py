"""Processes that play environments, each of which is replaced when it fails."""

import collections
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures
from multiprocessing import connection
import time
from typing import Any
from typing import NamedTuple

from absl import logging
import gymnasium
from gymnasium import spaces

from maml_tf.environments.gymnasium_bridge import environment_process
from maml_tf.environments.gymnasium_bridge import pickling


class Description(NamedTuple):
  """What a process answers to 'start'.

  Attributes:
    observation_space: The environment's.
    action_space: The environment's.
    metadata: The environment's.
    render_mode: The environment's, None if it gives no pictures.
    class_name: The class of the unwrapped environment.
  """

  observation_space: spaces.Space
  action_space: spaces.Space
  metadata: dict[str, Any]
  render_mode: str | None
  class_name: str


class EnvironmentFailure(RuntimeError):
  """An environment cannot be made, or has failed too often.

  Attributes:
    failure: The last `Failure`.
  """

  def __init__(self, message: str, failure: environment_process.Failure):
    super().__init__(message + failure.details)
    self.failure = failure


class EnvironmentProcesses:
  """Starts a process for each row, and another one if it fails.

  A process may also play many rows; then "row" means a process here.

  Attributes:
    num_restarts: A `Counter` of restarts by cause: raised, hung, died.
  """

  def __init__(
    self,
    functions: Sequence[Callable[[], gymnasium.Env]],
    start_timeout: float,
    max_restarts: int,
  ):
    """Prepares the functions; `start` starts the processes.

    Args:
      functions: N functions that create the environments of the rows.
      start_timeout: The longest time that starting a process and its first
        answer may take [s].
      max_restarts: The largest number of restarts, summed over all rows.

    Raises:
      ValueError: If a function cannot be sent to another process.
    """
    self.num_restarts = collections.Counter()
    self._functions = [
      pickling.to_bytes(
        function,
        f'env_fns[{row}]',
        'give a function that creates everything it needs',
      )
      for row, function in enumerate(functions)
    ]
    self._start_timeout = start_timeout
    self._max_restarts = max_restarts
    self._processes: list[environment_process.EnvironmentProcess] = []
    # Its thread lives as long as this object.
    self._starter = futures.ThreadPoolExecutor(1)

  def start(self) -> Description:
    """Starts the processes and waits until all environments exist.

    Returns:
      The description of the first row.

    Raises:
      EnvironmentFailure: If an environment cannot be created.
      ValueError: If the rows' spaces differ.
    """
    for function in self._functions:
      self._processes.append(self._start(function))
    for process in self._processes:
      process.ask(self._start_timeout, 'start')
    descriptions = {}
    waiting = set(range(len(self._processes)))
    for row in self.due(waiting):
      answer = self.answer(row)
      if isinstance(answer, environment_process.Failure):
        raise EnvironmentFailure(
          f'the environment of row {row} {answer.summary} while it was created:'
          f' fix env_fns[{row}]',
          answer,
        )
      waiting.discard(row)
      descriptions[row] = Description(*answer)
    for row, description in sorted(descriptions.items()):
      for own, first in zip(description[:2], descriptions[0][:2]):
        if own != first:
          raise ValueError(
            f'row {row} has the space {own}, row 0 has {first}: give'
            ' environments of the same spaces'
          )
    return descriptions[0]

  def has_answered(self, row: int) -> bool:
    """Whether the row's process has ever answered: its environment exists."""
    return self._processes[row].answered

  def ask(
    self, row: int, seconds: float, request: str, **arguments: Any
  ) -> None:
    """Sends a request to a row's process.

    Args:
      row: The row.
      seconds: The time until the answer is due [s]. A process that has never
        answered has `start_timeout` seconds instead.
      request: As for `EnvironmentProcess.ask`.
      **arguments: The arguments of the request.
    """
    if not self.has_answered(row):
      seconds = self._start_timeout
    self._processes[row].ask(seconds, request, **arguments)

  def due(self, waiting: set[int]) -> Iterator[int]:
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

  def answer(self, row: int) -> Any:
    """Returns a row's answer, or a `Failure`."""
    return self._processes[row].answer()

  def restart(self, row: int, failure: environment_process.Failure) -> None:
    """Gives a row a new process.

    Args:
      row: The row.
      failure: How its process failed.

    Raises:
      EnvironmentFailure: As `count_restart`.
    """
    self._processes[row].kill()
    self.count_restart(row, failure)
    self._processes[row] = self._start(self._functions[row])

  def count_restart(
    self, row: int, failure: environment_process.Failure
  ) -> None:
    """Counts a replacement, also of an environment inside its process.

    Args:
      row: The row.
      failure: What happened.

    Raises:
      EnvironmentFailure: If there have been `max_restarts` restarts already.
    """
    if self.num_restarts.total() >= self._max_restarts:
      longer = ', give it a longer timeout' * (failure.cause == 'hung')
      raise EnvironmentFailure(
        f'the environment of row {row} {failure.summary}, after'
        f' {self._max_restarts} restarts: fix it{longer}, or raise'
        ' max_restarts',
        failure,
      )
    self.num_restarts[failure.cause] += 1
    logging.warning(
      'The environment of row %d %s: restart %d of at most %d.',
      row,
      failure.summary,
      self.num_restarts.total(),
      self._max_restarts,
    )

  def close(self, seconds: float | None) -> None:
    """Ends the processes.

    Args:
      seconds: The time that each has to close its environment [s]. None: they
        are killed at once.
    """
    if seconds is not None:
      for process in self._processes:
        process.ask(seconds, 'close')
      for process in self._processes:
        process.wait()
    for process in self._processes:
      process.kill()
    self._starter.shutdown()

  def _start(self, function):
    return environment_process.EnvironmentProcess(function, self._starter)
