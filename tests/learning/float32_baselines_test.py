"""Linear baselines in float32, as on a TPU, give the values of float64."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from maml_tf.core import devices
from maml_tf.core import lite_operations
from maml_tf.environments import locomotion
from maml_tf.environments import point_navigation
from maml_tf.learning import advantages
from maml_tf.learning import baselines

_TASKS, _EPISODES, _HORIZON = 2, 10, 100
_RIDGES = pytest.mark.parametrize(
  'baseline',
  [
    baselines.LinearFeatureBaseline(),
    # Nearly no ridge: the features alone make the equations solvable.
    baselines.LinearFeatureBaseline(ridge=1e-9),
  ],
  ids=['default', 'small ridge'],
)


def _recorded(environment_class):
  """A `Trajectory` of random actions, leaves [B, T, ...]."""
  environment = environment_class(_TASKS, _EPISODES, _HORIZON)
  generator = np.random.default_rng(0)
  environment.set_tasks(environment.sample_tasks(_TASKS, generator))
  shape = (_TASKS * _EPISODES, *environment.action_spec().shape)
  steps = [environment.reset()]
  for _ in range(_HORIZON):
    steps.append(environment.step(generator.normal(size=shape)))

  def frames(field, shift=0):
    rows = np.stack([np.array(getattr(s, field)) for s in steps], axis=1)
    rows = np.roll(rows, -shift, axis=1)
    shape = (_TASKS, _EPISODES * (_HORIZON + 1), *rows.shape[2:])
    return tf.constant(rows.reshape(shape))

  return trajectory.Trajectory(
    frames('step_type'),
    frames('observation'),
    (),
    (),
    frames('step_type', 1),
    frames('reward', 1),
    frames('discount', 1),
  )


@pytest.fixture(
  name='experience', params=['HalfCheetahVelocity', 'PointNavigation']
)
def record(request):
  module = locomotion if 'Half' in request.param else point_navigation
  return _recorded(getattr(module, request.param))


def _estimate(experience, baseline, monkeypatch, has_float64):
  monkeypatch.setattr(devices, 'has_float64', lambda: has_float64)
  return advantages.estimate(experience, baseline, 0.99, 0.95)


@_RIDGES
def test_recorded_frames(experience, baseline, monkeypatch):
  exact, on_tpu = (
    _estimate(experience, baseline, monkeypatch, has_float64)
    for has_float64 in (True, False)
  )
  valid = (experience.step_type != ts.StepType.LAST).numpy()
  scale = np.std(exact.value.numpy()[valid])
  error = np.abs(on_tpu.value - exact.value)[valid].max() / scale
  # Seen: up to 6e-6.
  assert error < 1e-4
  error = np.abs(on_tpu.advantage - exact.advantage)[valid].max()
  # Seen: up to 3e-5.
  assert error < 3e-4


@_RIDGES
def test_recorded_frames_in_operations_of_tflite(experience, baseline):
  exact = advantages.estimate(experience, baseline, 0.99, 0.95)
  with lite_operations.required():
    lite = advantages.estimate(experience, baseline, 0.99, 0.95)
  scale = np.std(exact.value)
  assert np.abs(lite.value - exact.value).max() / scale < 1e-5
  assert np.abs(lite.advantage - exact.advantage).max() < 1e-5


def test_all_monomials(monkeypatch):
  experience = _recorded(point_navigation.PointNavigation)
  baseline = baselines.PolynomialFeatureBaseline()
  exact, on_tpu = (
    _estimate(experience, baseline, monkeypatch, has_float64)
    for has_float64 in (True, False)
  )
  error = np.abs(on_tpu.advantage - exact.advantage).max()
  assert error < 3e-4


@pytest.mark.parametrize('is_lite', [True, False])
def test_no_valid_frame(is_lite, monkeypatch):
  monkeypatch.setattr(devices, 'has_float64', lambda: False)
  monkeypatch.setattr(lite_operations, 'are_required', lambda: is_lite)
  values = baselines.LinearFeatureBaseline().fit_predict(
    tf.ones([1, 5, 2]),
    tf.range(5)[tf.newaxis],
    tf.ones([1, 5]),
    tf.zeros([1, 5]),
  )
  np.testing.assert_array_equal(values, 0)


def test_more_features_than_frames_have_a_larger_ridge(monkeypatch):
  generator = np.random.default_rng(0)
  arguments = (
    generator.integers(0, 256, (1, 60, 32, 32, 3)).astype(np.uint8),
    np.tile(np.arange(60, dtype=np.int32), (1, 1)),
    generator.normal(size=(1, 60)).astype(np.float32),
    np.ones((1, 60), np.float32),
  )
  baseline = baselines.LinearFeatureBaseline()
  values = []
  for has_float64 in (True, False):
    monkeypatch.setattr(devices, 'has_float64', lambda h=has_float64: h)
    compiled = tf.function(baseline.fit_predict, jit_compile=not has_float64)
    values.append(compiled(*map(tf.constant, arguments)))
  # Both nearly repeat the returns: there are 6,148 features for 60 frames.
  error = np.abs(values[0] - values[1]).max()
  # Seen: 0.004.
  assert error < 0.02
