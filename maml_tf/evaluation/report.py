"""The report of an evaluation: a table, JSON, CSV and a plot."""

from collections.abc import Sequence
import csv
import itertools
import json
import math
import os
from typing import Any

import numpy as np

from maml_tf.core import files
from maml_tf.core import phrases
from maml_tf.core import run_files
from maml_tf.environments import tasks as tasks_lib
from maml_tf.evaluation import evaluator as evaluation
from maml_tf.evaluation import plot
from maml_tf.evaluation import statistics as evaluation_statistics

JSON_FILE = 'evaluation.json'
CSV_FILE = run_files.EVALUATION_FILE
PLOT_FILE = 'evaluation.png'
FILES = (JSON_FILE, CSV_FILE, PLOT_FILE)

# Objects may hold pictures.
_MOST_COLUMNS = 1000

_PERCENT = f'{evaluation_statistics.CONFIDENCE_LEVEL:.0%} interval'


def table(result: evaluation.Evaluation) -> str:
  """Returns a table for the terminal, one line per policy and step.

  If none of the tasks is held out, it has a line for each of them instead.
  """
  num_episodes = result.policies[0].returns.shape[2]
  lines = [
    f'Return on {_describe_tasks(result)},'
    f' {phrases.count(num_episodes, "episode")} each a step,'
    f' after {phrases.count(result.iteration, "meta-iteration")}'
  ]
  if result.num_training_tasks:
    number = result.num_training_tasks
    tasks = 'the task was' if number == 1 else f'all {number} tasks were'
    lines.append(f'{tasks} trained on: none is held out')
  if result.num_copies:
    lines += _align(_rows_by_task(result), num_left=2)
  else:
    lines += _align(_rows(result), num_left=1)
  return '\n'.join(lines)


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


def _describe_tasks(result):
  """Describes the tasks, such as '40 held-out tasks'."""
  if not result.num_training_tasks:
    return phrases.count(len(result.tasks), 'held-out task')
  if not result.num_copies:
    return phrases.count(len(result.tasks), 'task')
  tasks = phrases.count(result.num_training_tasks, 'task')
  copies = result.num_copies
  return f'{tasks} in {copies} cop{"y" if copies == 1 else "ies"} each'


def _rows(result):
  """The table's rows of statistics over all tasks, the header first."""
  decimals = _decimals(result)
  header = ['policy', 'step', 'mean', _PERCENT, 'IQM', _PERCENT]
  rows = [[*header, 'delta', 'worse', *_success_header(result)]]
  for policy in result.policies:
    half_widths = evaluation_statistics.gain_half_widths(policy.returns)
    for step, statistics in enumerate(policy.statistics):
      gain = f'{statistics.adaptation_delta:+.{decimals}f}'
      if math.isfinite(half_widths[step]):
        gain += f' +-{half_widths[step]:.{decimals}f}'
      rows.append(
        [
          policy.name,
          str(step),
          f'{statistics.mean:.{decimals}f}',
          _interval(statistics.mean_low, statistics.mean_high, decimals),
          f'{statistics.iqm:.{decimals}f}',
          _interval(statistics.iqm_low, statistics.iqm_high, decimals),
          gain if step else '',
          f'{statistics.worse:.1%}' if step else '',
          *_success_cell(policy.success_rates, step),
        ]
      )
  return rows


def _rows_by_task(result):
  """The table's rows of statistics over each task's copies."""
  decimals = _decimals(result)
  header = ['policy', 'task', 'step', 'mean', 'min', 'max', 'delta']
  rows = [[*header, *_success_header(result)]]
  names = _names(result)
  for policy in result.policies:
    statistics = evaluation_statistics.over_copies(policy.returns, len(names))
    rates = _success_rates_by_task(policy, len(names))
    for index, name in enumerate(names):
      for step, tasks in enumerate(statistics):
        task = tasks[index]
        rows.append(
          [
            policy.name,
            name,
            str(step),
            f'{task.mean:.{decimals}f}',
            f'{task.lowest:.{decimals}f}',
            f'{task.highest:.{decimals}f}',
            f'{task.adaptation_delta:+.{decimals}f}' if step else '',
            *_success_cell(rates, (step, index)),
          ]
        )
  return rows


def _align(rows: Sequence[Sequence[str]], num_left: int) -> list[str]:
  """Aligns the cells of some columns to the left, and others to the right."""
  widths = [max(map(len, column)) for column in zip(*rows)]
  return [
    '  '.join(
      cell.ljust(width) if i < num_left else cell.rjust(width)
      for i, (cell, width) in enumerate(zip(row, widths))
    ).rstrip()
    for row in rows
  ]


def _success_header(result):
  return [] if result.policies[0].successes is None else ['success']


def _success_cell(rates, index):
  return [] if rates is None else [f'{rates[index]:.1%}']


