"""Tasks that are dicts: trained, evaluated, filmed and named."""

import csv
import functools
import json
import pathlib
import re
import shutil

import gin
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf import evaluation
from maml_tf.collection import meta_collector
from maml_tf.core import random_streams
from maml_tf.learning import maml_agent
from maml_tf.run import config as run_config
from maml_tf.run import experiment
from tests import command_lines
from tests.environments import labelled_corridors

HELD_OUT = labelled_corridors.HELD_OUT
TRAINING = labelled_corridors.TRAINING
_ENVIRONMENT = functools.partial(
  labelled_corridors.LabelledCorridors, lowest_action=0
)
_BINDINGS = (
  'import tests.environments.labelled_corridors',
  'train_eval.environment_class = @LabelledCorridors',
  'LabelledCorridors.lowest_action = 0',
  'train_eval.actor_network_fn = @create_corridor_network',
  'train_eval.num_iterations = 2',
  'train_eval.num_tasks = 2',
  'train_eval.episodes_per_task = 3',
  'train_eval.horizon = 6',
  'train_eval.evaluation_interval = 2',
  'Evaluator.num_tasks = 4',
  'Evaluator.episodes_per_task = 2',
  'GradientUpdate.num_steps = 1',
  'train_eval.export_saved_model = False',
)


@pytest.fixture(name='root_dir', scope='module')
def train(tmp_path_factory):
  root_dir = tmp_path_factory.mktemp('corridors') / 'run'
  run_config.parse([], _BINDINGS)
  returns = experiment.train_eval(str(root_dir))
  gin.clear_config()
  assert returns.shape == (2, 2, 3)
  return root_dir


@pytest.fixture(name='agent', scope='module')
def create_agent():
  tf.keras.utils.set_random_seed(0)
  environment = _ENVIRONMENT()
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  action_spec = tensor_spec.from_spec(environment.action_spec())
  return maml_agent.MamlAgent(
    time_step_spec,
    action_spec,
    labelled_corridors.create_corridor_network(
      time_step_spec.observation, action_spec
    ),
  )


def _rows(path):
  with open(path, newline='', encoding='utf-8') as file:
    return list(csv.DictReader(file))


def _evaluate(root_dir, out, capfd, **flags):
  code = command_lines.call(
    'evaluate', root_dir=str(root_dir), out=str(out), **flags
  )
  printed = capfd.readouterr()
  assert code == 0, printed.err
  content = json.loads((out / 'evaluation.json').read_text(encoding='utf-8'))
  return printed.out.splitlines(), content, _rows(out / 'evaluation.csv')


def _render(root_dir, out, capfd, **flags):
  code = command_lines.call(
    'render', root_dir=str(root_dir), out=str(out), width=60, height=20, **flags
  )
  return code, capfd.readouterr().err.splitlines()


def test_training_records_the_returns_of_each_task(root_dir):
  names = [
    f'return_task_door_{task["door"]}_length_{task["length"]}'
    for task in TRAINING
  ]
  rows = _rows(root_dir / 'metrics.csv')
  assert [c for c in rows[0] if c.startswith('return_task_')] == [
    f'{name}_step_{step}' for name in names for step in (0, 1)
  ]
  for row in rows:
    before, after = (
      [float(row[f'{name}_step_{step}']) for name in names] for step in (0, 1)
    )
    # Two places: both played one task, or each another one.
    played = np.isfinite(before)
    assert played.tolist() == np.isfinite(after).tolist()
    assert played.sum() in (1, 2)
    mean = float(row['return_step_0'])
    assert np.nanmean(before) == pytest.approx(mean, abs=1e-9)


def test_training_records_success_rates(root_dir):
  rows = _rows(root_dir / 'metrics.csv')
  assert [int(row['iteration']) for row in rows] == [1, 2]
  for row in rows:
    for step in (0, 1):
      # Two tasks of three episodes.
      rate = 6 * float(row[f'success_step_{step}'])
      assert rate == pytest.approx(round(rate))
      assert 0 <= rate <= 6
  evaluations = _rows(root_dir / 'evaluations.csv')
  assert [row['step'] for row in evaluations] == ['0', '1']
  for row in evaluations:
    # Three held-out tasks of two episodes.
    rate = 6 * float(row['success'])
    assert rate == pytest.approx(round(rate))


