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
    half_widths = [s.pop('adaptation_delta_half_width') for s in steps]
    np.testing.assert_array_equal(
      half_widths, evaluation_statistics.gain_half_widths(policy.returns)
    )
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
  # The standard errors are 10 and 16, that of the gains -1 and 11 is 6.
  # Student's quantile for one degree of freedom is 12.706. Of two tasks the
  # interquartile mean leaves none out.
  assert before.split() == (
    'trained 0 20.00 [-107.06, 147.06] 20.00 [-107.06, 147.06]'.split()
  )
  assert (
    after.split()
    == (
      'trained 1 25.00 [-178.30, 228.30] 25.00 [-178.30, 228.30] +5.00'
      ' +-76.24 50.0%'
    ).split()
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
    [
      ('initial', rng.normal(3, 1, size=(num_steps + 1, 500, 1))),
      ('pretrained', rng.normal(6, 1, size=(num_steps + 1, 500, 1))),
      ('oracle', rng.normal(9, 1, size=(1, 500, 1))),
    ],
  )
  evaluation_report.write(result, str(tmp_path))
  pixels = image.imread(tmp_path / 'evaluation.png')[..., :3]
  assert pixels.shape[0] > 600 and pixels.shape[1] > 900
  blue_and_orange = (0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E)
  green_and_red = (0x2C, 0xA0, 0x2C), (0xD6, 0x27, 0x28)
  for colour in (*blue_and_orange, *green_and_red):
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


def _copies(num_copies=3, successes=None):
  """Two tasks that were trained on, 'b' and {'a': 1}, two episodes a copy.

  Copy c of task i has the returns 10 * step + 100 * i + c, and 2 more.
  """
  episodes = np.zeros((2, 2 * num_copies, 2))
  for step in range(2):
    for b in range(2 * num_copies):
      first = 10 * step + 100 * (b % 2) + b // 2
      episodes[step, b] = first, first + 2
  return evaluation.Evaluation(
    iteration=1,
    seed=0,
    step_size_schedule='constant',
    tasks=['b', {'a': 1}] * num_copies,
    policies=(
      evaluation.PolicyEvaluation(
        'trained',
        episodes,
        evaluation_statistics.over_tasks(episodes, with_intervals=False),
        successes,
      ),
    ),
    num_training_tasks=2,
  )


def test_table_of_tasks_that_were_trained_on():
  lines = evaluation_report.table(_copies()).splitlines()
  assert lines[0] == (
    'Return on 2 tasks in 3 copies each, 2 episodes each a step, after 1'
    ' meta-iteration'
  )
  assert lines[1] == 'all 2 tasks were trained on: none is held out'
  # The copies' means are 1, 2, 3 and 101, 102, 103 before the step.
  assert [' '.join(line.split()) for line in lines[2:]] == [
    'policy task step mean min max delta',
    'trained b 0 2.0 1.0 3.0',
    'trained b 1 12.0 11.0 13.0 +10.0',
    "trained {'a': 1} 0 102.0 101.0 103.0",
    "trained {'a': 1} 1 112.0 111.0 113.0 +10.0",
  ]
  # Names begin where the column does.
  assert len({line.index(name) for line, name in zip(lines[2:], 'tbb')}) == 1


def test_a_single_task_that_was_trained_on():
  lines = evaluation_report.table(
    _evaluation(np.ones((1, 2, 1)), [5, 5])._replace(num_training_tasks=1)
  ).splitlines()
  assert lines[0].startswith('Return on 1 task in 2 copies each, 1 episode')
  assert lines[1] == 'the task was trained on: none is held out'


def test_some_of_the_tasks_that_were_trained_on_have_an_interval():
  lines = evaluation_report.table(
    _evaluation(np.ones((1, 3, 1)), [5, 6, 7])._replace(num_training_tasks=8)
  ).splitlines()
  assert lines[0].startswith('Return on 3 tasks, 1 episode each a step')
  assert lines[1] == 'all 8 tasks were trained on: none is held out'
  assert lines[3].split()[3:5] == ['[1.000,', '1.000]']


def test_files_of_tasks_that_were_trained_on(tmp_path):
  successes = np.zeros((2, 6, 2), bool)
  # After the step: one of six episodes of task 0, three of task 1.
  successes[1, 2, 0] = successes[1, 1] = successes[1, 5, 1] = True
  evaluation_report.write(_copies(successes=successes), str(tmp_path))
  content = _read_json(tmp_path)
  assert content['held_out'] is False
  assert content['num_tasks'] == 6
  assert content['tasks'] == ['b', "{'a': 1}"]
  before, after = content['policies']['trained']
  assert before['mean_low'] is before['iqm_high'] is None
  assert (before['mean'], after['mean']) == (52, 62)
  assert (before['success'], after['success']) == (0, pytest.approx(4 / 12))
  assert after['tasks'] == [
    {
      'task': 'b',
      'mean': 12,
      'lowest': 11,
      'highest': 13,
      'adaptation_delta': 10,
      'success': pytest.approx(1 / 6),
    },
    {
      'task': "{'a': 1}",
      'mean': 112,
      'lowest': 111,
      'highest': 113,
      'adaptation_delta': 10,
      'success': 0.5,
    },
  ]
  rows = _read_csv(tmp_path)
  assert list(rows[0]) == (
    'policy task step return return_min return_max success task_name'.split()
  )
  assert len(rows) == 6 * 2
  assert [row['success'] for row in rows if row['step'] == '1'] == (
    '0.0 1.0 0.5 0.0 0.0 0.5'.split()
  )
  assert [row['task_name'] for row in rows[::2]] == ['b', "{'a': 1}"] * 3
  lines = evaluation_report.table(_copies(successes=successes)).splitlines()
  assert lines[2].endswith('success')
  shares = [line.split()[-1] for line in lines[3:]]
  assert shares == ['0.0%', '16.7%', '0.0%', '50.0%']


