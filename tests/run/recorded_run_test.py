"""Runs that version 0.1.0 recorded resume, evaluate, export, render and adapt.

`recorded_run/README.md` describes how they were made.
"""

import csv
import importlib
import pathlib
import shutil

import gin
import numpy as np
import pytest
import tensorflow as tf

import maml_tf
from maml_tf.environments import point_navigation
from maml_tf.run import config as run_config
from tests import command_lines

_RECORDED = pathlib.Path(__file__).parent / 'recorded_run'

_SIZES = (
  'train_eval.num_tasks=2',
  'train_eval.episodes_per_task=2',
  'train_eval.horizon=5',
  'create_actor_network.fc_layer_params=(4,)',
)
# The flags that each run was trained with.
_FLAGS = {
  'point': {'gin_file': ['point.gin'], 'gin_bindings': _SIZES},
  # A value network, normalised observations and learned step sizes.
  'learned': {
    'gin_file': ['point.gin', 'meta_sgd.gin', 'rllib_maml.gin'],
    'gin_bindings': (
      *_SIZES,
      'InnerLoop.step_size=@ParameterStepSizes()',
      'create_value_network.fc_layer_params=(4,)',
      'MamlAgent.normalize_observations=True',
    ),
  },
}

# Other kinds of CPUs round differently. On the kind that recorded the runs, the
# numbers are equal bit for bit.
_TOLERANCE = {'rel': 1e-5, 'abs': 1e-5}


@pytest.fixture(name='name', params=_FLAGS)
def choose_run(request):
  return request.param


# Each takes seconds for the second run, and adds little to the first.
both_if_slow = pytest.mark.parametrize(
  'name',
  ['point', pytest.param('learned', marks=pytest.mark.slow)],
  indirect=True,
)


@pytest.fixture(name='root_dir')
def copy_run(name, tmp_path):
  return shutil.copytree(_RECORDED / name, tmp_path / 'run')


def _rows(path):
  with open(path, newline='', encoding='utf-8') as file:
    return list(csv.DictReader(file))


def _train(name, root_dir, *bindings):
  flags = _FLAGS[name]
  return command_lines.call(
    'train',
    gin_file=flags['gin_file'],
    gin_bindings=[*flags['gin_bindings'], *bindings],
    root_dir=str(root_dir),
  )


@both_if_slow
def test_it_resumes_as_if_it_had_not_stopped(name, root_dir, capfd):
  before = (root_dir / 'metrics.csv').read_text(encoding='utf-8')
  assert _train(name, root_dir, 'train_eval.num_iterations=3') == 0
  assert 'resumed after iteration 2\n' in capfd.readouterr().err
  after = (root_dir / 'metrics.csv').read_text(encoding='utf-8')
  assert after.startswith(before)
  *_, row = _rows(root_dir / 'metrics.csv')
  (expected,) = _rows(_RECORDED / name / 'iteration_3.csv')
  # The same columns in the same order.
  assert [column for column in row if 'second' not in column] == list(expected)
  for column, value in expected.items():
    assert float(row[column]) == pytest.approx(float(value), **_TOLERANCE), (
      column
    )
  latest = tf.train.latest_checkpoint(str(root_dir / 'checkpoints'))
  assert latest == str(root_dir / 'checkpoints' / 'ckpt-3')
  assert (root_dir / 'saved_model').is_dir()


@pytest.mark.slow
def test_a_run_that_bound_none_goes_on_with_all_tasks(tmp_path, capfd):
  root_dir = shutil.copytree(_RECORDED / 'point', tmp_path / 'run')
  path = root_dir / 'config.gin'
  record = path.read_text(encoding='utf-8')
  former, none = (f'MamlAgent.task_chunk_size = {v}' for v in (1, None))
  assert former in record
  path.write_text(record.replace(former, none), encoding='utf-8')
  for num_iterations in (3, 4):
    length = f'train_eval.num_iterations={num_iterations}'
    assert _train('point', root_dir, length, none) == 0
    gin.clear_config()
    assert "goes on so: 'all' says that now" in capfd.readouterr().err
    assert "MamlAgent.task_chunk_size = 'all'" in path.read_text('utf-8')
  # Without the binding it is another config.
  assert _train('point', root_dir, 'train_eval.num_iterations=5') == 2
  assert "task_chunk_size = 'all', not None" in capfd.readouterr().err


def test_another_config_is_refused_as_before(name, root_dir, capfd):
  assert _train(name, root_dir, 'train_eval.num_tasks=4') == 2
  assert 'num_tasks = 2, not 4' in capfd.readouterr().err


def test_it_evaluates(root_dir, capfd):
  code = command_lines.call(
    'evaluate', root_dir=str(root_dir), num_tasks=3, num_adaptation_steps=2
  )
  assert code == 0, capfd.readouterr().err
  assert 'after 2 meta-iterations' in capfd.readouterr().out
  assert (root_dir / 'evaluation.json').exists()


@both_if_slow
def test_it_exports(root_dir, tmp_path, capfd):
  export_dir = tmp_path / 'model'
  code = command_lines.call(
    'export', root_dir=str(root_dir), export_dir=str(export_dir)
  )
  assert code == 0, capfd.readouterr().err
  model = tf.saved_model.load(str(export_dir))
  state = model.signatures['initial_state'](batch_size=tf.constant(1))
  assert all(np.all(np.isfinite(value)) for value in state.values())


@both_if_slow
def test_it_renders(root_dir, capfd):
  code = command_lines.call(
    'render', root_dir=str(root_dir), width=64, height=48, episodes=2
  )
  assert code == 0, capfd.readouterr().err
  assert (root_dir / 'adaptation.gif').stat().st_size > 0


@both_if_slow
def test_it_adapts(root_dir):
  environment = point_navigation.PointNavigation(1, 2, horizon=5)
  environment.set_tasks([[0.3, -0.2]])
  adapted = maml_tf.adapt(str(root_dir), environment, episodes_per_step=2)
  assert adapted.steps[0].taken
  assert np.all(np.isfinite(adapted.returns))


@pytest.mark.parametrize(
  ('old', 'new'),
  [
    ('maml_tf.experiment', 'maml_tf.run.experiment'),
    ('maml_tf.learning.adaptation', 'maml_tf.learning.inner_loop'),
    ('maml_tf.environments.painter', 'maml_tf.environments.rendering.renderer'),
    ('maml_tf.trained_run', 'maml_tf.run.trained_run'),
  ],
)
def test_old_import_paths_in_gin_files_are_the_same_modules(old, new, tmp_path):
  path = tmp_path / 'old.gin'
  path.write_text(f'import {old}\ntrain_eval.seed = 3\n', encoding='utf-8')
  run_config.parse([str(path)], [])
  assert gin.query_parameter('train_eval.seed') == 3
  assert importlib.import_module(old) is importlib.import_module(new)


def test_the_recorded_configs_hold_old_import_paths():
  texts = [
    (_RECORDED / name / 'config.gin').read_text(encoding='utf-8')
    for name in _FLAGS
  ]
  assert all('import maml_tf.experiment as ' in text for text in texts)
