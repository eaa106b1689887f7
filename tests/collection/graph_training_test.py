"""A run chooses the compiled form of a family by one binding."""

import csv

import gin
import numpy as np
import pytest

from maml_tf.run import config as run_config
from maml_tf.run import experiment
from tests import command_lines
from tests import shared_runs

_TENSORS = 'train_eval.environment_class = @PointNavigationTensors'
_TIMES = ('wall_seconds', 'collect_seconds', 'update_seconds')


def _train(root_dir, *bindings):
  gin.clear_config()
  run_config.parse(
    ['point.gin'], [*shared_runs.TINY, shared_runs.NO_MODEL, *bindings]
  )
  return experiment.train_eval(str(root_dir))


def _rows(root_dir):
  with open(root_dir / 'metrics.csv', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  for row in rows:
    for name in (*_TIMES, 'env_steps_per_second'):
      row.pop(name)
  return rows


def test_one_binding_gives_the_same_metrics(point_run, tmp_path):
  returns = _train(tmp_path / 'run', _TENSORS)
  np.testing.assert_allclose(returns, point_run.returns, atol=1e-4)
  (expected,) = _rows(point_run.root_dir)
  (row,) = _rows(tmp_path / 'run')
  assert list(row) == list(expected)
  for name, value in expected.items():
    np.testing.assert_allclose(
      float(row[name]), float(value), rtol=1e-3, atol=1e-4, err_msg=name
    )
  # The run is evaluated like any other.
  gin.clear_config()
  flags = {'root_dir': str(tmp_path / 'run')}
  assert not command_lines.call('evaluate', num_tasks=2, episodes=2, **flags)
  assert (tmp_path / 'run' / 'evaluation.json').exists()


@pytest.mark.slow
def test_a_resumed_run_repeats_an_uninterrupted_one(tmp_path):
  two = 'train_eval.num_iterations = 3'
  whole = _train(tmp_path / 'whole', _TENSORS, two)
  _train(tmp_path / 'parts', _TENSORS)
  resumed = _train(tmp_path / 'parts', _TENSORS, two)
  np.testing.assert_array_equal(resumed, whole)
  assert _rows(tmp_path / 'parts') == _rows(tmp_path / 'whole')


@pytest.mark.slow
def test_the_observed_task_trains_step_by_step(tmp_path):
  returns = _train(tmp_path / 'run', _TENSORS, 'train_eval.observe_task = True')
  assert np.isfinite(returns).all()
