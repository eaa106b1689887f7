"""A folder belongs to one run: what resumes, what is refused or told."""

import contextlib
import csv
import pathlib
import shutil

import gin
import numpy as np
import pytest
import tensorflow as tf

import maml_tf
from maml_tf.environments import point_navigation
from maml_tf.run import experiment
from maml_tf.run import run_lock
from maml_tf.run import trained_run
from tests import command_lines
from tests import shared_runs

_SMALLER = 'InnerLoop.step_size = 0.05'


@pytest.fixture(name='root_dir')
def copy_run(point_run, tmp_path):
  return shutil.copytree(point_run.root_dir, tmp_path / 'run')


def _train(root_dir, num_iterations=1, *bindings, **flags):
  gin.clear_config()
  return command_lines.call(
    'train',
    gin_file=['point.gin'],
    gin_bindings=[
      *shared_runs.TINY,
      f'train_eval.num_iterations = {num_iterations}',
      *bindings,
    ],
    root_dir=str(root_dir),
    **flags,
  )


def _content(folder):
  return {
    path: path.read_bytes()
    for path in pathlib.Path(folder).rglob('*')
    if path.is_file()
  }


def test_another_config_is_refused_or_recorded(root_dir, capfd):
  before = _content(root_dir)
  assert _train(root_dir, 2, _SMALLER) == 2
  assert 'step_size = 0.1, not 0.05: give another' in capfd.readouterr().err
  # Another layer size cannot be allowed: its variables are others.
  wider = 'create_actor_network.fc_layer_params = (9,)'
  assert _train(root_dir, 2, wider, allow_config_change=True) == 2
  (line,) = capfd.readouterr().err.splitlines()
  assert 'ckpt-1 holds other variables than this config makes' in line
  assert _content(root_dir) == before
  # Renamed by someone's spreadsheet.
  metrics = root_dir / 'metrics.csv'
  text = metrics.read_text(encoding='utf-8')
  metrics.write_text(text.replace('meta_loss', 'loss'), encoding='utf-8')
  code = _train(
    root_dir, 2, _SMALLER, shared_runs.NO_MODEL, allow_config_change=True
  )
  said = capfd.readouterr().err
  assert code == 0, said
  assert 'metrics.csv has no meta_loss: added, NaN so far\n' in said
  assert 'metrics.csv has loss: not written any more, NaN from now\n' in said
  assert f'after iteration 1: {_SMALLER}, was 0.1\n' in said
  with open(metrics, newline='', encoding='utf-8') as file:
    one, two = csv.DictReader(file)
  assert (one['meta_loss'], two['loss']) == ('nan', 'nan')
  assert np.isfinite([float(one['loss']), float(two['meta_loss'])]).all()
  assert f'{_SMALLER}\n' in (root_dir / 'config.gin').read_text('utf-8')
  changes = (root_dir / 'config_changes.txt').read_text(encoding='utf-8')
  assert changes.endswith(f'after iteration 1: {_SMALLER}, was 0.1\n')


def test_nothing_is_left_of_a_finished_run(root_dir, capfd):
  before = (root_dir / 'config.gin').read_bytes()
  # It would be exported with a setting that it was not trained with.
  assert _train(root_dir, 1, _SMALLER, allow_config_change=True) == 2
  assert 'has 1 iterations, none of which' in capfd.readouterr().err
  assert _train(root_dir, 1, shared_runs.NO_MODEL) == 0
  assert (
    'nothing is left to train: 1 iterations are done; to train on, give a'
    ' train_eval.num_iterations of more than 1\n'
  ) in capfd.readouterr().err
  assert (root_dir / 'config.gin').read_bytes() == before


def test_a_saved_model_says_which_version_wrote_it(point_run):
  model = tf.saved_model.load(str(point_run.root_dir / 'saved_model'))
  version = model.get_metadata()['maml_tf_version'].numpy()
  assert version.decode() == maml_tf.__version__


def test_a_second_trainer_changes_nothing(root_dir, tmp_path, capfd):
  with run_lock.hold(str(root_dir)):
    before = _content(root_dir)
    assert _train(root_dir, 2) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f'train: {root_dir} is being trained by process ')
    assert _content(root_dir) == before
    # Readers need no lock.
    assert trained_run.load(str(root_dir)).iteration == 1
  assert not (root_dir / run_lock.LOCK_FILE).exists()


@pytest.mark.parametrize('path', ['gs://bucket/run', 'rate[0.1]', '', 'loop'])
def test_paths_are_refused_by_all_commands(
  path, root_dir, tmp_path, monkeypatch, capfd
):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'loop').symlink_to('loop')
  before = _content(tmp_path)
  for name, flags in (
    ('evaluate', {'root_dir': path}),
    ('export', {'root_dir': path, 'export_dir': 'out'}),
    ('export', {'root_dir': str(root_dir), 'export_dir': path}),
    ('render', {'root_dir': path, 'out': 'out.gif'}),
  ):
    assert command_lines.call(name, **flags) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f'{name}: ')
  assert _train(path) == 2
  (line,) = capfd.readouterr().err.splitlines()
  assert line.startswith('train: --root_dir')
  assert _content(tmp_path) == before
  assert sorted(p.name for p in tmp_path.iterdir()) == ['loop', 'run']


def test_a_run_of_the_python_api_can_be_loaded(tmp_path):
  gin.clear_config()
  root_dir = str(tmp_path / 'run')
  returns = experiment.train_eval(
    root_dir,
    environment_class=point_navigation.PointNavigation,
    num_iterations=1,
    num_tasks=2,
    episodes_per_task=2,
    horizon=5,
    seed=3,
    export_saved_model=False,
  )
  assert returns.shape == (2, 2, 2)
  run = trained_run.load(root_dir)
  assert (run.iteration, run.seed, run.episodes_per_task) == (1, 3, 2)
  assert run.create_environment(1, 1).horizon == 5
  with contextlib.closing(run.create_environment(2, 1)) as environment:
    assert isinstance(environment, point_navigation.PointNavigation)
