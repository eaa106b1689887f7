"""Curves of seeds: interquartile means with bootstrap bands."""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from maml_tf.comparison import metrics_tables
from maml_tf.core import interquartile_means

NUM_POINTS = 200
# Those of Matplotlib's default style, whatever the user's is.
_COLORS = (
  '#1f77b4',
  '#ff7f0e',
  '#2ca02c',
  '#d62728',
  '#9467bd',
  '#8c564b',
  '#e377c2',
  '#7f7f7f',
  '#bcbd22',
  '#17becf',
)
_STYLES = ('solid', 'dashed', 'dashdot', 'dotted')
NUM_LOOKS = len(_COLORS) * len(_STYLES)


class Curves(NamedTuple):
  """Moving means of a metric's columns, on one grid for all seeds.

  Attributes:
    x: Where they are known, as far as the shortest run goes, [P].
    values: Their values, one column for each adaptation step, [C, P, S].
    tails: The x and the values [C, I] of each run from there on.
  """

  x: np.ndarray
  values: np.ndarray
  tails: tuple[tuple[np.ndarray, np.ndarray], ...]


def of_tables(
  tables: Sequence[metrics_tables.Table],
  metric: str,
  mean_over: int,
  x: str = 'env_steps',
) -> Curves:
  """Computes the curves of runs that differ in their seed alone.

  Args:
    tables: The tables of S runs; each has a row and the metric.
    metric: See `metrics_tables.steps_of`. Steps that not all runs have are
      left out.
    mean_over: The number of iterations of the moving mean.
    x: The column of the x axis, which increases.
  """
  columns = [metrics_tables.steps_of(table, metric) for table in tables]
  columns = min(columns, key=len)
  runs = [
    (
      table[x],
      [metrics_tables.moving_mean(table[c], mean_over) for c in columns],
    )
    for table in tables
  ]
  start = max(xs[0] for xs, _ in runs)
  stop = min(xs[-1] for xs, _ in runs)
  # A run that lost its first rows may begin where another ends.
  grid = np.linspace(start, stop, NUM_POINTS if start <= stop else 0)
  values = [[np.interp(grid, xs, of_run) for of_run in ys] for xs, ys in runs]
  tails = tuple(
    (xs[xs >= stop], np.array(ys)[:, xs >= stop]) for xs, ys in runs
  )
  return Curves(grid, np.moveaxis(np.array(values), 0, -1), tails)


def look(index: int) -> dict[str, Any]:
  """Returns the colour and the line style of one of `NUM_LOOKS` groups.

  Later groups begin anew.
  """
  row, column = divmod(index, len(_COLORS))
  return {
    'color': _COLORS[column],
    'linestyle': _STYLES[row % len(_STYLES)],
  }


def draw(
  axes: Any, x: np.ndarray, values: np.ndarray, label: str | None, **look
) -> Any:
  """Draws the centre and the band of values; returns the line of the centre.

  Args:
    axes: Axes of matplotlib.
    x: Where they are, [P].
    values: The values of each seed, [P, S].
    label: The legend's text.
    **look: The colour and style of the line.
  """
  centre = interquartile_means.interquartile_mean(values)
  (line,) = axes.plot(x, centre, label=label, **look)
  if values.shape[-1] > 1 and len(x):
    axes.fill_between(
      x,
      *interquartile_means.bootstrap_band(values),
      color=look['color'],
      alpha=0.2,
      linewidth=0,
    )
  return line
