"""Pictures of groups of runs: learning curves, and returns at the end."""

from collections.abc import Sequence
import io
import os
import re
import textwrap

from matplotlib import figure as figure_lib
import matplotlib.style
import numpy as np

from maml_tf.comparison import curves
from maml_tf.comparison import final_returns
from maml_tf.comparison import run_groups
from maml_tf.core import files
from maml_tf.core import paths
from maml_tf.core import phrases

X_AXES = ('env_steps', 'iteration', 'wall_seconds')
FORMATS = ('.png', '.svg')

# Longer texts stand below the axes, and so do many of them.
_LEGEND_WIDTH = 40
_LEGEND_ROWS = 6
# The characters of a line below the axes.
_LINE_WIDTH = 86
# Of pages: as wide as a phone, whose screen then shows texts in their size.
_PAGE_SIZE = (4.6, 3.2)
# It becomes the colour of the page's text.
_INK = '#010203'
_INK_STYLE = {
  'axes.edgecolor': _INK,
  'axes.labelcolor': _INK,
  'text.color': _INK,
  'xtick.color': _INK,
  'ytick.color': _INK,
  'svg.fonttype': 'none',
}


def draw_curves(
  groups: Sequence[run_groups.RunGroup],
  metric: str = 'return',
  x: str = 'env_steps',
  mean_over: int = 20,
  title: str | None = None,
  for_page: bool = False,
) -> figure_lib.Figure:
  """Draws a curve with a band for each group.

  One group has a curve for each adaptation step; of several, each has that
  after the last step. A run that goes further than others of its group goes on
  as a thin line.

  Args:
    groups: Groups whose runs all have rows and the metric.
    metric: See `metrics_tables.steps_of`.
    x: One of `X_AXES`.
    mean_over: The number of iterations of the moving mean.
    title: The title. None: none.
    for_page: Whether it is small and has no legend.
  """
  tables = [[run.table for run in group.runs] for group in groups]
  labels = [_label(group) for group in groups]
  size = _PAGE_SIZE if for_page else _size(labels)
  figure = figure_lib.Figure(figsize=size, layout='constrained')
  axes = figure.subplots()
  furthest = max(table[x][-1] for of_group in tables for table in of_group)
  divisor, x_label = _scale(x, furthest)
  is_alone = len(groups) == 1
  axis_steps = set()
  # Lines of the legend and their texts.
  lines = {}
  for index, (label, of_group) in enumerate(zip(labels, tables)):
    found = curves.of_tables(of_group, metric, mean_over, x)
    last = len(found.values) - 1
    axis_steps.add(last)
    for step in range(last + 1) if is_alone else (last,):
      look = curves.look(step if is_alone else index)
      if is_alone:
        label = phrases.after_steps(step) if last else metric
      line = curves.draw(
        axes, found.x / divisor, found.values[step], None, **look
      )
      lines[line] = label
      for xs, values in found.tails:
        if len(xs) > 1:
          axes.plot(xs / divisor, values[step], **look, linewidth=0.7)
  axes.set_xlabel(x_label)
  if not is_alone and axis_steps != {0}:
    metric += f' {_after(axis_steps)}'
  over = f', mean of {mean_over} iterations' if mean_over > 1 else ''
  axes.set_ylabel(metric + over * (not for_page), parse_math=False)
  axes.grid(alpha=0.3)
  axes.set_title(paths.printable(title or ''), parse_math=False)
  if not for_page:
    _add_legend(figure, axes, lines)
  return figure


