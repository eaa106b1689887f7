"""Meta-World's protocol: what is played, adapted, counted and reported."""

import csv
import json
import types
from unittest import mock

import gin
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import time_step as ts

from maml_tf.evaluation import protocol_report
from maml_tf.evaluation import protocols
from maml_tf.run import config as run_config
from maml_tf.run import experiment
from maml_tf.run import trained_run
from tests import command_lines
from tests.environments import meta_world_double

HORIZON = 6
CONFIG = (
  'import maml_tf.environments.meta_world',
  'train_eval.environment_class = @MetaWorldTasks',
  "MetaWorldTasks.benchmark = 'ML10'",
  'MetaWorldTasks.num_processes = 1',
  'train_eval.num_iterations = 1',
  'train_eval.num_tasks = 2',
  'train_eval.episodes_per_task = 2',
  f'train_eval.horizon = {HORIZON}',
  'create_actor_network.fc_layer_params = (8,)',
  'InnerLoop.step_size = 1.0',
  'GradientUpdate.num_steps = 1',
  'train_eval.export_saved_model = False',
)


@pytest.fixture(scope='module', autouse=True)
def double():
  with meta_world_double.installed():
    yield


@pytest.fixture(name='root_dir', scope='module')
def train_once(tmp_path_factory):
  root_dir = tmp_path_factory.mktemp('run')
  run_config.parse([], CONFIG)
  experiment.train_eval(str(root_dir))
  gin.clear_config()
  return root_dir


@pytest.fixture(name='run')
def load(root_dir):
  return trained_run.load(str(root_dir))


def _protocol(run, **arguments):
  return protocols.MetaWorldProtocol(
    run.agent, run.create_environment, 7, **arguments
  )


def test_all_goals_of_all_held_out_classes_are_played(run):
  result = _protocol(run, num_goals=4).evaluate()
  assert result.classes == ('door-v3', 'drawer-v3', 'lever-v3')
  assert result.num_goals == 4
  assert [(t.env_name, t.goal) for t in result.tasks[:4]] == [
    ('door-v3', 0),
    ('drawer-v3', 0),
    ('lever-v3', 0),
    ('door-v3', 1),
  ]
  (trained,) = result.policies
  assert trained.returns.shape == trained.successes.shape == (2, 12, 3)
  assert result.iteration == 1


def test_evaluation_acts_by_the_mode_and_so_repeats_itself(run):
  result = _protocol(run, num_goals=2).evaluate()
  (trained,) = result.policies
  np.testing.assert_array_equal(
    trained.returns, trained.returns[:, :, :1].repeat(3, axis=2)
  )
  for b, task in enumerate(result.tasks):
    returned, succeeded = _play_by_mode(run.agent, task)
    np.testing.assert_allclose(trained.returns[0, b, 0], returned, 1e-5)
    assert trained.successes[0, b, 0] == succeeded


def _play_by_mode(agent, task):
  """Plays one episode by the mean of the distribution, without rollout."""
  environment = meta_world_double.ALL_V3_ENVIRONMENTS[task.env_name]()
  environment.set_task(task)
  observation, _ = environment.reset()
  theta = agent.policy.get_initial_state(1)
  returned, succeeded = 0.0, False
  for _ in range(HORIZON):
    time_step = ts.restart(
      tf.constant(observation[np.newaxis], tf.float32), batch_size=1
    )
    mean = agent.policy.distribution(time_step, theta).action.mean()
    action = np.clip(mean.numpy()[0], -1, 1)
    observation, reward, _, _, info = environment.step(action)
    returned += reward
    succeeded |= bool(info['success'])
  return returned, succeeded


def test_one_step_on_ten_exploring_episodes_adapts(run):
  protocol = _protocol(run, num_goals=1)
  with mock.patch.object(run.agent, 'adapt', wraps=run.agent.adapt) as adapt:
    (trained,) = protocol.evaluate().policies
  (call,) = adapt.call_args_list
  experience, policy_state, step = call.args
  assert step == 0
  # Three classes with ten whole episodes each, as sampled.
  valid = ~experience.is_boundary().numpy()
  assert valid.sum(axis=1).tolist() == [10 * HORIZON] * 3
  first = experience.action.numpy()[:, :: valid.shape[1] // 10]
  assert len(np.unique(first[0, :, 0])) == 10
  np.testing.assert_array_equal(
    policy_state[0][1], run.agent.policy.get_initial_state(None)[0]
  )
  # With such a large step size it has an effect.
  assert not np.allclose(trained.returns[0], trained.returns[1])


def test_two_steps_adapt_from_each_other(run):
  with mock.patch.object(run.agent, 'adapt', wraps=run.agent.adapt) as adapt:
    _protocol(
      run, num_goals=1, adaptation_episodes=2, num_adaptation_steps=2
    ).evaluate()
  assert [call.args[2] for call in adapt.call_args_list] == [0, 1]


def test_the_size_of_rounds_changes_nothing(run):
  # 30 rows a goal: a round plays three goals of six, or both of two.
  six = _protocol(run, num_goals=6).evaluate().policies[0]
  two = _protocol(run, num_goals=2).evaluate().policies[0]
  np.testing.assert_allclose(six.returns[:, :6], two.returns, 1e-5)
  np.testing.assert_array_equal(six.successes[:, :6], two.successes)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'num_goals': 7}, 'num_tasks is 7, but a class has 6 held-out goals'),
    ({'num_goals': 0}, 'num_goals is 0'),
    ({'adaptation_episodes': 0}, 'episodes is 0'),
    ({'num_adaptation_steps': 0}, 'num_adaptation_steps is 0'),
  ],
)
def test_impossible_arguments(run, arguments, message):
  with pytest.raises(ValueError, match=message):
    _protocol(run, **arguments)