def test_evaluation_plays_each_held_out_task_once(root_dir, tmp_path, capfd):
  lines, content, rows = _evaluate(
    root_dir, tmp_path, capfd, references=True, num_adaptation_steps=1
  )
  assert lines[0].startswith('Return on 3 held-out tasks, 3 episodes each')
  assert lines[1].split()[-2:] == ['worse', 'success']
  *table, oracle, pretrained = lines[2:]
  assert all(re.search(r' \d+\.\d%$', line) for line in table)
  assert oracle.startswith('no oracle: the tasks are not numbers')
  assert pretrained.startswith('no pretrained yet; to train it: ')
  names = [str(task) for task in HELD_OUT]
  assert (content['held_out'], content['num_tasks']) == (True, 3)
  assert content['tasks'] == names
  assert [r['task_name'] for r in rows[::2][:3]] == names
  for policy, steps in content['policies'].items():
    for step in steps:
      rates = [
        float(row['success'])
        for row in rows
        if (row['policy'], int(row['step'])) == (policy, step['step'])
      ]
      assert len(rates) == 3
      assert step['success'] == pytest.approx(np.mean(rates))


def test_fewer_tasks_are_the_first_of_the_list(root_dir, tmp_path, capfd):
  lines, content, _ = _evaluate(
    root_dir, tmp_path, capfd, num_tasks=2, num_adaptation_steps=0
  )
  assert lines[0].startswith('Return on 2 held-out tasks')
  assert content['tasks'] == [str(task) for task in HELD_OUT[:2]]


def _with_config(root_dir, folder, *lines, replace=('', '')):
  """A copy of the run with other lines in its config."""
  root_dir = pathlib.Path(shutil.copytree(root_dir, folder / 'run'))
  path = root_dir / 'config.gin'
  text = path.read_text(encoding='utf-8').replace(*replace)
  path.write_text('\n'.join([text, *lines, '']), encoding='utf-8')
  return root_dir


def test_where_none_is_held_out_each_task_has_a_row(root_dir, tmp_path, capfd):
  root_dir = _with_config(
    root_dir, tmp_path, 'LabelledCorridors.has_held_out = False'
  )
  lines, content, rows = _evaluate(
    root_dir, tmp_path, capfd, num_tasks=6, num_adaptation_steps=1
  )
  # Six are rounded up to two copies of four tasks.
  assert lines[0].startswith('Return on 4 tasks in 2 copies each, 3 episodes')
  assert lines[1] == 'all 4 tasks were trained on: none is held out'
  assert lines[2].split() == (
    'policy task step mean min max delta success'.split()
  )
  names = [str(task) for task in TRAINING]
  expected = [(name, str(step)) for name in names for step in (0, 1)]
  for line, (name, step) in zip(lines[3:], expected, strict=True):
    assert line.startswith(f'trained  {name}')
    assert line.split()[5] == step
  assert content['tasks'] == names
  assert (content['held_out'], content['num_tasks']) == (False, 8)
  after = content['policies']['trained'][1]
  assert after['mean_low'] is None
  for i, task in enumerate(after['tasks']):
    means = [
      float(row['return'])
      for row in rows
      if row['task_name'] == names[i] and row['step'] == '1'
    ]
    assert len(means) == 2
    assert task['mean'] == pytest.approx(np.mean(means))
    assert (task['lowest'], task['highest']) == (min(means), max(means))


@pytest.mark.parametrize(
  ('flag', 'task'),
  [
    (None, HELD_OUT[0]),
    ('1', HELD_OUT[1]),
    ('held_out:2', HELD_OUT[2]),
    ('train:3', TRAINING[3]),
  ],
)
def test_films_name_their_task(flag, task, root_dir, tmp_path, capfd):
  path = tmp_path / 'a.gif'
  code, lines = _render(
    root_dir, path, capfd, task=flag, num_adaptation_steps=0
  )
  assert code == 0, lines
  assert lines[0].startswith(f'render: task {task}: return ')
  assert path.stat().st_size


@pytest.mark.parametrize(
  ('flag', 'message'),
  [
    ('up', "--task is 'up': give an index, e.g. 0 or train:0"),
    ('-1', "--task is '-1': give an index"),
    ('3', 'there are 4 tasks to train on and 3 held out: count from 0'),
    ('train:4', 'there are 4 tasks to train on and 3 held out'),
    ('test:0', "--task is 'test:0': give an index"),
  ],
)
def test_other_indices_are_one_line(flag, message, root_dir, tmp_path, capfd):
  code, lines = _render(root_dir, tmp_path / 'a.gif', capfd, task=flag)
  assert code == 2
  (line,) = lines
  assert message in line


