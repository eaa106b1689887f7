"""The tables of a comparison as texts: for the terminal, CSV and the page."""

from collections.abc import Sequence
import math
import string
from typing import NamedTuple

from maml_tf.comparison import final_returns
from maml_tf.comparison import run_groups
from maml_tf.core import interquartile_means
from maml_tf.core import phrases
from maml_tf.core import run_files

NONE = '-'


class Table(NamedTuple):
  """A table.

  Attributes:
    title: What it shows.
    header: The names of the columns; the first has the groups' letters, or the
      names of settings.
    rows: The cells.
  """

  title: str
  header: tuple[str, ...]
  rows: tuple[tuple[str, ...], ...]


def letters(count: int) -> list[str]:
  """Returns short names of groups: A, ..., Z, AA, AB, ..."""
  names = list(string.ascii_uppercase)
  while len(names) < count:
    names += [a + b for a in names for b in string.ascii_uppercase]
  return names[:count]


def of_training(
  ends: Sequence[final_returns.GroupEnd], last_share: float
) -> Table:
  """Returns what the groups have reached in training."""
  num_steps = max(len(end.returns) for end in ends)
  num_successes = max(len(end.successes) for end in ends)
  places = _decimals([end.returns for end in ends])
  rows = []
  for letter, end in zip(letters(len(ends)), ends):
    env_steps = [run.env_steps for run in end.runs]
    hours = [run.wall_seconds / 3600 for run in end.runs]
    rows.append(
      (
        letter,
        str(len(end.runs)),
        *_cells(end.returns, num_steps, places),
        *_cells(end.successes, num_successes, 3),
        _range(env_steps, 1e6, 'M', 2),
        number(end.speed, 0),
        _range(hours, 1, '', 2),
      )
    )
  return Table(
    f'Return in training, mean of the last {100 * last_share:.4g}% of the'
    ' iterations',
    (
      'group',
      'runs',
      *map(phrases.after_steps, range(num_steps)),
      *(f'success {phrases.after_steps(s)}' for s in range(num_successes)),
      'env steps',
      'env steps/s',
      'hours',
    ),
    tuple(rows),
  )


def of_evaluation(ends: Sequence[final_returns.GroupEnd]) -> Table | None:
  """Returns the returns in the evaluation; None if no run has them."""
  num_steps = max(len(end.evaluated) for end in ends)
  if not num_steps:
    return None
  places = _decimals([end.evaluated for end in ends])
  rows = []
  for letter, end in zip(letters(len(ends)), ends):
    evaluated = sum(len(run.run.evaluated) > 0 for run in end.runs)
    cells = _cells(end.evaluated, num_steps, places)
    if evaluated:
      rows.append((letter, str(evaluated), *cells))
  return Table(
    f'Return in the evaluation ({run_files.EVALUATION_FILE})',
    ('group', 'runs', *map(phrases.after_steps, range(num_steps))),
    tuple(rows),
  )


def of_settings(groups: Sequence[run_groups.RunGroup]) -> Table | None:
  """Returns the settings that differ; None if none does."""
  names = list(groups[0].settings)
  if not names:
    return None
  return Table(
    'What differs in the configs',
    ('setting', *letters(len(groups))),
    tuple(
      (name, *(_value(g.settings[name]) for g in groups)) for name in names
    ),
  )


def of_runs(ends: Sequence[final_returns.GroupEnd]) -> Table:
  """Returns what each run has reached."""
  num_steps = max(len(end.returns) for end in ends)
  places = _decimals([end.returns for end in ends])
  rows = []
  for letter, end in zip(letters(len(ends)), ends):
    for run in end.runs:
      returns = [number(value, places) for value in run.returns]
      rows.append(
        (
          letter,
          run.run.name,
          run.run.seed or NONE,
          str(run.run.num_iterations),
          *returns,
          *[NONE] * (num_steps - len(returns)),
        )
      )
  steps = map(phrases.after_steps, range(num_steps))
  return Table(
    'Runs', ('group', 'run', 'seed', 'iterations', *steps), tuple(rows)
  )


def describe(groups: Sequence[run_groups.RunGroup]) -> list[str]:
  """Returns a line for each group: its letter, label and runs."""
  names = letters(len(groups))
  width = max(map(len, names))
  return [
    f'{letter:{width}}  {group.label}: {", ".join(r.name for r in group.runs)}'
    for letter, group in zip(names, groups)
  ]


def for_terminal(table: Table) -> list[str]:
  """Returns the lines of a table."""
  rows = [table.header, *table.rows]
  widths = [max(map(len, column)) for column in zip(*rows)]
  lines = [
    '  '.join(
      cell.rjust(width) if i else cell.ljust(width)
      for i, (cell, width) in enumerate(zip(row, widths))
    ).rstrip()
    for row in rows
  ]
  return [f'{table.title}:', *lines]


def number(value: float, places: int) -> str:
  """Returns a number as a text."""
  return f'{value:,.{places}f}' if math.isfinite(value) else NONE


def _value(value: str | None) -> str:
  return run_groups.NOT_SET if value is None else ' '.join(value.split())


def _cells(
  steps: Sequence[interquartile_means.Summary], count: int, places: int
) -> list[str]:
  """Returns the cells of a group's steps, as many as other groups have."""
  cells = [_summary(step, places) for step in steps]
  return cells + [NONE] * (count - len(steps))


def _summary(summary: interquartile_means.Summary, places: int) -> str:
  centre = number(summary.iqm, places)
  if math.isnan(summary.low):
    return centre
  low, high = (number(end, places) for end in (summary.low, summary.high))
  return f'{centre} [{low}, {high}]'


def _decimals(groups) -> int:
  return final_returns.decimals([s.iqm for group in groups for s in group])


def _range(values, divisor, unit, places) -> str:
  """Describes what runs have done; one number if all have done the same."""
  ends = [number(f(values) / divisor, places) for f in (min, max)]
  if ends[0] == ends[1]:
    return ends[0] + unit * (ends[0] != NONE)
  return f'{ends[0]} to {ends[1]}{unit}'
