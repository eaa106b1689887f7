"""What a run writes and shows about itself, one row an iteration."""

import contextlib
import csv
import os
import sys

import tensorflow as tf
import tqdm

from maml_tf.core import errors

METRICS_FILE = 'metrics.csv'
EVALUATIONS_FILE = 'evaluations.csv'


class RunLog:
  """Appends each iteration's row to metrics.csv, TensorBoard and the terminal.

  Evaluations have a file of their own, evaluations.csv. The files' columns are
  those of the first row. A run that resumes drops the rows after its
  checkpoint, so that none is doubled.
  """

  def __init__(self, root_dir: str, first_iteration: int, num_iterations: int):
    """Opens the files.

    Args:
      root_dir: The run's folder, which exists.
      first_iteration: How many iterations are done already.
      num_iterations: How many there will be in all.
    """
    self._metrics, self._evaluations = (
      _CsvFile(os.path.join(root_dir, name), first_iteration)
      for name in (METRICS_FILE, EVALUATIONS_FILE)
    )
    self._summary_writer = tf.summary.create_file_writer(root_dir)
    self._num_iterations = num_iterations
    done = f', resumed after iteration {first_iteration}' * bool(
      first_iteration
    )
    print(f'The run is in {root_dir}{done}', file=sys.stderr, flush=True)
    self._bar = None
    if sys.stderr.isatty():
      self._bar = tqdm.tqdm(
        total=num_iterations,
        initial=first_iteration,
        dynamic_ncols=True,
        unit='iteration',
        smoothing=0.1,
      )

  def write(self, row: dict[str, float]) -> None:
    """Records one iteration.

    Args:
      row: The metrics by name; 'iteration' counts from 1.
    """
    self._metrics.write(row)
    with self._summary_writer.as_default(step=row['iteration']):
      for name, value in row.items():
        tf.summary.scalar(name, value)
    self._show(row)

  def write_evaluation(self, rows: list[dict[str, float]]) -> None:
    """Records one evaluation.

    Args:
      rows: One for each adaptation step: the statistics by name, with
        'iteration' first, and 'env_steps', 'step' and 'mean'.
    """
    self._evaluations.write(*rows)
    for row in rows:
      with self._summary_writer.as_default(step=row['iteration']):
        for name, value in row.items():
          if name not in ('iteration', 'env_steps', 'step'):
            tag = f'evaluation/{name}_step_{row["step"]}'
            tf.summary.scalar(tag, value)
    returns = ' -> '.join(f'{row["mean"]:.1f}' for row in rows)
    self.say(f'held out at iteration {rows[0]["iteration"]}  return {returns}')

  def has_evaluation(self, iteration: int) -> bool:
    """Returns whether that iteration was evaluated, in this run or before."""
    return self._evaluations.last_iteration == iteration

  def say(self, line: str) -> None:
    """Shows a line, above the bar if there is one."""
    tqdm.tqdm.write(line, file=sys.stderr)

  def close(self) -> None:
    """Flushes and closes what is open, all of it even where one part fails."""
    with contextlib.ExitStack() as stack:
      for part in (
        self._metrics,
        self._evaluations,
        self._summary_writer,
        self._bar,
      ):
        if part is not None:
          stack.callback(part.close)

  def __enter__(self) -> 'RunLog':
    return self

  def __exit__(self, error_type, error, traceback) -> None:
    try:
      with errors.disk_errors('the log'):
        self.close()
    except errors.RunError:
      # A disk that is full has been gathered already by the error under way.
      if error is None:
        raise

  def _show(self, row):
    returns = ' -> '.join(
      f'{row[name]:.1f}' for name in row if name.startswith('return_step_')
    )
    speed = f'{row["env_steps_per_second"]:,.0f} env steps/s'
    if self._bar is not None:
      self._bar.set_postfix_str(f'return {returns}, {speed}')
      self._bar.update()
      return
    seconds = row['collect_seconds'] + row['update_seconds']
    left = (self._num_iterations - row['iteration']) * seconds
    print(
      f'iteration {row["iteration"]}/{self._num_iterations}'
      f'  return {returns}  {speed}  {_duration(left)} left',
      file=sys.stderr,
      flush=True,
    )


class _CsvFile:
  """A file of rows, of which a resumed run keeps those up to its checkpoint."""

  def __init__(self, path: str, last_iteration: int):
    self._path = path
    self._columns, self.last_iteration = _keep_rows(path, last_iteration)
    self._file = None

  def write(self, *rows: dict[str, float]) -> None:
    if self._file is None:
      self._file = open(self._path, 'a', newline='', encoding='utf-8')
    if not self._columns:
      self._columns = list(rows[0])
      self._file.write(','.join(self._columns) + '\n')
    for row in rows:
      # repr of a float reads back as the same float.
      self._file.write(','.join(repr(row[c]) for c in self._columns) + '\n')
    self._file.flush()
    self.last_iteration = rows[-1]['iteration']

  def close(self) -> None:
    if self._file is not None:
      self._file.close()


def _keep_rows(path: str, last_iteration: int) -> tuple[list[str], int | None]:
  """Drops rows after an iteration; returns the columns and the last one kept.

  Of a new file: no columns, and None.
  """
  if not os.path.exists(path):
    return [], None
  try:
    with open(path, newline='', encoding='utf-8') as file:
      rows = list(csv.reader(file))
    kept = rows[:1] + [
      row
      for row in rows[1:]
      if len(row) == len(rows[0]) and int(row[0]) <= last_iteration
    ]
  except (ValueError, csv.Error) as error:
    raise errors.UsageError(
      f'{path} does not hold the rows of a run ({error}): bring them back, or'
      ' move it away'
    ) from error
  if not rows or not last_iteration:
    os.remove(path)
    return [], None
  if len(kept) == 1:
    os.remove(path)
    return [], None
  temporary = path + '.tmp'
  with open(temporary, 'w', newline='', encoding='utf-8') as file:
    csv.writer(file, lineterminator='\n').writerows(kept)
  os.replace(temporary, path)
  return rows[0], int(kept[-1][0])


def _duration(seconds: float) -> str:
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f'{hours}:{minutes:02}:{seconds:02}'
