"""Rows divided over supervised worker processes, many rows in each.

A step is one message to each process and one answer. A process that dies or
hangs is restarted, as in `SupervisedVectorEnv`; the episodes of its rows are
discarded. An environment that raises is replaced in its process, and only its
own episode is discarded.
"""

from collections.abc import Callable
from collections.abc import Sequence
import functools
import pickle
import runpy
import types
from typing import Any

import gymnasium
import numpy as np

from maml_tf.environments.gymnasium_bridge import environment_process
from maml_tf.environments.gymnasium_bridge import environment_processes
from maml_tf.environments.gymnasium_bridge import environment_rows
from maml_tf.environments.gymnasium_bridge import pickling
from maml_tf.environments.gymnasium_bridge import returned_values

# What a worker process needs of maml_tf, read by path.
_FILES = (environment_rows.__file__, returned_values.__file__)


def _closed_by_errors(method):
  """Ends the processes if a method raises, even if it is interrupted.

  No answer is left on its way that a later request would take for its own.
  """

  @functools.wraps(method)
  def closing(self, *args, **kwargs):
    if self._closed:
      raise RuntimeError('the processes have ended: make a new environment')
    try:
      return method(self, *args, **kwargs)
    except BaseException:
      self.close(kill=True)
      raise

  return closing


class RowProcesses:
  """N rows in P processes; a stand-in for `EnvironmentRows`.

  The rows are divided in order, so that each process plays a range of them.
  What a row plays does not depend on P.

  """

  def __init__(
    self,
    make_environment: Callable[[], gymnasium.Env],
    num_rows: int,
    num_processes: int,
    reports_success: bool,
    timeout: float,
    start_timeout: float,
    max_restarts: int,
  ):
    """Starts the processes and makes the environments in them.

    Args:
      make_environment: Makes one environment. Cloudpickle sends it.
      num_rows: N.
      num_processes: P.
      reports_success: See `EnvironmentRows`.
      timeout: The longest time that a step or reset of all rows of a process
        may take [s].
      start_timeout: The longest time that starting a process and making its
        environments may take [s].
      max_restarts: How many replacements of processes and environments are
        accepted.

    Raises:
      ValueError: If `make_environment` cannot be sent to a process.
      environment_processes.EnvironmentFailure: If the environments cannot be
        made.
    """
    self._reports_success = reports_success
    self._timeout = timeout
    self._start_timeout = start_timeout
    self._closed = False
    ends = np.linspace(0, num_rows, num_processes + 1).astype(int)
    self._ranges = [range(a, b) for a, b in zip(ends[:-1], ends[1:])]
    pickled = pickling.pickle_factory(make_environment)
    self._processes = environment_processes.EnvironmentProcesses(
      [
        _rows_maker(_FILES, pickled, len(rows), reports_success)
        for rows in self._ranges
      ],
      start_timeout,
      max_restarts,
    )
    self._tasks: list[Any] = [None] * num_rows
    # The last observations, for rows whose episodes are discarded.
    self._observation: Any = None
    # Rows that were playing when their process ended during a reset of others.
    self._lost: dict[int, tuple[str, str]] = {}
    try:
      self._processes.start()
    except BaseException:
      self.close(kill=True)
      raise

  @property
  def num_restarts(self) -> int:
    """How often a process or an environment in one was replaced."""
    return self._processes.num_restarts.total()

  @_closed_by_errors
  def set_tasks(self, tasks: Sequence[Any]) -> None:
    """Gives every row a task."""
    self._tasks = [pickling.pickle_task(task) for task in tasks]
    self._lost = {}
    everyone = range(len(self._ranges))
    for p in everyone:
      self._send_tasks(p)
    self._wait_for_tasks(everyone)

  @_closed_by_errors
  def reset(self, rows: Sequence[int], seeds: Sequence[int]) -> Any:
    """Resets some rows; returns a nest of arrays [len(rows), ...]."""
    numbers, row_seeds = np.asarray(rows), np.asarray(seeds)
    pending = []
    for p, own in enumerate(self._ranges):
      mine = (numbers >= own.start) & (numbers < own.stop)
      if mine.any():
        arguments = {
          'rows': (numbers[mine] - own.start).tolist(),
          'seeds': row_seeds[mine].tolist(),
        }
        pending.append((p, mine, arguments))
    observation = None
    while pending:
      for p, _, arguments in pending:
        self._processes.ask(p, self._timeout, 'reset', **arguments)
      answers = self._answers(p for p, _, _ in pending)
      failed = []
      for p, mine, arguments in pending:
        answer = answers[p]
        if isinstance(answer, environment_process.Failure):
          self._restart(p, answer)
          failed.append((p, mine, arguments))
          # The other rows of the process were in the middle of an episode.
          playing = set(self._ranges[p]) - set(numbers[mine].tolist())
          self._lost.update(dict.fromkeys(playing, (answer.summary, '')))
          continue
        if observation is None:
          observation = _map(
            lambda a: np.zeros((len(rows), *a.shape[1:]), a.dtype), answer
          )
        _assign(observation, np.flatnonzero(mine), answer)
      pending = failed
    if self._observation is None:
      self._observation = observation
    else:
      _assign(self._observation, rows, observation)
    return observation

  @_closed_by_errors
  def step(
    self, actions: Any, idle: Sequence[int] = ()
  ) -> environment_rows.RowsStep:
    """As `EnvironmentRows.step`.

    Rows of a process that fails are in `failures`: they have ended as truncated
    with their last observation, and must be reset.
    """
    lost, self._lost = self._lost, {}
    skipped = np.zeros(len(self._tasks), bool)
    skipped[[*idle, *lost]] = True
    for p, rows in enumerate(self._ranges):
      self._processes.ask(
        p,
        self._timeout,
        'step',
        actions=_map(lambda a, r=rows: a[r.start : r.stop], actions),
        idle=np.flatnonzero(skipped[rows.start : rows.stop]).tolist(),
      )
    answers = self._answers(range(len(self._ranges)))
    steps, failures = [], {}
    for p, rows in enumerate(self._ranges):
      answer = answers[p]
      if isinstance(answer, environment_process.Failure):
        self._restart(p, answer)
        failures.update(
          {row: (answer.summary, '') for row in rows if not skipped[row]}
        )
        answer = self._discarded(rows)
      else:
        answer = environment_rows.RowsStep(*answer)
      for row, (summary, traceback) in answer.failures.items():
        self._processes.count_restart(
          rows.start + row,
          environment_process.Failure('raised', summary, traceback),
        )
        failures[rows.start + row] = summary, traceback
      steps.append(answer)
    joined = environment_rows.RowsStep(
      observation=_map(
        lambda *parts: np.concatenate(parts), *(s.observation for s in steps)
      ),
      reward=np.concatenate([s.reward for s in steps]),
      terminated=np.concatenate([s.terminated for s in steps]),
      truncated=np.concatenate([s.truncated for s in steps]),
      success=np.concatenate([s.success for s in steps])
      if self._reports_success
      else None,
      failures=failures,
    )
    for row, failure in lost.items():
      last = _map(lambda a, r=row: a[r], self._observation)
      _assign(joined.observation, row, last)
      joined.truncated[row] = True
      failures[row] = failure
    self._observation = joined.observation
    return joined

  def close(self, kill: bool = False) -> None:
    """Ends the processes.

    Args:
      kill: Whether to kill them at once, instead of closing the environments.
    """
    if not self._closed:
      self._closed = True
      self._processes.close(None if kill else self._timeout)

  def _answers(self, processes):
    """Waits for the answers of processes; returns a dict."""
    waiting = set(processes)
    answers: dict[int, Any] = {}
    for p in self._processes.due(waiting):
      answers[p] = self._processes.answer(p)
      waiting.discard(p)
    return answers

  def _restart(self, p, failure):
    """Replaces a process and gives the new one its tasks."""
    self._processes.restart(p, failure)
    self._send_tasks(p)
    self._wait_for_tasks([p])

  def _send_tasks(self, p):
    rows = self._ranges[p]
    self._processes.ask(
      p,
      self._start_timeout,
      'set_tasks',
      tasks=self._tasks[rows.start : rows.stop],
    )

  def _wait_for_tasks(self, processes):
    """Waits until processes have their tasks, and restarts those that fail."""
    waiting = set(processes)
    for p in self._processes.due(waiting):
      answer = self._processes.answer(p)
      if isinstance(answer, environment_process.Failure):
        self._processes.restart(p, answer)
        self._send_tasks(p)
      else:
        waiting.discard(p)

  def _discarded(self, rows):
    """The step of rows whose process failed."""
    num_rows = len(rows)
    return environment_rows.RowsStep(
      _map(lambda a: a[rows.start : rows.stop], self._observation),
      np.zeros(num_rows),
      np.zeros(num_rows, bool),
      np.ones(num_rows, bool),
      np.zeros(num_rows, bool) if self._reports_success else None,
      {},
    )