def test_without_a_list_an_index_is_the_place_in_an_evaluation(
  root_dir, tmp_path, capfd
):
  root_dir = _with_config(
    root_dir, tmp_path, 'LabelledCorridors.is_finite = False'
  )
  *_, rows = _evaluate(
    root_dir, tmp_path, capfd, num_tasks=6, num_adaptation_steps=0, seed=5
  )
  names = [row['task_name'] for row in rows]
  assert len(set(names)) > 1
  other = next(i for i, name in enumerate(names) if name != names[0])
  for flag, index in ((None, 0), (str(other), other)):
    code, lines = _render(
      root_dir,
      tmp_path / 'a.gif',
      capfd,
      task=flag,
      seed=5,
      num_adaptation_steps=0,
    )
    assert code == 0
    assert lines[0].startswith(f'render: task {names[index]}: ')
  code, lines = _render(root_dir, tmp_path / 'a.gif', capfd, task='train:0')
  assert code == 2
  assert 'LabelledCorridors has no finite list of tasks' in lines[0]


def test_what_cannot_be_rendered_is_not_played(root_dir, tmp_path, capfd):
  root_dir = _with_config(
    root_dir, tmp_path, replace=('LabelledCorridors', 'DarkCorridors')
  )
  code, lines = _render(root_dir, tmp_path / 'a.gif', capfd)
  assert code == 2
  (line,) = lines
  assert line.startswith('render: DarkCorridors cannot be rendered')


def _collect(agent, num_tasks, first=0, iteration=1):
  environment = _ENVIRONMENT(num_tasks=num_tasks, environments_per_task=3)
  collector = meta_collector.MetaCollector(
    environment,
    agent.collect_policy,
    agent.adapt,
    1,
    seed=4,
    first_task_index=first,
  )
  return collector.collect(iteration)


@pytest.mark.parametrize('iteration', [random_streams.HELD_OUT, 1])
def test_the_division_over_collectors_changes_nothing(agent, iteration):
  whole = _collect(agent, 4, iteration=iteration)
  parts = [_collect(agent, 2, first, iteration) for first in (0, 2)]
  assert [task for part in parts for task in part.tasks] == whole.tasks
  if iteration == random_streams.HELD_OUT:
    assert whole.tasks == [*HELD_OUT, HELD_OUT[0]]
  for i, part in enumerate(parts):
    tasks = slice(2 * i, 2 * i + 2)
    np.testing.assert_array_equal(part.returns, whole.returns[:, tasks])
    for one, other in zip(
      tf.nest.flatten(part.meta_batch), tf.nest.flatten(whole.meta_batch)
    ):
      np.testing.assert_array_equal(one, other[tasks])
  counts = [part.other_counts for part in parts]
  for name, count in whole.other_counts.items():
    assert count == counts[0][name] + counts[1][name]


def test_collecting_again_gives_the_same_bits(agent):
  one, again, other = (_collect(agent, 2, iteration=i) for i in (1, 1, 2))
  for left, right in zip(
    tf.nest.flatten(one.meta_batch), tf.nest.flatten(again.meta_batch)
  ):
    np.testing.assert_array_equal(left, right)
  assert one.tasks == again.tasks
  assert one.other_counts == again.other_counts
  assert (one.returns != other.returns).any()


def test_a_success_is_an_episode_that_reaches_the_door(agent):
  result = evaluation.Evaluator(
    agent, _ENVIRONMENT, 3, 3, 5, num_adaptation_steps=1
  ).evaluate(agent.policy.get_initial_state(None))
  assert result.tasks == list(HELD_OUT)
  for policy in result.policies:
    assert policy.successes.dtype == bool
    assert policy.successes.shape == policy.returns.shape
    # The door has a reward of 1; all other steps cost 0.1.
    np.testing.assert_array_equal(policy.successes, policy.returns > 0.4)
    np.testing.assert_array_equal(
      policy.success_rates, policy.successes.mean(axis=(1, 2))
    )
  assert 0 < result.policies[0].successes.mean() < 1


@pytest.mark.parametrize(
  ('num_tasks', 'played', 'num_copies'),
  [(3, TRAINING[:3], 0), (4, TRAINING, 1), (5, TRAINING * 2, 2)],
)
def test_tasks_that_were_trained_on_are_played_equally_often(
  agent, num_tasks, played, num_copies
):
  create = functools.partial(_ENVIRONMENT, has_held_out=False)
  result = evaluation.Evaluator(
    agent, create, 3, num_tasks, 2, num_adaptation_steps=0
  ).evaluate()
  assert result.tasks == list(played)
  assert result.num_training_tasks == 4
  assert result.num_copies == num_copies
  # Only where some are left out do the tasks stand for others.
  (before,) = result.policies[0].statistics
  assert np.isnan(before.mean_low) == (num_copies > 0)


def test_an_empty_list_is_one_line(agent, monkeypatch):
  monkeypatch.setattr(labelled_corridors, 'TRAINING', ())
  create = functools.partial(_ENVIRONMENT, has_held_out=False)
  with pytest.raises(ValueError, match='task_list is empty: give it tasks'):
    evaluation.Evaluator(agent, create, 3)