def draw_ends(
  ends: Sequence[final_returns.GroupEnd], letters: Sequence[str]
) -> figure_lib.Figure:
  """Draws the returns of groups before and after adaptation, with each seed.

  Args:
    ends: What the groups have reached.
    letters: The groups' names.
  """
  height = max(_PAGE_SIZE[1], 0.42 * len(ends) + 1.1)
  figure = figure_lib.Figure((_PAGE_SIZE[0], height), layout='constrained')
  axes = figure.subplots()
  for index, end in enumerate(ends):
    color = curves.look(index)['color']
    first, last = end.returns[0], end.returns[-1]
    axes.annotate(
      '',
      (last.iqm, index),
      (first.iqm, index),
      arrowprops={'arrowstyle': '->', 'color': color, 'alpha': 0.5},
    )
    for step, summary, face in ((0, first, 'none'), (-1, last, color)):
      seeds = [run.returns[step] for run in end.runs]
      axes.plot(
        seeds,
        np.full(len(seeds), index + 0.22),
        'o',
        color=color,
        markersize=3,
        alpha=0.6,
      )
      axes.plot([summary.low, summary.high], [index, index], color=color, lw=4)
      axes.plot(
        summary.iqm, index, 'o', color=color, markerfacecolor=face, markersize=8
      )
  axes.set_yticks(range(len(ends)), letters)
  axes.set_ylim(len(ends) - 0.5, -0.5)
  axes.set_xlabel('return before (open) and after (filled)')
  axes.grid(alpha=0.3, axis='x')
  return figure


def write(figure: figure_lib.Figure, path: str) -> None:
  """Writes a figure in the format of the path's ending.

  Args:
    figure: The figure.
    path: The file. Its folder is created if it does not exist.

  Raises:
    OSError: The file cannot be written.
  """
  os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
  with files.replace_file(path) as scratch:
    figure.savefig(scratch, dpi=150)


def ink() -> matplotlib.style.context:
  """Returns a context in which figures for `inline_svg` are drawn."""
  return matplotlib.style.context(['default', _INK_STYLE])


def inline_svg(figure: figure_lib.Figure, name: str) -> str:
  """Returns a figure as SVG that stands in a page and has its text's colour.

  Args:
    figure: A figure, drawn inside `ink()`.
    name: Makes the names inside the SVG differ from those of others.
  """
  buffer = io.StringIO()
  with matplotlib.rc_context({'svg.hashsalt': name, 'svg.fonttype': 'none'}):
    figure.savefig(
      buffer, format='svg', transparent=True, metadata={'Date': None}
    )
  svg = buffer.getvalue()
  svg = svg[svg.index('<svg') :].replace(_INK, 'currentColor')
  # Sizes are the page's; names such as axes_1 would be there many times.
  svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1', svg, count=1)
  svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1', svg, count=1)
  svg = re.sub(r' id="[\w.]+_[0-9]+"', '', svg)
  return re.sub(r'<metadata>.*?</metadata>\s*', '', svg, flags=re.DOTALL)


def _label(group):
  """Returns a group's text in the legend, in lines as wide as the figure."""
  label = f'{group.label} ({phrases.count(len(group.runs), "run")})'
  return textwrap.fill(label, _LINE_WIDTH, subsequent_indent='  ')


def _size(labels):
  """Returns a figure's size, with room for the legend below."""
  num_lines = sum(label.count('\n') + 1 for label in labels)
  return (8, 4.8 + (0.21 * num_lines if _is_below(labels) else 0))


def _is_below(labels):
  is_long = any(len(label) > _LEGEND_WIDTH for label in labels)
  return len(labels) > 1 and (is_long or len(labels) > _LEGEND_ROWS)


def _add_legend(figure, axes, labels):
  """Adds a legend of the labels of lines."""
  # As arguments, those that begin with an underscore would be hidden.
  handles, names = list(labels), ['-'] * len(labels)
  if _is_below(list(labels.values())):
    look = {'loc': 'outside lower left', 'frameon': False}
    legend = figure.legend(handles, names, **look)
  else:
    legend = axes.legend(handles, names)
  for text, label in zip(legend.get_texts(), labels.values()):
    text.set(text=label, parse_math=False)


def _scale(x, furthest):
  """Returns what the numbers of an x axis are divided by, and its label."""
  if x == 'env_steps' and furthest >= 1e6:
    return 1e6, 'env steps (millions)'
  if x == 'wall_seconds':
    for divisor, unit in ((3600, 'hours'), (60, 'minutes')):
      if furthest >= 2 * divisor:
        return divisor, f'time ({unit})'
    return 1, 'time (seconds)'
  return 1, x.replace('_', ' ')


def _after(steps):
  """Describes the adaptation steps of groups."""
  if len(steps) > 1:
    return 'after adaptation'
  return phrases.after_steps(*steps)
