"""The report of Meta-World's protocol: a table, JSON and CSV."""

import csv
import json
import os
from typing import Any

import numpy as np

from maml_tf.core import files
from maml_tf.core import phrases
from maml_tf.core import run_files
from maml_tf.environments import tasks as tasks_lib
from maml_tf.evaluation import protocols
from maml_tf.evaluation import statistics as evaluation_statistics

JSON_FILE = 'evaluation.json'
CSV_FILE = run_files.EVALUATION_FILE
FILES = (JSON_FILE, CSV_FILE)

_PERCENT = f'{evaluation_statistics.CONFIDENCE_LEVEL:.0%} interval'
_ALL = 'all classes'
_PHASES = ('before', 'after')


def table(result: protocols.ProtocolResult) -> str:
  """Returns a table for the terminal, one line per policy, class and phase."""
  title = (
    f"Meta-World's protocol: {phrases.count(result.num_goals, 'held-out goal')}"
    f' of {phrases.count(len(result.classes), "class", "es")},'
    f' {phrases.count(result.num_adaptation_steps, "step")} of'
    f' {phrases.count(result.adaptation_episodes, "episode")} to adapt,'
    f' {phrases.count(protocols.EVALUATION_EPISODES, "deterministic episode")},'
    f' after {phrases.count(result.iteration, "meta-iteration")}'
  )
  rows = [
    ('policy', 'class', 'adaptation', 'success', _PERCENT, 'IQM', _PERCENT)
    + ('return', 'IQM')
  ]
  for policy in result.policies:
    for name, phase, success, returns in _statistics(result, policy):
      rows.append(
        (policy.name, name, phase)
        + (
          f'{success.mean:.1%}',
          _interval(success.mean_low, success.mean_high),
        )
        + (f'{success.iqm:.1%}', _interval(success.iqm_low, success.iqm_high))
        + (f'{returns.mean:.1f}', f'{returns.iqm:.1f}')
      )
  widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
  lines = (
    '  '.join(
      cell.ljust(width) if i < 3 else cell.rjust(width)
      for i, (cell, width) in enumerate(zip(row, widths))
    ).rstrip()
    for row in rows
  )
  return '\n'.join((title, *lines))


def write(result: protocols.ProtocolResult, directory: str) -> None:
  """Writes evaluation.json and evaluation.csv.

  Args:
    result: The evaluation.
    directory: An existing folder.

  Raises:
    OSError: A file cannot be written.
  """
  for name, write_file in ((JSON_FILE, _write_json), (CSV_FILE, _write_csv)):
    with files.replace_file(os.path.join(directory, name)) as scratch:
      write_file(result, scratch)


def _statistics(result, policy):
  """Yields (class, phase, statistics of success, of return), all classes first.

  The statistics are over goals; those of all classes over classes and goals.
  """
  num_classes = len(result.classes)
  slices = [(_ALL, slice(None))]
  if num_classes > 1:
    slices += [
      (name, slice(i, None, num_classes))
      for i, name in enumerate(result.classes)
    ]
  for name, tasks in slices:
    success = [
      _as_rate(statistics)
      for statistics in evaluation_statistics.over_tasks(
        policy.successes[:, tasks].astype(np.float64)
      )
    ]
    returns = evaluation_statistics.over_tasks(policy.returns[:, tasks])
    phases = ('none',) if policy.name == 'random' else _PHASES
    yield from ((name, *step) for step in zip(phases, success, returns))


def _as_rate(statistics):
  """Cuts intervals of a rate where it must end, at 0 and 1."""
  ends = {
    name: float(np.clip(value, 0, 1))
    for name, value in statistics._asdict().items()
    if name.endswith(('_low', '_high'))
  }
  return statistics._replace(**ends)


def _interval(low, high):
  return '-' if np.isnan(low) else f'[{low:.1%}, {high:.1%}]'


def _write_json(result, path):
  content = {
    'protocol': 'Meta-World',
    'iteration': result.iteration,
    'seed': result.seed,
    'classes': list(result.classes),
    'goals_per_class': result.num_goals,
    'num_adaptation_steps': result.num_adaptation_steps,
    'adaptation_episodes': result.adaptation_episodes,
    'evaluation_episodes': protocols.EVALUATION_EPISODES,
    'confidence_level': evaluation_statistics.CONFIDENCE_LEVEL,
    'policies': {
      policy.name: [
        {
          'class': name,
          'adaptation': phase,
          'success': _plain(success),
          'return': _plain(returns),
        }
        for name, phase, success, returns in _statistics(result, policy)
      ]
      for policy in result.policies
    },
  }
  with open(path, 'w', encoding='utf-8') as file:
    json.dump(content, file, indent=2, allow_nan=False)
    file.write('\n')


def _plain(
  statistics: evaluation_statistics.StepStatistics,
) -> dict[str, Any]:
  """Returns means and intervals by name, with None for NaN."""
  return {
    name: value if np.isfinite(value) else None
    for name, value in statistics._asdict().items()
    if name not in ('adaptation_delta', 'worse')
  }


def _write_csv(result, path):
  """Writes a row for each policy, task and phase."""
  with open(path, 'w', newline='', encoding='utf-8') as file:
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(
      ['policy', 'class', 'task', 'task_name', 'adaptation', 'success']
      + ['return', 'return_min', 'return_max']
    )
    for policy in result.policies:
      phases = ('none',) if policy.name == 'random' else _PHASES
      for b, task in enumerate(result.tasks):
        for phase, success, returns in zip(
          phases, policy.successes[:, b], policy.returns[:, b]
        ):
          numbers = (success.mean(), returns.mean(), returns.min())
          writer.writerow(
            [policy.name, task.env_name, b, tasks_lib.name(task), phase]
            + [repr(float(x)) for x in (*numbers, returns.max())]
          )