def _rows_maker(paths, make_environment, num_rows, reports_success):
  """Returns a function that makes rows in a process without maml_tf."""

  def make_rows():
    rows_module, checks = (
      types.SimpleNamespace(**runpy.run_path(path)) for path in paths
    )
    rows = rows_module.EnvironmentRows(
      # Each row has arguments of its own.
      lambda: pickle.loads(make_environment)(),
      num_rows,
      checks,
      reports_success,
      replaces_failed=True,
    )
    step = rows.step
    # The other side does not know the module: it gets a plain tuple.
    rows.step = lambda actions, idle: tuple(step(actions, idle))
    set_tasks = rows.set_tasks
    rows.set_tasks = lambda tasks: set_tasks(list(map(pickle.loads, tasks)))
    return rows

  return make_rows


def _map(function, *nests):
  """Applies a function to the arrays of nests of one structure."""
  first = nests[0]
  if isinstance(first, dict):
    return {key: _map(function, *(n[key] for n in nests)) for key in first}
  if isinstance(first, tuple):
    return tuple(_map(function, *parts) for parts in zip(*nests))
  return function(*nests)


def _assign(nest, rows, values):
  """Writes values [K, ...] into rows of a nest of arrays."""
  _map(lambda array, value: array.__setitem__(rows, value), nest, values)