def _result():
  """Two classes with two goals; what each number becomes is in the tests."""
  tasks = [
    types.SimpleNamespace(env_name=name)
    for _ in range(2)
    for name in ('door', 'lever')
  ]
  successes = np.zeros((2, 4, 3), bool)
  successes[0, 0, 0] = True  # door: one of six before.
  successes[1, [0, 2]] = True  # door: all after.
  successes[1, 1] = True  # lever: goal 0 after.
  returns = np.arange(24.0).reshape(2, 4, 3)
  return protocols.ProtocolResult(
    5,
    0,
    1,
    10,
    ('door', 'lever'),
    tasks,
    (protocols.PolicyResult('trained', returns, successes),),
  )


def test_the_table_has_rates_of_all_and_of_each_class():
  title, _, *lines = protocol_report.table(_result()).splitlines()
  assert title == (
    "Meta-World's protocol: 2 held-out goals of 2 classes, 1 step of 10"
    ' episodes to adapt, 3 deterministic episodes, after 5 meta-iterations'
  )
  cells = [line.replace('all classes', 'all').split() for line in lines]
  assert [row[1:4] for row in cells] == [
    ['all', 'before', '8.3%'],
    ['all', 'after', '75.0%'],
    ['door', 'before', '16.7%'],
    ['door', 'after', '100.0%'],
    ['lever', 'before', '0.0%'],
    ['lever', 'after', '50.0%'],
  ]
  # Means of 0 to 11 and of 12 to 23; the interquartile mean is the same.
  assert [row[-2:] for row in cells[:2]] == [['5.5', '5.5'], ['17.5', '17.5']]


def test_the_iqm_drops_the_lowest_and_the_highest_quarter():
  line = protocol_report.table(_result()).splitlines()[3]
  # Successes of the four tasks after adaptation: 1, 1, 1, 0.
  assert line.split('[')[1].split(']')[1].split()[0] == '100.0%'


def test_files_hold_the_same_numbers(tmp_path):
  protocol_report.write(_result(), str(tmp_path))
  content = json.loads((tmp_path / 'evaluation.json').read_text('utf-8'))
  assert content['goals_per_class'] == 2
  door = content['policies']['trained'][3]
  assert (door['class'], door['adaptation']) == ('door', 'after')
  assert door['success']['mean'] == 1.0
  with open(tmp_path / 'evaluation.csv', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == 8
  assert [row['class'] for row in rows[:4]] == [
    'door',
    'door',
    'lever',
    'lever',
  ]
  assert float(rows[0]['success']) == pytest.approx(1 / 3)
  assert float(rows[1]['return']) == 13.0  # Of 12, 13, 14.
  assert (float(rows[1]['return_min']), float(rows[1]['return_max'])) == (
    12,
    14,
  )


def _evaluate(root_dir, out, **flags):
  return command_lines.call(
    'evaluate', root_dir=str(root_dir), out=str(out), **flags
  )


def test_the_command_line_follows_the_protocol_by_default(
  root_dir, tmp_path, capfd
):
  assert not _evaluate(root_dir, tmp_path, num_tasks=2, references=True)
  out, err = capfd.readouterr()
  assert out.startswith("Meta-World's protocol: 2 held-out goals of 3 classes")
  rows = [line.split()[0] for line in out.splitlines()[2:]]
  # Four classes, one of which is all, before and after.
  assert rows == ['trained'] * 8 + ['initial'] * 8 + ['random'] * 4
  assert 'trained, tasks 1 to 6 of 6: return' in err
  content = json.loads((tmp_path / 'evaluation.json').read_text('utf-8'))
  assert content['adaptation_episodes'] == 10
  assert content['num_adaptation_steps'] == 1
  assert {path.name for path in tmp_path.iterdir()} == {
    'evaluation.csv',
    'evaluation.json',
  }


def test_the_protocol_can_be_left_out(root_dir, tmp_path, capfd):
  flags = {'num_tasks': 2, 'episodes': 2, 'protocol': False}
  assert not _evaluate(root_dir, tmp_path, **flags)
  assert capfd.readouterr().out.startswith('Return on 2 held-out tasks')


@pytest.mark.parametrize(
  'flags',
  [
    {'step_size_schedule': 'halve'},
    {'references': True, 'oracle': 'runs/oracle'},
  ],
)
def test_the_protocol_has_neither_schedules_nor_runs_beside_it(
  root_dir, tmp_path, capfd, flags
):
  assert _evaluate(root_dir, tmp_path, **flags) == 2
  assert capfd.readouterr().err == (
    f'evaluate: --{[*flags][-1]} is not part of the protocol: add'
    ' --noprotocol\n'
  )
