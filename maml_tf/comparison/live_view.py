"""A live view: draws runs again and again while they train."""

from collections.abc import Callable
from collections.abc import Sequence
import time
from typing import Any

from maml_tf.comparison import metrics_tables
from maml_tf.comparison import run_records
from maml_tf.core import terminal

_MEAN_OVER = 20


def follow(
  paths: Sequence[str],
  draw: Callable[[Sequence[run_records.RunRecord]], Any],
  seconds: float,
  wait: Callable[[float], Any] = time.sleep,
) -> bool:
  """Draws whenever runs have written, until all have ended or on Ctrl-C.

  Runs whose folder or metrics.csv does not exist yet are awaited. A run that
  starts anew or goes back to a checkpoint is drawn as its file then stands.

  Args:
    paths: The runs, see `run_records.read_all`.
    draw: Is called with the runs that have rows.
    seconds: Between two looks.
    wait: Waits so long.

  Returns:
    Whether it has drawn.

  Raises:
    errors.UsageError: A file is not a run's, or has not the metric.
    OSError: The picture cannot be written.
  """
  line = terminal.StatusLine()
  drawn = None
  try:
    while True:
      runs = run_records.read_all(paths)
      begun = [run for run in runs if run.num_iterations]
      state = [(run.name, run.num_iterations, _end(run)) for run in begun]
      if begun and state != drawn:
        draw(begun)
        drawn = state
      line.show(_describe(runs))
      if all(map(_has_ended, runs)):
        return True
      wait(seconds)
  except KeyboardInterrupt:
    return drawn is not None
  finally:
    line.close()


def _has_ended(run: run_records.RunRecord) -> bool:
  planned = run.planned_iterations
  return planned is not None and run.num_iterations >= planned


def _end(run: run_records.RunRecord) -> list[str]:
  """Returns the last row as texts: NaN is not equal to itself."""
  return [str(column[-1]) for column in run.table.values()]


def _describe(runs: Sequence[run_records.RunRecord]) -> str:
  """Returns the line of progress: the run that is furthest behind."""
  parts = []
  begun = [run for run in runs if run.num_iterations]
  waiting = [run.name for run in runs if not run.num_iterations]
  if begun:
    run = min(begun, key=lambda run: run.num_iterations)
    planned = run.planned_iterations
    of_planned = f' of {planned}' if planned else ''
    means = [
      metrics_tables.moving_mean(run.table[column], _MEAN_OVER)[-1]
      for column in metrics_tables.steps_of(run.table, 'return')
    ]
    which = f'last of {len(runs)} runs, ' if len(runs) > 1 else ''
    parts.append(
      f'{which}{run.name}: iteration {run.num_iterations}{of_planned}, return'
      f' {" -> ".join(f"{mean:.1f}" for mean in means)}'
    )
  if waiting:
    more = f' and {len(waiting) - 1} more' if len(waiting) > 1 else ''
    parts.append(f'waiting for the first row of {waiting[0]}{more}')
  return '; '.join(parts)
