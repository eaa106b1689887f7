"""Loggers record a run's numbers: CSV, TensorBoard, terminal, or your own.

A logger is anything with the two methods of `Logger`. `train_eval.loggers`
takes functions that make more of them; `examples/custom_logger.py` is one.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import os
import re
from typing import Protocol
from typing import runtime_checkable

import tensorflow as tf
import tqdm

from maml_tf.core import errors
from maml_tf.core import run_files
from maml_tf.core import terminal
from maml_tf.core import user_code
from maml_tf.run import csv_file
from maml_tf.run import hyper_parameters
from maml_tf.run import tensorboard_summaries

METRICS_FILE = run_files.METRICS_FILE
EVALUATIONS_FILE = 'evaluations.csv'
# Begins the names of the scalars of an evaluation.
EVALUATION = 'evaluation/'
_COMPILING = 'compiling ...'


@runtime_checkable
class Logger(Protocol):
  """Records the scalars of a run."""

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Records scalars.

    Args:
      step: The meta-iteration, from 1. It never decreases.
      scalars: Numbers by name: the metrics of the iteration, the columns of
        metrics.csv; or, in a call of its own after that, an evaluation:
        'env_steps', then `evaluation/<statistic>_step_<i>` after i = 0, 1, ...
        adaptation steps. Environments that have successes add the rates
        `success_step_<i>` and `evaluation/success_step_<i>`.
    """

  def close(self) -> None:
    """Flushes and closes; nothing is written afterwards."""


# Makes a logger, given root_dir and first_iteration; see `RunLoggers`.
LoggerFactory = Callable[..., Logger]


class RunLoggers:
  """All loggers of a run as one, and as a context that closes them."""

  def __init__(
    self,
    root_dir: str,
    first_iteration: int,
    num_iterations: int,
    factories: Sequence[LoggerFactory] = (),
    columns: Mapping[str, Sequence[str]] | None = None,
  ):
    """Creates the loggers.

    Args:
      root_dir: The run's folder, which exists.
      first_iteration: The first iteration that will be trained now: 1 in a new
        run. A resumed run repeats the iterations from here on, which an earlier
        process may have written already; an evaluation of the iteration before
        may still follow.
      num_iterations: The number of iterations of the whole run.
      factories: Each makes one more logger, given root_dir and first_iteration
        by name.
      columns: See `CsvLogger`.

    Raises:
      errors.RunError: A file cannot be written.
      errors.UsageError: A factory made no logger, or a file of the run is not
        what a run writes.
    """
    with contextlib.ExitStack() as stack:
      with errors.disk_errors('the log'):
        self._csv = CsvLogger(root_dir, first_iteration, columns)
        stack.callback(self._csv.close)
        self._loggers = [self._csv, TensorBoardLogger(root_dir)]
        stack.callback(self._loggers[-1].close)
      self._own_loggers = []
      for factory in factories:
        with _failures(factory), errors.usage_errors():
          logger = _create(factory, root_dir, first_iteration)
        self._own_loggers.append(logger)
        stack.callback(_close, logger)
      self._terminal = TerminalLogger(root_dir, first_iteration, num_iterations)
      self._loggers.append(self._terminal)
      stack.callback(self._terminal.close)
      self._close = stack.pop_all()

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Writes to each logger in turn; see `Logger.write`.

    Raises:
      errors.RunError: One of them cannot write.
    """
    for logger in self._loggers:
      with errors.disk_errors('the log'):
        logger.write(step, scalars)
    for logger in self._own_loggers:
      with _failures(logger):
        logger.write(step, scalars)

  def log(self, line: str) -> None:
    """Shows a line on the terminal."""
    self._terminal.log(line)

  def has_evaluation(self, iteration: int) -> bool:
    """Returns whether that iteration was evaluated, in this run or before."""
    return self._csv.last_evaluation == iteration

  def sync(self) -> None:
    """Writes the rows through to the disk, before a checkpoint claims them.

    Raises:
      errors.RunError: The disk is full, or fails.
    """
    with errors.disk_errors('the log'):
      self._csv.sync()

  def close(self) -> None:
    """Closes all loggers, even if one of them fails."""
    self._close.close()

  def __enter__(self) -> 'RunLoggers':
    return self

  def __exit__(self, error_type, error, traceback) -> None:
    try:
      with errors.disk_errors('the log'):
        self.close()
    except errors.RunError:
      # The error under way has reported the full disk already.
      if error is None:
        raise


class CsvLogger:
  """Appends to metrics.csv, one row per iteration, and evaluations.csv.

  The columns are those of the first row. A resumed run drops the rows of the
  iterations that it repeats.
  """

  def __init__(
    self,
    root_dir: str,
    first_iteration: int,
    columns: Mapping[str, Sequence[str]] | None = None,
  ):
    """Drops the rows from first_iteration on; see `RunLoggers`.

    Args:
      root_dir: As for `RunLoggers`.
      first_iteration: As for `RunLoggers`.
      columns: The columns that will be written, by the name of the file; see
        `csv_file.plan`. None: those that the files have.
    """
    columns = columns or {}
    self._metrics, self._evaluations = (
      csv_file.CsvFile(
        os.path.join(root_dir, name), first_iteration, columns.get(name, ())
      )
      for name in (METRICS_FILE, EVALUATIONS_FILE)
    )

  @property
  def last_evaluation(self) -> int | None:
    """The iteration of the last evaluation in the file; None without one."""
    return self._evaluations.last_iteration

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Appends a row, or one for each adaptation step of an evaluation."""
    if _is_evaluation(scalars):
      self._evaluations.write(step, _evaluation_rows(step, scalars))
    else:
      self._metrics.write(step, [scalars])

  def sync(self) -> None:
    """Writes the rows so far through to the disk."""
    self._metrics.sync()
    self._evaluations.sync()

  def close(self) -> None:
    """Closes both files, even if one of them fails."""
    with contextlib.ExitStack() as stack:
      stack.callback(self._metrics.close)
      stack.callback(self._evaluations.close)


