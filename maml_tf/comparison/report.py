"""The report of a comparison: tables, CSV files and a page."""

from collections.abc import Sequence
import os

from maml_tf.comparison import csv_tables
from maml_tf.comparison import films
from maml_tf.comparison import final_returns
from maml_tf.comparison import metrics_tables
from maml_tf.comparison import page
from maml_tf.comparison import pictures
from maml_tf.comparison import remarks
from maml_tf.comparison import run_groups
from maml_tf.comparison import run_records
from maml_tf.comparison import tables
from maml_tf.core import files

PAGE_FILE = 'comparison.html'
GROUPS_FILE = 'comparison.csv'
RUNS_FILE = 'runs.csv'
FILES = (PAGE_FILE, GROUPS_FILE, RUNS_FILE)

_MEAN_OVER = 20
_CURVES = (
  (
    'env_steps',
    f'Return after adaptation, mean of {_MEAN_OVER} iterations, against'
    ' environment steps.',
  ),
  ('wall_seconds', 'The same against time.'),
)


def write(
  runs: Sequence[run_records.RunRecord],
  directory: str,
  last_share: float = 0.1,
  title: str | None = None,
  page_alone: bool = False,
) -> str:
  """Writes comparison.html, comparison.csv and runs.csv.

  Args:
    runs: Runs that all have rows.
    directory: The folder, created if it does not exist.
    last_share: The share of the iterations, from the end, whose mean is a
      run's final return.
    title: The page's title. None: the runs' environment.
    page_alone: Whether to write comparison.html only.

  Returns:
    The tables for the terminal.

  Raises:
    errors.UsageError: A run has no returns.
    OSError: A file cannot be read or written.
  """
  metrics_tables.check_metric([r.table for r in runs], final_returns.RETURN)
  groups = run_groups.group(runs)
  ends = [final_returns.of_group(group, last_share) for group in groups]
  of_groups = [tables.of_training(ends, last_share), tables.of_evaluation(ends)]
  of_groups = [table for table in of_groups if table is not None]
  settings = tables.of_settings(groups)
  found = films.read([run.folder for run in runs])
  lines = [
    *remarks.of_groups(groups),
    *remarks.of_lengths(groups),
    *found.faults,
  ]
  text = page.render(
    title or f'Comparison of {run_groups.environments(runs)}',
    ends,
    lines,
    _draw(groups, ends),
    of_groups,
    settings,
    tables.of_runs(ends),
    found.by_folder,
  )
  os.makedirs(directory, exist_ok=True)
  with files.replace_file(os.path.join(directory, PAGE_FILE)) as scratch:
    with open(scratch, 'w', encoding='utf-8') as file:
      file.write(text)
  if not page_alone:
    csv_tables.write_groups(ends, os.path.join(directory, GROUPS_FILE))
    csv_tables.write_runs(ends, os.path.join(directory, RUNS_FILE))
  blocks = [[*tables.describe(groups), *lines]]
  blocks += map(tables.for_terminal, [*of_groups, *filter(None, [settings])])
  return '\n\n'.join('\n'.join(block) for block in blocks)


def _draw(
  groups: Sequence[run_groups.RunGroup],
  ends: Sequence[final_returns.GroupEnd],
) -> list[page.Picture]:
  """Draws the pictures of the page."""
  drawn = []
  with pictures.ink():
    for x, caption in _CURVES:
      if not all(x in run.table for group in groups for run in group.runs):
        continue
      figure = pictures.draw_curves(
        groups, final_returns.RETURN, x, _MEAN_OVER, for_page=True
      )
      if len(groups) == 1:
        caption = caption.replace(
          'Return after adaptation', 'Return after each adaptation step'
        )
      drawn.append(page.Picture(pictures.inline_svg(figure, x), caption))
    figure = pictures.draw_ends(ends, tables.letters(len(ends)))
    caption = 'Returns at the end, their intervals, and each run as a dot.'
    drawn.append(page.Picture(pictures.inline_svg(figure, 'ends'), caption))
  return drawn
