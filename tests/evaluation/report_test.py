"""The files of an evaluation read back as its statistics."""

import csv
import json
import math
import os
import pathlib

from matplotlib import image
import numpy as np
import pytest

from maml_tf import evaluation
from maml_tf.evaluation import report as evaluation_report
from maml_tf.evaluation import statistics as evaluation_statistics


def _evaluation(returns, tasks, references=()):
  """An evaluation of returns [S + 1, B, E]; references: (name, returns)."""
  return evaluation.Evaluation(
    iteration=50,
    seed=7,
    step_size_schedule='halve',
    tasks=np.asarray(tasks, np.float64),
    policies=tuple(
      evaluation.PolicyEvaluation(name, r, evaluation_statistics.over_tasks(r))
      for name, r in (('trained', returns), *references)
    ),
  )


@pytest.fixture(name='result')
def make_result():
  rng = np.random.default_rng(0)
  return _evaluation(
    rng.normal(-30, 3, (3, 4, 2)),
    rng.normal(size=(4, 2)),
    [
      ('initial', rng.normal(-60, 3, (3, 4, 2))),
      ('random', rng.normal(-50, 3, (1, 4, 2))),
    ],
  )


def _read_json(directory):
  text = (directory / 'evaluation.json').read_text(encoding='utf-8')

  def refuse(constant):
    raise AssertionError(f'{constant} is no JSON')

  return json.loads(text, parse_constant=refuse)


def _read_csv(directory):
  with open(directory / 'evaluation.csv', newline='', encoding='utf-8') as file:
    return list(csv.DictReader(file))


def test_leaves_three_files_and_nothing_else(result, tmp_path):
  for _ in range(2):
    evaluation_report.write(result, str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {
      'evaluation.json',
      'evaluation.csv',
      'evaluation.png',
    }


def test_json_holds_the_settings_and_every_statistic(result, tmp_path):
  evaluation_report.write(result, str(tmp_path))
  content = _read_json(tmp_path)
  policies = content.pop('policies')
  assert content == {
    'iteration': 50,
    'seed': 7,
    'num_tasks': 4,
    'episodes_per_task': 2,
    'num_adaptation_steps': 2,
    'step_size_schedule': 'halve',
    'confidence_level': 0.95,
    'held_out': True,
    'tasks': [f'{a:.3g}, {b:.3g}' for a, b in result.tasks],
  }
  assert list(policies) == ['trained', 'initial', 'random']
  for policy in result.policies:
    steps = policies[policy.name]
    assert [s.pop('step') for s in steps] == list(range(len(policy.returns)))
    assert steps == [s._asdict() for s in policy.statistics]
    for step, returns in zip(steps, policy.returns):
      assert step['mean'] == pytest.approx(returns.mean())


def test_csv_has_one_row_for_each_task_and_step(result, tmp_path):
  evaluation_report.write(result, str(tmp_path))
  rows = _read_csv(tmp_path)
  assert len(rows) == 4 * (3 + 3 + 1)
  found = {(r['policy'], int(r['task']), int(r['step'])): r for r in rows}
  assert len(found) == len(rows)
  for policy in result.policies:
    for step, per_task in enumerate(policy.returns):
      for task, (one, other) in enumerate(per_task):
        row = found[policy.name, task, step]
        # Two episodes.
        assert float(row['return']) == (one + other) / 2
        assert float(row['return_min']) == min(one, other)
        assert float(row['return_max']) == max(one, other)
        values = [float(row[f'task_value_{i}']) for i in range(2)]
        np.testing.assert_array_equal(values, result.tasks[task])


def test_tasks_that_are_numbers_have_one_column(tmp_path):
  result = _evaluation(np.ones((1, 2, 1)), [-1.0, 1.0])
  evaluation_report.write(result, str(tmp_path))
  columns = list(_read_csv(tmp_path)[0])
  assert [c for c in columns if c.startswith('task_value')] == ['task_value_0']
  assert [r['task_value_0'] for r in _read_csv(tmp_path)] == ['-1.0', '1.0']


def test_table_shows_the_statistics():
  # One episode of two tasks: means 20 and 25, of which one task is worse.
  returns = np.array([[[10.0], [30.0]], [[9.0], [41.0]]])
  result = _evaluation(
    returns, [0, 1], [('random', np.array([[[0.5], [0.5]]]))]
  )
  title, header, before, after, at_random = evaluation_report.table(
    result
  ).splitlines()
  assert title == (
    'Return on 2 held-out tasks, 1 episode each a step, after 50'
    ' meta-iterations'
  )
  assert header.split() == (
    'policy step mean 95% interval IQM 95% interval delta worse'.split()
  )
  # Of two tasks drawn again, both are the worse one in a quarter of the draws.
  assert before.split() == (
    'trained 0 20.00 [10.00, 30.00] 20.00 [10.00, 30.00]'.split()
  )
  assert after.split() == (
    'trained 1 25.00 [9.00, 41.00] 25.00 [9.00, 41.00] +5.00 50.0%'.split()
  )
  assert at_random.split() == (
    'random 0 0.50 [0.50, 0.50] 0.50 [0.50, 0.50]'.split()
  )
  # The columns are aligned.
  assert before.index('20.00') == after.index('25.00')


@pytest.mark.parametrize(
  ('value', 'shown'),
  [(0, '0.000'), (0.0123466, '0.01235'), (3.2, '3.200'), (54321.6, '54322')],
)
def test_table_shows_four_digits_of_any_size(value, shown):
  table = evaluation_report.table(_evaluation(np.full((1, 1, 1), value), [0]))
  assert table.splitlines()[2].split()[2:4] == [shown, '-']


def test_a_task_that_diverged_is_shown_and_written(tmp_path):
  returns = np.ones((2, 3, 1))
  returns[1, 0] = np.nan
  result = _evaluation(returns, np.arange(3))
  after = evaluation_report.table(result).splitlines()[3]
  assert after.split() == 'trained 1 nan - nan - +nan 33.3%'.split()
  evaluation_report.write(result, str(tmp_path))
  step = _read_json(tmp_path)['policies']['trained'][1]
  assert step['mean'] is None and step['worse'] == pytest.approx(1 / 3)
  assert math.isnan(float(_read_csv(tmp_path)[1]['return']))


@pytest.mark.parametrize('num_steps', [0, 3])
def test_picture_shows_lines_in_the_colours_of_the_policies(
  num_steps, tmp_path
):
  rng = np.random.default_rng(0)
  result = _evaluation(
    rng.normal(size=(num_steps + 1, 500, 1)),
    np.arange(500),
    [('initial', rng.normal(3, 1, size=(num_steps + 1, 500, 1)))],
  )
  evaluation_report.write(result, str(tmp_path))
  pixels = image.imread(tmp_path / 'evaluation.png')[..., :3]
  assert pixels.shape[0] > 600 and pixels.shape[1] > 900
  for colour in ((0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E)):
    distance = np.abs(pixels * 255 - colour).max(axis=-1)
    assert np.count_nonzero(distance < 2) > 50


def test_a_folder_that_cannot_be_written_keeps_what_it_had(
  result, tmp_path, monkeypatch
):
  evaluation_report.write(result, str(tmp_path))
  before = (tmp_path / 'evaluation.csv').read_bytes()

  def fail(source, target):
    raise OSError(f'no space for {pathlib.Path(target).name}')

  monkeypatch.setattr(os, 'replace', fail)
  other = result._replace(tasks=result.tasks + 1)
  with pytest.raises(OSError, match='no space'):
    evaluation_report.write(other, str(tmp_path))
  assert (tmp_path / 'evaluation.csv').read_bytes() == before
