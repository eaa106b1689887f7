"""A loaded run equals the trained one."""

import gc
import random
import shutil

import gin
import numpy as np
import pytest
import tensorflow as tf

import maml_tf
from maml_tf.core import errors
from maml_tf.run import checkpoints as run_checkpoints
from maml_tf.run import config as run_config
from maml_tf.run import experiment
from maml_tf.run import trained_run

_SMALL = (
  'train_eval.num_iterations = 2',
  'train_eval.num_tasks = 2',
  'train_eval.episodes_per_task = 3',
  'train_eval.horizon = 5',
  'train_eval.seed = 7',
  'create_actor_network.fc_layer_params = (8,)',
  'dice.causal_discount = 0.5',
  'train_eval.export_saved_model = False',
)


@pytest.fixture(scope='module')
def root_dir(tmp_path_factory):
  path = str(tmp_path_factory.mktemp('run'))
  gin.clear_config()
  run_config.parse(['point.gin', 'dice.gin'], _SMALL)
  experiment.train_eval(path)
  gin.clear_config()
  return path


def test_parameters_and_settings_are_the_runs(root_dir):
  run = trained_run.load(root_dir)
  assert (run.iteration, run.seed, run.episodes_per_task) == (2, 7, 3)
  assert run.create_environment(4, 2).batch_size == 8
  assert run.create_environment(4, 2).horizon == 5
  reader = tf.train.load_checkpoint(root_dir + '/checkpoints')
  saved = [
    reader.get_tensor(name)
    for name, shape in reader.get_variable_to_shape_map().items()
    if name.startswith('agent/_network/_variables_tuple')
    and not name.endswith('OPTIMIZER_SLOT')
  ]
  parameters = [v.numpy() for v in run.agent.meta_parameters]
  assert saved
  for array in saved:
    assert any(np.array_equal(array, p) for p in parameters)
  for before, after in zip(run.initial_parameters, parameters, strict=True):
    assert before.shape == after.shape
  assert any(np.any(a != b) for a, b in zip(run.initial_parameters, parameters))


def test_initial_parameters_are_those_training_began_with(root_dir, tmp_path):
  run = trained_run.load(root_dir)
  # The run as it was before its first iteration: checkpoint 0 is still there.
  first = shutil.copytree(root_dir, tmp_path / 'first')
  for path in (first / 'checkpoints').glob('ckpt-[!0]*'):
    path.unlink()
  untrained = trained_run.load(str(first))
  assert untrained.iteration == 0
  for ours, theirs in zip(
    run.initial_parameters, untrained.agent.meta_parameters, strict=True
  ):
    np.testing.assert_array_equal(ours, theirs.numpy())


def test_folders_without_a_run_or_checkpoint(tmp_path):
  with pytest.raises(errors.UsageError, match='holds no run'):
    trained_run.load(str(tmp_path))
  (tmp_path / 'config.gin').write_text('')
  with pytest.raises(errors.UsageError, match='no checkpoint'):
    trained_run.load(str(tmp_path))


def _process():
  """What a program has set in its process, which then draws on."""
  config = gin.config_str(), gin.operative_config_str(), gin.config_is_locked()
  return *config, random.random(), np.random.rand(), float(_draw())


@tf.function
def _draw():
  return tf.random.uniform([])


@pytest.mark.parametrize('fails', [False, True])
def test_the_callers_settings_and_random_numbers_stay(
  root_dir, tmp_path, fails
):
  folder = shutil.copytree(root_dir, tmp_path / 'run')
  if fails:
    with open(folder / 'config.gin', 'a', encoding='utf-8') as file:
      file.write('create_actor_network.fc_layer_params = (3,)')
  seen = []
  for loads in (False, True):
    gin.clear_config()
    gin.parse_config('dice.causal_discount = 0.25')
    tf.keras.utils.set_random_seed(7)
    _process()
    if loads and fails:
      with pytest.raises(errors.UsageError, match='bring back the config.gin'):
        trained_run.load(str(folder))
    elif loads:
      trained_run.load(str(folder))
    seen.append(_process())
  gin.clear_config()
  assert seen[0] == seen[1]


def test_its_parts_read_its_settings_later(root_dir):
  adapted = []
  for load, is_exact in (
    (trained_run.load_for_process, False),
    (trained_run.load_for_process, True),
    (trained_run.load, True),
  ):
    gin.clear_config()
    run = load(root_dir)
    if is_exact:
      with gin.unlock_config():
        gin.bind_parameter('dice.exact', True)
    environment = run.create_environment(1, 3)
    environment.set_tasks([(0.3, -0.2)])
    # dice is traced here.
    adapted.append(maml_tf.adapt(run.agent, environment, 1, 3).parameters)
  gin.clear_config()
  expected, other, own = (p[0].numpy() for p in adapted)
  np.testing.assert_array_equal(own, expected)
  assert np.any(other != expected)


def test_a_checkpoint_that_is_removed_before_it_is_read(
  root_dir, tmp_path, monkeypatch
):
  copy = shutil.copytree(root_dir, tmp_path / 'run')
  newest = run_checkpoints.newest_intact

  def find_and_remove(directory):
    # A trainer has written newer ones since, and removed this one.
    monkeypatch.setattr(run_checkpoints, 'newest_intact', newest)
    return f'{directory}/ckpt-7'

  monkeypatch.setattr(run_checkpoints, 'newest_intact', find_and_remove)
  assert trained_run.load(str(copy)).iteration == 2


@pytest.mark.parametrize(
  ('old', 'new'),
  [
    ('fc_layer_params = (8,)', 'fc_layer_params = (9,)'),
    ('@PointNavigation', '@PendulumMass'),
    ('normalize_observations = False', 'normalize_observations = True'),
  ],
)
def test_a_config_that_does_not_fit_its_checkpoint(
  old, new, root_dir, tmp_path, capfd
):
  copy = shutil.copytree(root_dir, tmp_path / 'run')
  config = copy / 'config.gin'
  text = config.read_text(encoding='utf-8')
  assert old in text
  imports = 'import maml_tf.environments.classic_control\n'
  config.write_text(imports + text.replace(old, new), encoding='utf-8')
  with pytest.raises(errors.UsageError) as error:
    trained_run.load(str(copy))
  line = str(error.value)
  assert '\n' not in line
  assert 'ckpt-2 holds other variables than this config makes (' in line
  assert line.endswith(
    f'bring back the config.gin that {copy} was trained with'
  )
  # Nor does TensorFlow say more when the agent is deleted.
  del error
  gc.collect()
  assert capfd.readouterr().err == ''


@pytest.mark.parametrize('name', ['gs://bucket/run', 'run[1]', ''])
def test_paths_that_hold_no_run(name):
  with pytest.raises(errors.UsageError, match='--root_dir is'):
    trained_run.load(name)