class TensorBoardLogger:
  """Writes scalars, and a run's settings once, as TensorBoard's events."""

  def __init__(self, root_dir: str):
    """Writes the settings of config.gin unless the run has events already."""
    begins = not tensorboard_summaries.has_events(root_dir)
    self._writer = tf.summary.create_file_writer(root_dir)
    settings = hyper_parameters.read(root_dir)
    if begins and settings:
      tensorboard_summaries.write_settings(self._writer, settings)

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Writes each scalar under its name."""
    # The metrics of the iteration have written an evaluation's env_steps.
    start = EVALUATION if _is_evaluation(scalars) else ''
    with self._writer.as_default(step=step):
      for name, value in scalars.items():
        if name.startswith(start):
          tf.summary.scalar(name, value)

  def close(self) -> None:
    """Flushes and closes the event file."""
    self._writer.close()


class TerminalLogger:
  """Shows progress on stderr: a bar on a terminal, else lines."""

  def __init__(self, root_dir: str, first_iteration: int, num_iterations: int):
    """Prints where the run is; see `RunLoggers`."""
    self._num_iterations = num_iterations
    done = first_iteration - 1
    resumed = f', resumed after iteration {done}' if done else ''
    terminal.log(f'The run is in {root_dir}{resumed}')
    self._bar = None
    # A first iteration takes longer: TensorFlow compiles what it calls.
    compiles = done < num_iterations
    self._stream = terminal.stderr()
    if self._stream.isatty():
      self._bar = tqdm.tqdm(
        total=num_iterations,
        initial=done,
        unit='iteration',
        smoothing=0.1,
        **terminal.bar_settings(self._stream),
      )
      if compiles:
        self._bar.set_postfix_str(_COMPILING)
    elif compiles:
      terminal.log(_COMPILING)

  def log(self, line: str) -> None:
    """Shows a line, above the bar if there is one."""
    tqdm.tqdm.write(line, file=self._stream)

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Shows returns, success rates, speed and time left.

    For an evaluation it shows the returns and success rates.
    """
    if _is_evaluation(scalars):
      shown = _results(scalars, f'{EVALUATION}mean', f'{EVALUATION}success')
      self.log('  '.join([f'held out at iteration {step}', *shown]))
      return
    shown = _results(scalars, 'return', 'success')
    shown.append(f'{scalars["env_steps_per_second"]:,.0f} env steps/s')
    if self._bar is not None:
      self._bar.set_postfix_str(', '.join(shown))
      self._bar.update()
      return
    seconds = scalars['collect_seconds'] + scalars['update_seconds']
    left = _duration((self._num_iterations - step) * seconds)
    terminal.log(
      '  '.join(
        [f'iteration {step}/{self._num_iterations}', *shown, f'{left} left']
      )
    )

  def close(self) -> None:
    """Ends the bar."""
    if self._bar is not None:
      self._bar.close()


def _close(logger):
  with _failures(logger):
    logger.close()


@contextlib.contextmanager
def _failures(owner: Logger | LoggerFactory) -> Iterator[None]:
  """Turns errors of a user's logger or factory into a one-line `RunError`."""
  try:
    yield
  except errors.UsageError:
    raise
  except Exception as error:
    reason = f'{type(error).__name__}: {error}'.partition('\n')[0]
    name = getattr(owner, '__name__', type(owner).__name__)
    raise errors.RunError(
      f'{name} of train_eval.loggers failed ({reason}): fix it'
      ' or leave it out; the same command resumes from the last checkpoint',
      user_code.traceback_of(error),
    ) from error


def _create(factory, root_dir, first_iteration):
  """Makes a user's logger."""
  logger = factory(root_dir=root_dir, first_iteration=first_iteration)
  if not isinstance(logger, Logger):
    raise ValueError(
      f'train_eval.loggers: {factory} made {logger!r}: give it the methods'
      ' write(step, scalars) and close()'
    )
  return logger


def _is_evaluation(scalars):
  return any(name.startswith(EVALUATION) for name in scalars)


def evaluation_columns(statistics: Sequence[str]) -> tuple[str, ...]:
  """Returns the columns of evaluations.csv, given the names of statistics."""
  return ('iteration', 'env_steps', 'step', *statistics)


def _evaluation_rows(step, scalars):
  """The rows of evaluations.csv, one for each adaptation step."""
  rows = {}
  for name, value in scalars.items():
    match = re.fullmatch(f'{EVALUATION}(.+)_step_([0-9]+)', name)
    if match:
      rows.setdefault(int(match[2]), {})[match[1]] = value
  return [
    {
      'iteration': step,
      'env_steps': scalars['env_steps'],
      'step': adaptation_step,
      **statistics,
    }
    for adaptation_step, statistics in sorted(rows.items())
  ]


def _results(scalars, returns, successes):
  """The returns and, if there are any, the success rates, as texts.

  Args:
    scalars: The scalars of an iteration or an evaluation.
    returns: The name of the returns, without `_step_<i>`.
    successes: The name of the success rates, likewise.
  """
  results = [f'return {_path(scalars, returns, ".1f")}']
  rates = _path(scalars, successes, '.0%')
  return [*results, f'success {rates}'] if rates else results


def _path(scalars, name, number_format):
  """The numbers after 0, 1, ... adaptation steps, with arrows between."""
  return ' -> '.join(
    format(value, number_format)
    for key, value in scalars.items()
    if key.startswith(f'{name}_step_')
  )


def _duration(seconds):
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f'{hours}:{minutes:02}:{seconds:02}'
