"""The report of an evaluation: a table, JSON, CSV and a plot."""

import csv
import json
import math
import os

from matplotlib import figure as figure_lib
from matplotlib import ticker
import numpy as np

from maml_tf.core import files
from maml_tf.evaluation import evaluator as evaluation
from maml_tf.evaluation import statistics as evaluation_statistics

JSON_FILE = 'evaluation.json'
CSV_FILE = 'evaluation.csv'
PLOT_FILE = 'evaluation.png'
FILES = (JSON_FILE, CSV_FILE, PLOT_FILE)

_PERCENT = f'{evaluation_statistics.CONFIDENCE_LEVEL:.0%} interval'

_LABELS = {
  'trained': 'meta-learned',
  'initial': 'not meta-learned',
  'random': 'random actions',
}
_COLORS = {'trained': 'C0', 'initial': 'C1', 'random': 'black'}
_LINE_STYLES = {'trained': '-', 'initial': '--', 'random': ':'}


def table(result: evaluation.Evaluation) -> str:
  """Returns a table for the terminal, one line per policy and step."""
  _, num_tasks, num_episodes = result.policies[0].returns.shape
  title = (
    f'Return on {_count(num_tasks, "held-out task")},'
    f' {_count(num_episodes, "episode")} each a step,'
    f' after {_count(result.iteration, "meta-iteration")}'
  )
  decimals = _decimals(result)
  rows = [
    ('policy', 'step', 'mean', _PERCENT, 'IQM', _PERCENT, 'delta', 'worse')
  ]
  for policy in result.policies:
    for step, statistics in enumerate(policy.statistics):
      rows.append(
        (policy.name, str(step))
        + (f'{statistics.mean:.{decimals}f}',)
        + (_interval(statistics.mean_low, statistics.mean_high, decimals),)
        + (f'{statistics.iqm:.{decimals}f}',)
        + (_interval(statistics.iqm_low, statistics.iqm_high, decimals),)
        + (f'{statistics.adaptation_delta:+.{decimals}f}' if step else '',)
        + (f'{statistics.worse:.1%}' if step else '',)
      )
  widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
  lines = (
    '  '.join(
      [row[0].ljust(widths[0])]
      + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
    ).rstrip()
    for row in rows
  )
  return '\n'.join((title, *lines))


def write(result: evaluation.Evaluation, directory: str) -> None:
  """Writes evaluation.json, evaluation.csv and evaluation.png.

  Args:
    result: The evaluation.
    directory: An existing folder.

  Raises:
    OSError: A file cannot be written.
  """
  for name, write_file in (
    (JSON_FILE, _write_json),
    (CSV_FILE, _write_csv),
    (PLOT_FILE, _write_plot),
  ):
    with files.replace_file(os.path.join(directory, name)) as scratch:
      write_file(result, scratch)


def _count(number, noun):
  return f'{number} {noun}' + 's' * (number != 1)


def _decimals(result):
  """Returns the number of decimals that shows four digits of all returns."""
  means = np.concatenate([p.returns.mean(axis=(1, 2)) for p in result.policies])
  largest = np.max(np.abs(means), initial=0, where=np.isfinite(means))
  digits = math.floor(math.log10(largest)) + 1 if largest else 1
  return min(max(4 - digits, 0), 9)


def _interval(low, high, decimals):
  if math.isnan(low):
    return '-'
  return f'[{low:.{decimals}f}, {high:.{decimals}f}]'


def _write_json(result, path):
  _, num_tasks, num_episodes = result.policies[0].returns.shape
  content = {
    'iteration': result.iteration,
    'seed': result.seed,
    'num_tasks': num_tasks,
    'episodes_per_task': num_episodes,
    'num_adaptation_steps': len(result.policies[0].statistics) - 1,
    'step_size_schedule': result.step_size_schedule,
    'confidence_level': evaluation_statistics.CONFIDENCE_LEVEL,
    'policies': {
      policy.name: [
        {'step': step, **_plain(statistics)}
        for step, statistics in enumerate(policy.statistics)
      ]
      for policy in result.policies
    },
  }
  with open(path, 'w', encoding='utf-8') as file:
    json.dump(content, file, indent=2, allow_nan=False)
    file.write('\n')


def _plain(statistics):
  """Returns the statistics by name, with None for NaN, which JSON lacks."""
  return {
    name: value if math.isfinite(value) else None
    for name, value in statistics._asdict().items()
  }


def _write_csv(result, path):
  tasks = result.tasks.reshape(len(result.tasks), -1)
  with open(path, 'w', newline='', encoding='utf-8') as file:
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(
      ['policy', 'task', 'step', 'return', 'return_min', 'return_max']
      + [f'task_value_{i}' for i in range(tasks.shape[1])]
    )
    for policy in result.policies:
      for task, values in enumerate(tasks):
        for step, returns in enumerate(policy.returns[:, task]):
          writer.writerow(
            [policy.name, task, step]
            + [repr(float(f(returns))) for f in (np.mean, np.min, np.max)]
            + [repr(float(value)) for value in values]
          )


def _write_plot(result, path):
  figure = figure_lib.Figure(figsize=(7, 4.8), layout='constrained')
  axes = figure.subplots()
  _draw_tasks(axes, result.policies[0].returns.mean(axis=2))
  for policy in result.policies:
    _draw_policy(axes, policy)
  _, num_tasks, num_episodes = result.policies[0].returns.shape
  axes.set_title(
    f'Adaptation to {_count(num_tasks, "held-out task")}'
    f' (after {_count(result.iteration, "meta-iteration")})'
  )
  axes.set_xlabel(f'adaptation steps, {num_episodes} episodes each')
  axes.set_ylabel('return, mean over episodes')
  axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
  axes.grid(alpha=0.3)
  figure.legend(loc='outside lower center', ncols=3, frameon=False)
  figure.savefig(path, format='png', dpi=150)


def _draw_tasks(axes, task_returns):
  """Draws a thin line for each task from mean returns [S + 1, B]."""
  num_tasks = task_returns.shape[1]
  lines = axes.plot(
    task_returns,
    color=_COLORS['trained'],
    alpha=max(0.03, min(0.3, 10 / num_tasks)),
    linewidth=0.7,
  )
  lines[0].set_label('a task')


def _draw_policy(axes, policy):
  color, style = _COLORS[policy.name], _LINE_STYLES[policy.name]
  means = [s.mean for s in policy.statistics]
  label = _LABELS[policy.name]
  if policy.name == 'random':
    axes.axhline(means[0], color=color, linestyle=style, label=label)
    return
  axes.plot(
    means, color=color, linestyle=style, marker='o', linewidth=2, label=label
  )
  axes.fill_between(
    range(len(means)),
    [s.mean_low for s in policy.statistics],
    [s.mean_high for s in policy.statistics],
    color=color,
    alpha=0.25,
    linewidth=0,
    label=_PERCENT if policy.name == 'trained' else None,
  )
