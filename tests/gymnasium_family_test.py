"""Tests of a user's Gymnasium family through the command lines."""

import csv
import json
import os
import pathlib
import sys

import gin
import pytest

from tests import command_lines

FAMILY = '''
import gymnasium
import numpy as np


class Dial(gymnasium.Env):
  """Turn the dial to the wished number, one of 5 to 8; all spaces are odd."""

  observation_space = gymnasium.spaces.Dict(
    number=gymnasium.spaces.Discrete(4, start=5),
    picture=gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8),
    phase=gymnasium.spaces.Box(-1, 1, (2,), np.float64),
  )
  action_space = gymnasium.spaces.MultiDiscrete([4, 2], start=[5, 0])
  training_tasks = ({'wish': 5}, {'wish': 6}, {'wish': 7})
  held_out_tasks = ({'wish': 8}, {'wish': 6})

  def __init__(self, length=6, fails=False, render_mode=None):
    self.length = length
    self.fails = fails
    self.render_mode = render_mode

  def set_task(self, task):
    self.wish = task['wish']

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self.number = int(self.np_random.integers(5, 9))
    self.count = 0
    return self.observe(), {}

  def step(self, action):
    if self.fails and self.count == 4:
      raise OSError('the dial is stuck')
    assert 5 <= action[0] <= 8 and 0 <= action[1] <= 1
    self.number = int(action[0])
    self.count += 1
    success = self.number == self.wish
    return self.observe(), float(success), success, self.count == self.length, {
      'success': success
    }

  def observe(self):
    return {
      'number': self.number,
      'picture': np.full((8, 8, 3), 30 * self.number, np.uint8),
      'phase': np.array([np.sin(self.number), np.cos(self.number)]),
    }

  def render(self):
    return np.full((40, 60, 3), 30 * self.number, np.uint8)
'''

CONFIG = """
import dial_family
import maml_tf.environments.gymnasium_bridge.gymnasium_tasks
import maml_tf.run.experiment

train_eval.environment_class = @GymnasiumTasks
GymnasiumTasks.make_environment = @dial_family.Dial
Dial.length = 6
train_eval.num_iterations = 2
train_eval.num_tasks = 3
train_eval.episodes_per_task = 2
train_eval.horizon = 6
train_eval.evaluation_interval = 1
create_actor_network.fc_layer_params = (8,)
GradientUpdate.num_steps = 2
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """A folder with the family's module, which it lets Python find."""
  path = tmp_path_factory.mktemp('family')
  (path / 'dial_family.py').write_text(FAMILY)
  (path / 'dial.gin').write_text(CONFIG)
  sys.path.insert(0, str(path))
  yield path
  sys.path.remove(str(path))
  sys.modules.pop('dial_family', None)


def train(folder, name, *bindings):
  gin.clear_config()
  return command_lines.call(
    'train',
    gin_file=[str(folder / 'dial.gin')],
    gin_bindings=list(bindings),
    root_dir=str(folder / name),
  )


@pytest.fixture(scope='module')
def run(folder):
  assert train(folder, 'run') == 0
  return folder / 'run'


def rows(path):
  with open(path, newline='') as file:
    return list(csv.DictReader(file))


def test_it_trains_with_default_networks_and_reports_success(run):
  metrics = rows(run / 'metrics.csv')
  assert len(metrics) == 2
  for row in metrics:
    assert 0 <= float(row['success_step_0']) <= 1
    assert 0 <= float(row['success_step_1']) <= 1
    assert row['discarded_episodes'] == '0'
    # A success ends the episode with a reward of 1.
    assert float(row['return_step_0']) == float(row['success_step_0'])
  assert (run / 'saved_model' / 'saved_model.pb').exists()


@pytest.mark.slow
def test_other_processes_change_no_bit_and_may_change_on_resuming(folder, run):
  assert train(folder, 'two', 'GymnasiumTasks.num_processes = 2') == 0
  for one, two in zip(
    rows(run / 'metrics.csv'), rows(folder / 'two' / 'metrics.csv'), strict=True
  ):
    for name in one:
      if 'second' not in name:
        assert one[name] == two[name], name
  more = ('train_eval.num_iterations = 3', 'GymnasiumTasks.num_processes = 1')
  assert train(folder, 'two', *more) == 0
  assert len(rows(folder / 'two' / 'metrics.csv')) == 3


def test_it_evaluates_the_held_out_tasks_by_name(run, capsys):
  gin.clear_config()
  assert command_lines.call('evaluate', root_dir=str(run), episodes=2) == 0
  assert '2 held-out tasks' in capsys.readouterr().out
  report = json.loads((run / 'evaluation.json').read_text())
  assert report['tasks'] == ["{'wish': 8}", "{'wish': 6}"]
  names = {row['task_name'] for row in rows(run / 'evaluation.csv')}
  assert names == {"{'wish': 8}", "{'wish': 6}"}


def test_it_renders_the_environments_own_pictures(run, tmp_path):
  gin.clear_config()
  out = tmp_path / 'film.gif'
  assert (
    command_lines.call(
      'render', root_dir=str(run), out=str(out), task='train:2', episodes=2
    )
    == 0
  )
  assert out.stat().st_size > 1000


def test_a_failing_environment_ends_the_run_and_loses_nothing(folder, capsys):
  name = 'failing'
  first = ('train_eval.num_iterations = 1', 'Dial.fails = False')
  assert train(folder, name, *first) == 0
  # The trial does not meet the fault in its first tasks' short episodes.
  (folder / name / 'config.gin').write_text(
    (folder / name / 'config.gin')
    .read_text()
    .replace('Dial.fails = False', 'Dial.fails = True')
  )
  capsys.readouterr()
  more = ('train_eval.num_iterations = 9', 'Dial.fails = True')
  exit_code = train(folder, name, *more)
  error = capsys.readouterr().err
  assert exit_code in (1, 2)
  lines = [x for x in error.splitlines() if x.startswith('train: ')]
  assert 'of Dial raised OSError: the dial is stuck' in lines[-1]
  assert "raise OSError('the dial is stuck')" in error
  assert len(rows(folder / name / 'metrics.csv')) >= 1


def test_a_family_that_is_wrong_ends_in_a_line(folder, capsys):
  exit_code = train(folder, 'wrong', 'Dial.length = 6', "Dial.size = 'big'")
  error = capsys.readouterr().err
  assert exit_code == 2
  assert error.startswith('train: ') and "'size'" in error
  assert not (folder / 'wrong').exists()


@pytest.mark.parametrize('debug', [False, True])
def test_debug_shows_where_an_error_was_raised(folder, capsys, debug):
  gin.clear_config()
  exit_code = command_lines.call(
    'train',
    gin_file=[str(folder / 'dial.gin')],
    gin_bindings=['train_eval.num_tasks = 0'],
    root_dir=str(folder / 'none'),
    debug=debug,
  )
  assert exit_code == 2
  error = capsys.readouterr().err
  assert ('Traceback' in error) == debug
  assert error.startswith('train: num_tasks is 0')


@pytest.mark.parametrize('name', ['evaluate', 'export', 'render'])
def test_all_command_lines_debug(name, capsys, tmp_path):
  flags = {'root_dir': str(tmp_path), 'debug': True}
  if name == 'export':
    flags['export_dir'] = str(tmp_path / 'out')
  assert command_lines.call(name, **flags) == 2
  assert 'Traceback' in capsys.readouterr().err
  assert pathlib.Path(tmp_path).exists() and not os.listdir(tmp_path)
