"""A file of rows, one or more per iteration, that a resumed run continues."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import csv
import io
import itertools
import math
import os
from typing import NamedTuple

from maml_tf.core import errors
from maml_tf.core import files
from maml_tf.core import plain_texts
from maml_tf.core import terminal

_KEY = 'iteration'


class Continuation(NamedTuple):
  """How a file is continued.

  Attributes:
    columns: Its columns from now on; empty if they are those of the first row.
    rows: The rows that stay, as texts.
    lines: What is missing or added, a line each, without the file's name.
    is_broken: Whether it has other rows that no killed process explains.
  """

  columns: tuple[str, ...]
  rows: tuple[tuple[str, ...], ...]
  lines: tuple[str, ...]
  is_broken: bool = False


def plan(
  path: str, first_iteration: int, columns: Sequence[str] = ()
) -> Continuation:
  """Compares a file with what a run will write to it. Writes nothing.

  Rows from `first_iteration` on are dropped: the run repeats them. So are rows
  that are cut or hold no numbers, with all rows of their iteration. Columns
  that the file lacks are added at its end, and have NaN in the rows so far.
  Columns that the run does not have stay, and have NaN from now on.

  Args:
    path: The file, which need not exist.
    first_iteration: The first iteration that will be trained now.
    columns: The columns of the rows that will be written. Empty: those of the
      file, whatever they are.

  Raises:
    errors.UsageError: The file does not hold the rows of a run.
    OSError: It cannot be read.
  """
  if not os.path.exists(path):
    return Continuation((), (), ('is missing',))
  try:
    # Spreadsheets write a mark at the beginning.
    with open(path, newline='', encoding='utf-8-sig') as file:
      text = file.read()
    header, *rows = list(csv.reader(io.StringIO(text))) or [[]]
    _check_header(header, is_cut='\n' not in text)
    whole, broken = _divide(header, rows, is_cut=not text.endswith('\n'))
    kept = [row for row in whole if int(row[0]) < first_iteration]
  except (ValueError, csv.Error) as error:
    raise errors.UsageError(
      f'{path} does not hold the rows of a run ({error}): bring them back, or'
      ' move it away'
    ) from error
  if not kept:
    is_broken = broken > (not text.endswith('\n'))
    return Continuation((), (), ('has no rows',), is_broken)
  added = [name for name in columns if name not in header]
  ended = [name for name in header if columns and name not in columns]
  lines = []
  if broken:
    lines.append(f'has rows that are cut or hold no numbers: {broken} dropped')
  if added:
    lines.append(f'has no {", ".join(added)}: added, NaN so far')
  if ended:
    lines.append(f'has {", ".join(ended)}: not written any more, NaN from now')
  return Continuation(
    (*header, *added),
    tuple((*row, *('nan' for _ in added)) for row in kept),
    tuple(lines),
  )


def _check_header(header, is_cut):
  """Raises ValueError unless it begins as a run's does; it may be cut."""
  if not header or header[0] == _KEY:
    return
  if not (is_cut and _KEY.startswith(header[0])):
    raise ValueError(f'its first column is {header[0][:40]!r}, not {_KEY!r}')


def _divide(header, rows, is_cut):
  """Returns the rows that are whole, and the number of the others.

  Args:
    header: The columns.
    rows: All rows.
    is_cut: Whether the last row may lack its end.

  Raises:
    ValueError: None is whole.
  """
  is_whole = [_is_whole(row, len(header)) for row in rows]
  if rows and is_cut:
    is_whole[-1] = False
  if len(rows) > is_cut and not any(is_whole):
    raise ValueError(f'no row has the {len(header)} numbers of its columns')
  # An evaluation is several rows.
  broken = {row[0] for row, ok in zip(rows, is_whole) if row and not ok}
  whole = [r for r, ok in zip(rows, is_whole) if ok and r[0] not in broken]
  return whole, len(rows) - len(whole)


def _is_whole(row, num_columns):
  try:
    return len(row) == num_columns and bool([float(cell) for cell in row])
  except ValueError:
    return False


def missing_iterations(continuation: Continuation, last: int) -> str:
  """Describes the iterations up to `last` without rows: '3, 5 to 7'."""
  there = {int(row[0]) for row in continuation.rows}
  missing = (i for i in range(1, last + 1) if i not in there)
  return ', '.join(_ranges(missing))


class CsvFile:
  """Appends rows; the file is created with the first one.

  Attributes:
    last_iteration: The iteration of the last row; None if there is no row.
  """

  def __init__(
    self, path: str, first_iteration: int, columns: Sequence[str] = ()
  ):
    """Drops the rows that will be repeated; see `plan`."""
    self._path = path
    continuation = plan(path, first_iteration, columns)
    self._columns = continuation.columns
    self._file = None
    self.last_iteration = None
    if not continuation.rows:
      if continuation.is_broken:
        kept = files.keep_beside(path)
        terminal.log(f'{path} has no row that is whole: it is kept as {kept}')
      elif os.path.exists(path):
        os.remove(path)
      return
    self.last_iteration = int(continuation.rows[-1][0])
    with files.replace_file(path) as scratch:
      with open(scratch, 'w', newline='', encoding='utf-8') as file:
        csv.writer(file, lineterminator='\n').writerows(
          [self._columns, *continuation.rows]
        )

  def write(self, step: int, rows: Sequence[Mapping[str, float]]) -> None:
    """Appends rows of an iteration."""
    if self._file is None:
      self._file = open(self._path, 'a', newline='', encoding='utf-8')
    if not self._columns:
      self._columns = tuple(rows[0])
      self._file.write(','.join(self._columns) + '\n')
    for row in rows:
      # repr of a float reads back as the same float.
      values = (plain_texts.of(row.get(c, math.nan)) for c in self._columns)
      self._file.write(','.join(values) + '\n')
    self._file.flush()
    self.last_iteration = step

  def sync(self) -> None:
    """Writes the rows through to the disk."""
    if self._file is not None:
      os.fsync(self._file.fileno())

  def close(self) -> None:
    """Closes the file."""
    if self._file is not None:
      self._file.close()


def _ranges(numbers: Iterable[int]) -> Iterable[str]:
  """Yields ascending numbers as texts, such as '3' and '5 to 7'."""
  # Neighbours have the same distance to their place.
  placed = enumerate(numbers)
  for _, group in itertools.groupby(placed, lambda pair: pair[1] - pair[0]):
    _, (first, *rest) = zip(*group)
    yield f'{first} to {rest[-1]}' if rest else str(first)
