"""The numbers of a comparison as CSV files: a row per group, and per run."""

from collections.abc import Mapping
from collections.abc import Sequence
import csv
import math
from typing import Any

from maml_tf.comparison import final_returns
from maml_tf.comparison import tables
from maml_tf.core import files


def write_groups(ends: Sequence[final_returns.GroupEnd], path: str) -> None:
  """Writes a row for each group.

  Raises:
    OSError: The file cannot be written.
  """
  rows = []
  for letter, end in zip(tables.letters(len(ends)), ends):
    env_steps = [run.env_steps for run in end.runs]
    row = {
      'group': letter,
      'label': end.group.label,
      'runs': len(end.runs),
      'seeds': ' '.join(run.run.seed for run in end.runs),
      'env_steps_min': min(env_steps),
      'env_steps_max': max(env_steps),
      'env_steps_per_second': end.speed,
    }
    for metric in ('returns', 'successes', 'evaluated'):
      for step, summary in enumerate(getattr(end, metric)):
        name = f'{_COLUMNS[metric]}_step_{step}'
        row |= {
          f'{name}_iqm': summary.iqm,
          f'{name}_low': summary.low,
          f'{name}_high': summary.high,
        }
    rows.append(row | dict(end.group.settings))
  _write(rows, path)


def write_runs(ends: Sequence[final_returns.GroupEnd], path: str) -> None:
  """Writes a row for each run.

  Raises:
    OSError: The file cannot be written.
  """
  rows = []
  for letter, end in zip(tables.letters(len(ends)), ends):
    for run in end.runs:
      row = {
        'group': letter,
        'run': run.run.name,
        'seed': run.run.seed,
        'iterations': run.run.num_iterations,
        'env_steps': run.env_steps,
        'wall_seconds': run.wall_seconds,
        'env_steps_per_second': run.speed,
      }
      for name, values in (
        (_COLUMNS['returns'], run.returns),
        (_COLUMNS['successes'], run.successes),
        (_COLUMNS['evaluated'], run.run.evaluated),
      ):
        row |= {f'{name}_step_{i}': float(v) for i, v in enumerate(values)}
      rows.append(row | dict(end.group.settings))
  _write(rows, path)


_COLUMNS = {
  'returns': final_returns.RETURN,
  'successes': final_returns.SUCCESS,
  'evaluated': 'evaluation_return',
}


def _write(rows: Sequence[Mapping[str, Any]], path: str) -> None:
  columns = list(dict.fromkeys(name for row in rows for name in row))
  # Settings stand behind the numbers, also those of later rows.
  settings = [name for name in columns if '.' in name]
  columns = [name for name in columns if '.' not in name] + settings
  with files.replace_file(path) as scratch:
    with open(scratch, 'w', newline='', encoding='utf-8') as file:
      writer = csv.DictWriter(file, columns, lineterminator='\n')
      writer.writeheader()
      writer.writerows({n: _cell(v) for n, v in row.items()} for row in rows)


def _cell(value: Any) -> Any:
  """Returns a cell: nothing for None and NaN, 16000 and not 16000.0."""
  if value is None or (isinstance(value, float) and math.isnan(value)):
    return ''
  if isinstance(value, float):
    return repr(int(value) if value.is_integer() else float(value))
  return value