def test_success_rates_of_held_out_tasks(tmp_path):
  result = _evaluation(np.ones((2, 2, 2)), [0, 1])
  successes = np.array([[[0, 0], [0, 1]], [[1, 0], [1, 1]]], bool)
  (policy,) = result.policies
  result = result._replace(policies=(policy._replace(successes=successes),))
  _, header, before, after = evaluation_report.table(result).splitlines()
  assert header.endswith('worse  success')
  assert before.endswith(' 25.0%') and after.endswith(' 75.0%')
  evaluation_report.write(result, str(tmp_path))
  steps = _read_json(tmp_path)['policies']['trained']
  assert [step['success'] for step in steps] == [0.25, 0.75]
  rates = [row['success'] for row in _read_csv(tmp_path)]
  assert rates == ['0.0', '0.5', '0.5', '1.0']


@pytest.mark.parametrize(
  ('tasks', 'column', 'first'),
  [
    (['left', 'right'], 'task_name', 'left'),
    ([0.5, 2], 'task_value_0', '0.5'),
    ([np.ones(2), np.zeros(2)], 'task_value_1', '1.0'),
    # Not all are as many numbers.
    ([np.ones(2), np.ones(1)], 'task_name', '1, 1'),
    ([0.5, 'right'], 'task_name', '0.5'),
  ],
)
def test_columns_of_tasks_in_a_list(tasks, column, first, tmp_path):
  result = _evaluation(np.ones((1, 2, 1)), [0, 0])._replace(tasks=tasks)
  evaluation_report.write(result, str(tmp_path))
  row, _ = _read_csv(tmp_path)
  assert list(row)[-1] == column
  assert row[column] == first


def test_every_number_of_a_task_is_in_the_csv(tmp_path):
  # Random dynamics: 65 numbers of all digits.
  tasks = np.random.default_rng(0).normal(size=(3, 65))
  result = _evaluation(
    np.arange(18.0).reshape(3, 3, 2), tasks, [('oracle', np.ones((1, 3, 2)))]
  )
  evaluation_report.write(result, str(tmp_path))
  rows = _read_csv(tmp_path)
  names = [f'task_value_{i}' for i in range(65)]
  assert list(rows[0])[-65:] == names
  assert 'task_name' not in rows[0]
  for row in rows:
    values = [float(row[name]) for name in names]
    np.testing.assert_array_equal(values, tasks[int(row['task'])])
  # The returns of each policy, task and step, two episodes each.
  found = [(row['policy'], row['task'], row['step']) for row in rows]
  trained = [('trained', t, s) for t in '012' for s in '012']
  assert found == [*trained, *(('oracle', t, '0') for t in '012')]
  # Episode e of task t after step s has the return 6 s + 2 t + e.
  assert [float(row['return']) for row in rows[:9]] == [
    6 * step + 2 * task + 0.5 for task in range(3) for step in range(3)
  ]


def test_the_numbers_of_objects_are_in_the_csv(tmp_path):
  long = 'a name of more than 60 letters, which the tables cut: ' + 'x' * 60
  tasks = [
    {'mass': 0.1 + 0.2, 'goal': (1, 2), 'name': long},
    {'mass': 2, 'goal': (3, 4), 'name': 'b'},
  ]
  result = _evaluation(np.ones((1, 2, 1)), [0, 0])._replace(tasks=tasks)
  evaluation_report.write(result, str(tmp_path))
  rows = _read_csv(tmp_path)
  assert list(rows[0])[6:] == [
    'task_name',
    'task_value_mass',
    'task_value_goal_0',
    'task_value_goal_1',
  ]
  assert [row['task_value_mass'] for row in rows] == [repr(0.1 + 0.2), '2.0']
  assert [row['task_value_goal_1'] for row in rows] == ['2.0', '4.0']
  # Tasks with other keys, or with pictures, have names alone.
  for others in ([{'mass': 1}, {'size': 1}], [{'seen': np.zeros(1001)}] * 2):
    evaluation_report.write(result._replace(tasks=others), str(tmp_path))
    assert list(_read_csv(tmp_path)[0])[6:] == ['task_name']


@pytest.mark.parametrize('num_tasks', [2, 11])
def test_picture_of_tasks_that_were_trained_on(num_tasks, tmp_path):
  result = _evaluation(
    np.random.default_rng(0).normal(size=(2, num_tasks, 1)),
    np.arange(num_tasks),
    [('random', np.ones((1, num_tasks, 1)))],
  )._replace(num_training_tasks=num_tasks)
  evaluation_report.write(result, str(tmp_path))
  pixels = image.imread(tmp_path / 'evaluation.png')[..., :3] * 255
  blue, orange = (
    np.count_nonzero(np.abs(pixels - colour).max(axis=-1) < 2)
    for colour in ((0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E))
  )
  assert blue > 200
  # Ten colours are not enough for eleven tasks.
  assert (orange > 200) == (num_tasks == 2)
