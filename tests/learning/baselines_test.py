"""Linear regression on more features than frames: the dual's values, memory."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.core import memory
from maml_tf.learning import baselines

NUM_FRAMES = 60
RIDGE = 1e-3


def _pictures(num_frames=NUM_FRAMES, side=16):
  """Two tasks' pictures, positions, returns and a mask."""
  rng = np.random.default_rng(0)
  shape = (2, num_frames)
  return (
    rng.integers(0, 256, (*shape, side, side, 3)).astype(np.uint8),
    np.tile(np.arange(num_frames, dtype=np.int32), (2, 1)),
    rng.normal(size=shape),
    (rng.uniform(size=shape) < 0.8).astype(np.float64),
  )


def _primal(observation, position, returns, mask):
  """Solves one task's normal equations, features [T, F]."""
  clipped = np.clip(observation, -10, 10)
  time = position[:, np.newaxis] / 100
  features = np.concatenate(
    [clipped, clipped**2, time, time**2, time**3, np.ones_like(time)], 1
  )
  valid = features[mask > 0]
  penalty = RIDGE * np.sum(valid**2) / features.shape[1]
  coefficients = np.linalg.solve(
    valid.T @ valid + penalty * np.eye(features.shape[1]),
    valid.T @ returns[mask > 0],
  )
  return features @ coefficients


@pytest.mark.parametrize('known_length', [True, False])
@pytest.mark.parametrize('scaled', [True, False])
def test_the_dual_has_the_values_of_the_primal(known_length, scaled):
  # 2 * 768 + 4 = 1,540 features.
  pictures, position, returns, mask = _pictures()
  # Integers of another type are no pictures: 255 becomes 10.
  observation = pictures if scaled else pictures.astype(np.int32)
  baseline = baselines.LinearFeatureBaseline(RIDGE)

  @tf.function(
    input_signature=[
      tf.TensorSpec(
        [2, NUM_FRAMES if known_length else None, *t.shape[2:]], t.dtype
      )
      for t in (observation, position, returns, mask)
    ]
  )
  def fit_predict(*arguments):
    return baseline.fit_predict(*arguments)

  values = fit_predict(observation, position, returns, mask)
  for task in (0, 1):
    flat = observation[task].reshape(NUM_FRAMES, -1)
    expected = _primal(
      flat / 255 if scaled else flat, position[task], returns[task], mask[task]
    )
    np.testing.assert_allclose(values[task], expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize('known_length', [True, False])
def test_more_frames_than_features_solve_the_primal(known_length):
  # 2 * 513 + 4 = 1,030 features.
  num_frames = 1100
  rng = np.random.default_rng(0)
  observation = rng.normal(size=(1, num_frames, 513))
  position = np.arange(num_frames, dtype=np.int32)[np.newaxis]
  returns = rng.normal(size=(1, num_frames))
  mask = np.ones((1, num_frames))
  baseline = baselines.LinearFeatureBaseline(RIDGE)
  length = num_frames if known_length else None
  concrete = tf.function(baseline.fit_predict).get_concrete_function(
    *(
      tf.TensorSpec([1, length, *t.shape[2:]], t.dtype)
      for t in (observation, position, returns, mask)
    )
  )
  values = concrete(*map(tf.constant, (observation, position, returns, mask)))
  np.testing.assert_allclose(
    values[0],
    _primal(observation[0], position[0], returns[0], mask[0]),
    rtol=1e-8,
    atol=1e-8,
  )


def test_a_task_without_any_valid_frame_is_predicted_as_zero():
  pictures, position, returns, mask = _pictures()
  values = baselines.LinearFeatureBaseline().fit_predict(
    tf.constant(pictures), tf.constant(position), returns, 0 * mask
  )
  np.testing.assert_array_equal(values, np.zeros_like(mask))


def test_compiled_by_xla():
  arguments = [tf.constant(a) for a in _pictures(num_frames=20)]
  baseline = baselines.LinearFeatureBaseline(RIDGE)
  compiled = tf.function(baseline.fit_predict, jit_compile=True)
  np.testing.assert_allclose(
    compiled(*arguments), baseline.fit_predict(*arguments), rtol=1e-8, atol=1e-8
  )


_MEASURE = """
import resource
import tensorflow as tf
from maml_tf.learning import baselines
pictures = tf.zeros([1, 60, 64, 64, 3], tf.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
baselines.LinearFeatureBaseline().fit_predict(
  pictures, tf.range(60)[tf.newaxis], tf.ones([1, 60]), tf.ones([1, 60]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_square_of_the_pixels():
  process = subprocess.run(
    [sys.executable, '-c', _MEASURE], capture_output=True, text=True, check=True
  )
  # KiB. 24,580 features: their normal equations would need 5 GB.
  assert int(process.stdout.split()[-1]) < 300_000


def test_too_many_equations_are_refused_before_they_are_made(monkeypatch):
  # Two matrices of 32,769^2 numbers take 17.2 GB.
  monkeypatch.setattr(memory, 'total_bytes', lambda: 17e9)
  num_frames = 2**15 + 1
  frames = tf.zeros([1, num_frames])

  @tf.function
  def fit_predict():
    return baselines.LinearFeatureBaseline().fit_predict(
      tf.zeros([1, num_frames, 2**15], tf.uint8),
      tf.zeros([1, num_frames], tf.int32),
      frames,
      frames,
    )

  with pytest.raises(ValueError, match='65540 features and 32769 frames'):
    fit_predict.get_concrete_function()