def _success_rates_by_task(policy, num_tasks):
  """The success rates [S + 1, L] of tasks that are played in copies."""
  if policy.successes is None:
    return None
  rates = policy.successes.mean(axis=2)
  return evaluation_statistics.group_copies(rates, num_tasks).mean(axis=1)


def _decimals(result):
  """Returns the number of decimals that shows four digits of all returns."""
  means = [p.returns.mean(axis=2) for p in result.policies]
  if result.num_copies:
    group = evaluation_statistics.group_copies
    means = [group(m, result.num_training_tasks).mean(axis=1) for m in means]
  else:
    means = [m.mean(axis=1) for m in means]
  means = np.concatenate(means, axis=None)
  largest = np.max(np.abs(means), initial=0, where=np.isfinite(means))
  digits = math.floor(math.log10(largest)) + 1 if largest else 1
  return min(max(4 - digits, 0), 9)


def _interval(low, high, decimals):
  if math.isnan(low):
    return '-'
  return f'[{low:.{decimals}f}, {high:.{decimals}f}]'


def _names(result):
  """The names of the tasks; those of copies only once."""
  tasks = result.tasks
  if result.num_copies:
    tasks = tasks[: result.num_training_tasks]
  return [tasks_lib.name(task) for task in tasks]


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
    'held_out': not result.num_training_tasks,
    'tasks': _names(result),
    'policies': {
      policy.name: _policy_content(result, policy) for policy in result.policies
    },
  }
  with open(path, 'w', encoding='utf-8') as file:
    json.dump(content, file, indent=2, allow_nan=False)
    file.write('\n')


def _policy_content(
  result: evaluation.Evaluation, policy: evaluation.PolicyEvaluation
) -> list[dict[str, Any]]:
  """Returns what the JSON file says of a policy, step by step."""
  steps = [
    {'step': step, **_plain(statistics)}
    for step, statistics in enumerate(policy.statistics)
  ]
  if policy.success_rates is not None:
    for step, rate in zip(steps, policy.success_rates):
      step['success'] = float(rate)
  if not result.num_copies:
    half_widths = evaluation_statistics.gain_half_widths(policy.returns)
    for step, half_width in zip(steps, half_widths):
      step['adaptation_delta_half_width'] = _finite(half_width)
    return steps
  names = _names(result)
  statistics = evaluation_statistics.over_copies(policy.returns, len(names))
  rates = _success_rates_by_task(policy, len(names))
  for i, step in enumerate(steps):
    step['tasks'] = [
      {'task': name, **_plain(task)} for name, task in zip(names, statistics[i])
    ]
    if rates is not None:
      for task, rate in zip(step['tasks'], rates[i]):
        task['success'] = float(rate)
  return steps


def _plain(statistics):
  """Returns the statistics by name, with None for NaN, which JSON lacks."""
  return {name: _finite(value) for name, value in statistics._asdict().items()}


def _finite(value):
  return float(value) if math.isfinite(value) else None


def _write_csv(result, path):
  """Writes a row for each policy, task and step; a copy is a task too."""
  names, cells = _task_columns(result.tasks)
  has_success = result.policies[0].successes is not None
  with open(path, 'w', newline='', encoding='utf-8') as file:
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(
      ['policy', 'task', 'step', 'return', 'return_min', 'return_max']
      + ['success'] * has_success
      + names
    )
    for policy in result.policies:
      for task, task_cells in enumerate(cells):
        for step, returns in enumerate(policy.returns[:, task]):
          numbers = [f(returns) for f in (np.mean, np.min, np.max)]
          if policy.successes is not None:
            numbers.append(policy.successes[step, task].mean())
          writer.writerow(
            [policy.name, task, step]
            + [repr(float(number)) for number in numbers]
            + task_cells
          )


def _task_columns(tasks):
  """The columns that show tasks: their names, and each task's cells.

  Each number has a column if all tasks have the same parts. Tasks that are not
  only numbers have a name besides.
  """
  parts = [tasks_lib.parts(task) for task in tasks]
  names = [name for name, _ in parts[0]]
  values = [[value for _, value in of_task] for of_task in parts]
  if any([name for name, _ in of_task] != names for of_task in parts):
    names, values = [], [[] for _ in tasks]
  # Parts that are numbers in all tasks.
  is_number = [None not in column for column in zip(*values)]
  columns = [f'task_value_{n}' for n in itertools.compress(names, is_number)]
  cells = [
    [repr(value) for value in itertools.compress(of_task, is_number)]
    for of_task in values
  ]
  if columns and all(tasks_lib.to_numbers(task) is not None for task in tasks):
    return columns, cells
  if len(columns) > _MOST_COLUMNS:
    columns, cells = [], [[] for _ in tasks]
  named = [
    [tasks_lib.name(task), *of_task] for task, of_task in zip(tasks, cells)
  ]
  return ['task_name', *columns], named


def _write_plot(result, path):
  title = (
    f'Adaptation to {_describe_tasks(result)}'
    f' (after {phrases.count(result.iteration, "meta-iteration")})'
  )
  plot.write(result, title, path)
