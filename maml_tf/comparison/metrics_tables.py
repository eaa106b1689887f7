"""The columns of a run's CSV file as arrays, also while the run writes it."""

from collections.abc import Mapping
from collections.abc import Sequence
import csv
import difflib
import io
import re

import numpy as np

from maml_tf.core import errors

# Columns by name, each [I].
Table = Mapping[str, np.ndarray]


def read(path: str) -> Table:
  """Reads the whole rows of a metrics.csv.

  A row is left out if it lacks numbers or its end: a run may be writing it.

  Args:
    path: The file.

  Returns:
    The columns; empty before the first row.

  Raises:
    errors.UsageError: It is not a table.
    FileNotFoundError: It does not exist.
  """
  try:
    # Spreadsheets write a mark at the beginning.
    with open(path, newline='', encoding='utf-8-sig') as file:
      text = file.read()
    # What follows the last end of line may be half a number. A machine that
    # lost its power leaves null characters.
    text = text[: text.rfind('\n') + 1].replace('\0', '')
    lines = csv.reader(io.StringIO(text))
    header, *rows = list(lines) or [[]]
  except FileNotFoundError:
    raise
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    raise errors.UsageError(
      f'{path} cannot be read as a table ({error}): give the folder of a'
      " training run, or a run's metrics.csv"
    ) from error
  numbers = [row for row in map(_numbers, rows) if len(row) == len(header)]
  if not numbers:
    return {}
  return dict(zip(header, np.array(numbers, np.float64).T))


def steps_of(table: Table, metric: str) -> list[str]:
  """Returns the columns of a metric after 0, 1, ... adaptation steps.

  Args:
    table: A table.
    metric: Such as 'return', or the name of one column, which is then alone.
  """
  if metric in table:
    return [metric]
  pattern = re.compile(re.escape(metric) + r'_step_(\d+)')
  matches = filter(None, map(pattern.fullmatch, table))
  return [match[0] for match in sorted(matches, key=lambda m: int(m[1]))]


def check_metric(tables: Sequence[Table], metric: str) -> None:
  """Checks that tables have a metric.

  Raises:
    errors.UsageError: One has not; the message lists what all have.
  """
  if all(steps_of(table, metric) for table in tables):
    return
  common = [n for n in tables[0] if all(n in table for table in tables)]
  names = list(dict.fromkeys(re.sub(r'_step_\d+$', '', n) for n in common))
  close = difflib.get_close_matches(metric, [*names, *common], 1)
  raise errors.UsageError(
    f'{metric} is not a metric of all these runs: give '
    + (f'{close[0]}, or another of ' if close else '')
    + ', '.join(names)
  )


def moving_mean(values: np.ndarray, width: int) -> np.ndarray:
  """Returns means over at most `width` previous values, [I] -> [I].

  NaNs, of iterations whose collection failed, are left out.
  """
  known = np.isfinite(values)
  sums = np.cumsum(np.insert(np.where(known, values, 0.0), 0, 0.0))
  counts = np.cumsum(np.insert(known, 0, 0))
  ends = np.arange(1, len(values) + 1)
  starts = np.maximum(ends - width, 0)
  with np.errstate(invalid='ignore'):
    return (sums[ends] - sums[starts]) / (counts[ends] - counts[starts])


def _numbers(row: Sequence[str]) -> list[float]:
  try:
    return [float(cell) for cell in row]
  except ValueError:
    return []
