"""Replicas and workers that share a run do not change its numbers."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import maml_tf
from maml_tf.run import strategies
from tests.survival import trained_process
from tests.survival import worker_processes

NUM_ITERATIONS = 5
PROXIMAL = ()
TRUST_REGION = ('--gin_file=maml_trpo.gin',)


def _replicas(count):
  return ('--strategy=mirrored', f'--num_virtual_cpus={count}')


def _arguments(algorithm):
  file, *rest = trained_process.SMALL_POINT
  return (file, *algorithm, *rest)


@pytest.fixture(name='alone', scope='module')
def train_on_one_replica(tmp_path_factory):
  """Trains with an algorithm, once; returns the run's folder."""
  folders = {}

  def train(algorithm):
    if algorithm not in folders:
      folder = tmp_path_factory.mktemp('alone') / 'run'
      _train(folder, algorithm)
      folders[algorithm] = folder
    return folders[algorithm]

  return train


def _train(root_dir, algorithm, *flags):
  code, lines = trained_process.finish(
    trained_process.start(
      root_dir, (*_arguments(algorithm), *flags), NUM_ITERATIONS
    )
  )
  assert code == 0, lines


@pytest.mark.parametrize(
  ('algorithm', 'count'),
  [
    (PROXIMAL, 2),
    pytest.param(PROXIMAL, 4, marks=pytest.mark.slow),
    # The shipped damping keeps rounding errors from growing.
    pytest.param(TRUST_REGION, 2, marks=pytest.mark.slow),
    pytest.param(TRUST_REGION, 4, marks=pytest.mark.slow),
  ],
)
def test_replicas_give_the_same_bits(algorithm, count, alone, tmp_path):
  together = tmp_path / 'together'
  _train(together, algorithm, *_replicas(count))
  trained_process.assert_same(together, alone(algorithm))


@pytest.mark.slow
@pytest.mark.parametrize('algorithm', [PROXIMAL, TRUST_REGION])
def test_two_workers_give_the_same_bits(algorithm, alone, tmp_path):
  folders = [tmp_path / 'chief', tmp_path / 'worker']
  for code, lines in worker_processes.finish(
    worker_processes.start(folders, _arguments(algorithm), NUM_ITERATIONS)
  ):
    assert code == 0, lines
    assert lines[-1].startswith('train: return on 4 held-out tasks')
  trained_process.assert_same(folders[0], alone(algorithm))
  assert not folders[1].exists()


@pytest.mark.slow
@pytest.mark.parametrize('config', ['promp.gin', 'maml_trpo.gin'])
def test_recorded_half_cheetahs_give_the_same_bits(config, tmp_path):
  """Five updates on meta-batches that untrained agents collect."""
  processes = [
    _start_updates(config, tmp_path / '1.npz'),
    _start_updates(config, tmp_path / '2.npz', '2'),
    _start_updates(config, tmp_path / '4.npz', '4'),
    *(
      _start_updates(config, tmp_path / f'worker{index}.npz', env=variables)
      for index, variables in enumerate(worker_processes.environments(2))
    ),
  ]
  for process in processes:
    assert process.wait() == 0
  results = {}
  for path in tmp_path.glob('*.npz'):
    with np.load(path) as file:
      results[path.name] = [file[name] for name in file.files]
  assert len(results) == 5
  for parameters in results.values():
    for one, other in zip(results['1.npz'], parameters, strict=True):
      np.testing.assert_array_equal(one, other)


def _start_updates(config, out, *arguments, env=()):
  root = str(pathlib.Path(maml_tf.__file__).parents[1])
  return subprocess.Popen(
    [
      *(sys.executable, '-m', 'tests.run.recorded_updates'),
      *(config, str(out), *arguments),
    ],
    env=os.environ | {'PYTHONPATH': root} | dict(env),
  )


def test_missing_requirements_of_a_strategy_are_errors(monkeypatch):
  for name, count, message in (
    ('mirrored', None, 'finds no GPU: give --num_virtual_cpus=2'),
    ('mirrored', 0, '--num_virtual_cpus is 0'),
    ('default', 2, 'goes with --strategy=mirrored, not with default'),
    ('tpu', None, 'finds no TPU'),
  ):
    with pytest.raises(ValueError, match=message):
      strategies.create(name, count)
  for config in ('', 'x', '{}', '{"cluster": {"worker": ["a:1"]}, "task": 3}'):
    monkeypatch.setenv('TF_CONFIG', config)
    with pytest.raises(ValueError, match='multi_worker needs TF_CONFIG'):
      strategies.create('multi_worker')


def test_the_default_is_one_replica():
  strategy = strategies.create('default')
  assert strategy is tf.distribute.get_strategy()
