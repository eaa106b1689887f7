"""The results of a sweep as one table: sweep.csv, a row for each run."""

from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import csv
import math
import os
from typing import NamedTuple

import numpy as np

from maml_tf.comparison import final_returns
from maml_tf.comparison import metrics_tables
from maml_tf.core import errors
from maml_tf.core import files
from maml_tf.core import run_files
from maml_tf.sweeping import plan

TABLE_FILE = 'sweep.csv'

WAITING, RUNNING = 'waiting', 'running'
FINISHED, STOPPED, FAILED = 'finished', 'stopped', 'failed'

# The returns are means over this share of the iterations, at the end.
LAST_SHARE = 0.1


class Ends(NamedTuple):
  """How far a run is, and what it has reached.

  Attributes:
    iterations: The iterations that metrics.csv has.
    env_steps: The transitions so far.
    seconds: The seconds of training so far.
    return_before: The mean return before adaptation in the last tenth of the
      iterations; NaN without any.
    return_after: The same after the last adaptation step.
  """

  iterations: int = 0
  env_steps: int = 0
  seconds: float = 0.0
  return_before: float = math.nan
  return_after: float = math.nan


def read_ends(root_dir: str) -> Ends:
  """Reads the last rows of a run's metrics.csv.

  Args:
    root_dir: The run's folder, which need not exist.
  """
  table = _read(root_dir)
  columns = metrics_tables.steps_of(table, final_returns.RETURN)
  if not columns:
    return Ends()
  return Ends(
    int(table['iteration'][-1]),
    int(table['env_steps'][-1]),
    float(table['wall_seconds'][-1]),
    _last_mean(table[columns[0]]),
    _last_mean(table[columns[-1]]),
  )


def read_returns(root_dir: str, after: int = 0) -> list[tuple[int, float]]:
  """Reads what a run had reached at each iteration, see `Ends.return_after`.

  Args:
    root_dir: The run's folder, which need not exist.
    after: The iteration before the first that counts.

  Returns:
    The iterations and returns.
  """
  table = _read(root_dir)
  columns = metrics_tables.steps_of(table, final_returns.RETURN)
  if not columns:
    return []
  return [
    (int(iteration), _last_mean(table[columns[-1]][:count]))
    for count, iteration in enumerate(table['iteration'], 1)
    if iteration > after
  ]


def read_finished(root_dir: str) -> set[str]:
  """Returns the names of the runs that a sweep's table calls finished.

  Args:
    root_dir: The sweep's folder, which need not exist.
  """
  with contextlib.suppress(OSError, csv.Error, UnicodeDecodeError):
    with open(
      os.path.join(root_dir, TABLE_FILE), newline='', encoding='utf-8'
    ) as file:
      rows = list(csv.DictReader(file))
    return {r['run'] for r in rows if r.get('status') == FINISHED}
  return set()


def write(
  root_dir: str,
  runs: Sequence[plan.PlannedRun],
  statuses: Mapping[str, str],
  ends: Mapping[str, Ends],
) -> None:
  """Writes the table.

  Args:
    root_dir: The sweep's folder.
    runs: The runs.
    statuses: The status of each by name.
    ends: How far each is, by name.
  """
  settings = list(dict.fromkeys(n for run in runs for n in run.point.settings))
  with files.replace_file(os.path.join(root_dir, TABLE_FILE)) as scratch:
    with open(scratch, 'w', newline='', encoding='utf-8') as file:
      writer = csv.writer(file, lineterminator='\n')
      writer.writerow(['run', *settings, 'seed', 'status', *Ends._fields])
      for run in runs:
        writer.writerow(
          [
            run.name,
            *(run.point.settings[name] for name in settings),
            run.seed,
            statuses[run.name],
            *(_text(number) for number in ends[run.name]),
          ]
        )


def _read(root_dir: str) -> metrics_tables.Table:
  """Returns a run's metrics.csv; an empty table if there is none."""
  try:
    return metrics_tables.read(os.path.join(root_dir, run_files.METRICS_FILE))
  except (FileNotFoundError, errors.UsageError):
    return {}


def _last_mean(values: np.ndarray) -> float:
  """Returns the mean of the last tenth of the values, [I] -> []."""
  count = final_returns.num_last(len(values), LAST_SHARE)
  return float(metrics_tables.moving_mean(values, count)[-1])


def _text(number: float) -> str:
  if isinstance(number, float):
    return '' if math.isnan(number) else f'{number:.3f}'
  return str(number)
