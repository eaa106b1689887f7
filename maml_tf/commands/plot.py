"""Draws learning curves, as the flags of `maml_tf.plot` say."""

from collections.abc import Sequence
import os

from absl import flags

from maml_tf.comparison import live_view
from maml_tf.comparison import metrics_tables
from maml_tf.comparison import pictures
from maml_tf.comparison import remarks
from maml_tf.comparison import run_groups
from maml_tf.comparison import run_records
from maml_tf.comparison import tables
from maml_tf.core import checks
from maml_tf.core import errors
from maml_tf.core import paths
from maml_tf.core import terminal

_FLAGS = flags.FLAGS


def main(argv: Sequence[str]) -> int:
  """Draws, and returns the exit code: 0, or 2 for bad input."""
  runs = argv[1:]
  try:
    with errors.usage_errors():
      _check()
    if _FLAGS.follow:
      has_drawn = live_view.follow(runs, _draw, _FLAGS.seconds)
      end = f'the last picture is {_FLAGS.out}' if has_drawn else 'no picture'
      terminal.log(f'plot: {end}')
      return 0
    groups = _draw(run_records.read_begun(runs, terminal.log))
  except (errors.UsageError, OSError) as error:
    return terminal.print_error('plot', error, debug=_FLAGS.debug)
  for line in remarks.of_groups(groups):
    terminal.log(f'plot: {line}')
  settings = tables.of_settings(groups)
  lines = tables.describe(groups)
  if settings is not None:
    lines += ['', *tables.for_terminal(settings)]
  terminal.show('\n'.join(lines))
  terminal.log(f'plot: wrote {_FLAGS.out}')
  return 0


def _check() -> None:
  """Raises ValueError for flags that are wrong with all runs."""
  checks.integer('--mean_over', _FLAGS.mean_over, 1)
  checks.number('--seconds', _FLAGS.seconds, above=0)
  if os.path.splitext(_FLAGS.out)[1].lower() not in pictures.FORMATS:
    raise ValueError(
      f'--out is {_FLAGS.out}: give a file that ends in '
      + ' or '.join(pictures.FORMATS)
    )
  folder, name = os.path.split(_FLAGS.out)
  paths.check_output_folder('--out', folder or '.', [name])


def _draw(
  runs: Sequence[run_records.RunRecord],
) -> list[run_groups.RunGroup]:
  """Writes the picture of runs that have rows; returns their groups."""
  all_tables = [run.table for run in runs]
  metrics_tables.check_metric(all_tables, _FLAGS.metric)
  metrics_tables.check_metric(all_tables, _FLAGS.x)
  groups = run_groups.group(runs)
  figure = pictures.draw_curves(
    groups, _FLAGS.metric, _FLAGS.x, _FLAGS.mean_over, _FLAGS.title
  )
  pictures.write(figure, _FLAGS.out)
  return groups
