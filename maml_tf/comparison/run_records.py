"""A run as it stands on the disk: its numbers, settings and evaluation."""

import collections
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from collections.abc import Set
import csv
import os
import re
from typing import NamedTuple

import numpy as np

from maml_tf.comparison import metrics_tables
from maml_tf.core import errors
from maml_tf.core import paths as paths_lib
from maml_tf.core import run_files
from maml_tf.run import config_values

SEED = 'train_eval.seed'
NUM_ITERATIONS = 'train_eval.num_iterations'


class RunRecord(NamedTuple):
  """A run.

  Attributes:
    name: Its path, as much of it as tells the runs apart.
    folder: Its folder.
    table: The columns of its metrics; none if it has not written any yet.
    settings: Its settings by name; None without a config.gin. Of a file that
      has another name than metrics.csv, the seed is left out.
    bound: The names that files and command lines set; None if unknown.
    evaluated: The mean returns over the tasks of its evaluation, of which none
      need be held out, after 0, 1, ... adaptation steps, [S + 1]; empty without
      an evaluation.
    has_changed: Whether `--allow_config_change` has changed its settings.
  """

  name: str
  folder: str
  table: metrics_tables.Table
  settings: Mapping[str, str] | None
  bound: Set[str] | None
  evaluated: np.ndarray
  has_changed: bool

  @property
  def seed(self) -> str:
    """Its seed, as in its config; '' if that is unknown."""
    return (self.settings or {}).get(SEED, '')

  @property
  def num_iterations(self) -> int:
    """The number of its iterations, of which it may have lost the first rows.

    0: it has no rows.
    """
    if not self.table:
      return 0
    count = len(next(iter(self.table.values())))
    last = self.table.get('iteration', np.zeros(1))[-1]
    return max(count, int(last)) if np.isfinite(last) else count

  @property
  def planned_iterations(self) -> int | None:
    """How many iterations its config wants; None if that is unknown."""
    planned = (self.settings or {}).get(NUM_ITERATIONS, '')
    return int(planned) if planned.isdigit() else None


def read_all(paths: Sequence[str]) -> list[RunRecord]:
  """Reads runs.

  Args:
    paths: Their folders, or CSV files with their metrics. The same one twice
      is one run.

  Returns:
    The runs. Those that have not written yet have no metrics.

  Raises:
    errors.UsageError: A file is there, but is not a run's.
  """
  paths = list(dict.fromkeys(map(_metrics_path, paths)))
  return [_read(name, path) for name, path in zip(run_names(paths), paths)]


def read_begun(
  paths: Sequence[str], log: Callable[[str], None]
) -> list[RunRecord]:
  """Reads runs that have rows.

  Args:
    paths: As for `read_all`.
    log: Prints a line: which runs are left out.

  Raises:
    errors.UsageError: A path is not a run, or none has rows.
  """
  for path in paths:
    if not os.path.exists(path):
      raise errors.UsageError(
        f'{path} does not exist: give the folder of a training run'
      )
    if not os.path.isdir(path) and not path.endswith('.csv'):
      raise errors.UsageError(
        f'{path} is not a folder: give the folder of a training run, or its'
        f' {run_files.METRICS_FILE}'
      )
  runs = read_all(paths)
  begun = [run for run in runs if run.num_iterations]
  if not begun:
    raise errors.UsageError(
      f'{paths[0]} has no {run_files.METRICS_FILE} with rows yet: give the'
      ' folder of a training run'
    )
  for run in runs:
    if not run.num_iterations:
      log(
        f'{run.name} has no {run_files.METRICS_FILE} with rows yet: it is left'
        ' out'
      )
  return begun


def run_names(paths: Sequence[str]) -> list[str]:
  """Names runs by their folders: as much of them as tells them apart.

  A metrics.csv is named after its folder, another file after itself, without
  its ending unless a folder has the same name.
  """
  tables = list(map(_metrics_path, paths))
  owners = {p: p.removesuffix(f'/{run_files.METRICS_FILE}') for p in tables}
  stems = {
    path: owner.removesuffix('.csv') if owner == path else owner
    for path, owner in owners.items()
  }
  counts = collections.Counter(stems.values())
  names = [stems[p] if counts[stems[p]] == 1 else owners[p] for p in tables]
  parts = [tuple(paths_lib.printable(name).split('/')) for name in names]
  for length in range(1, max(map(len, parts)) + 1):
    names = ['/'.join(p[-length:]) for p in parts]
    if len(set(names)) == len(set(parts)):
      break
  return names


def _metrics_path(path: str) -> str:
  """Returns the CSV file of a run that is given by its folder or that file."""
  path = os.path.abspath(path)
  if path.endswith('.csv') and not os.path.isdir(path):
    return path
  return os.path.join(path, run_files.METRICS_FILE)


def _read(name: str, metrics: str) -> RunRecord:
  folder = os.path.dirname(metrics)
  try:
    table = metrics_tables.read(metrics)
  except FileNotFoundError:
    table = {}
  text = _read_text(os.path.join(folder, run_files.CONFIG_FILE))
  settings = None if text is None else _settings(text)
  is_folder = os.path.basename(metrics) == run_files.METRICS_FILE
  changes = os.path.join(folder, run_files.CHANGES_FILE)
  if settings and not is_folder:
    # Files such as seed0.csv and seed1.csv share a config.
    settings.pop(SEED, None)
  return RunRecord(
    name,
    folder,
    table,
    settings,
    None if text is None else config_values.bound_by_record(text),
    _read_evaluation(folder) if is_folder else np.zeros(0),
    is_folder and os.path.exists(changes),
  )


def _read_text(path: str) -> str | None:
  try:
    with open(path, encoding='utf-8') as file:
      return file.read()
  except FileNotFoundError:
    return None
  except (OSError, UnicodeDecodeError) as error:
    raise errors.UsageError(
      f'{path} cannot be read ({error}): bring it back, or remove it'
    ) from error


def _settings(text: str) -> dict[str, str]:
  """Returns the settings of a record, with values in place of macros."""
  bindings = config_values.of_record(text)
  macros = {name: value for name, value in bindings.items() if '.' not in name}
  settings = {n: v for n, v in bindings.items() if n not in macros}
  # A macro may refer to another one.
  for _ in macros:
    for name, value in settings.items():
      settings[name] = re.sub(
        r'%(\w+)', lambda match: macros.get(match[1], match[0]), value
      )
  return settings


def _read_evaluation(folder: str) -> np.ndarray:
  """Returns the mean returns of the trained policy by adaptation step.

  An evaluation by Meta-World's protocol has other columns: it is left out.
  """
  try:
    path = os.path.join(folder, run_files.EVALUATION_FILE)
    with open(path, newline='', encoding='utf-8-sig') as file:
      rows = [r for r in csv.DictReader(file) if r['policy'] == 'trained']
    returns = {}
    for row in rows:
      returns.setdefault(int(row['step']), []).append(float(row['return']))
    return np.array([np.mean(returns[s]) for s in range(len(returns))])
  except (OSError, ValueError, KeyError, TypeError, csv.Error):
    return np.zeros(0)
