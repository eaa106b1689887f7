"""Running statistics agree with those of all frames at once."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.core import devices
from maml_tf.core import observation_normalizer

SPEC = {
  'speed': tf.TensorSpec((3,), tf.float32),
  'camera': tf.TensorSpec((2, 2), tf.uint8),
  'height': tf.TensorSpec((), tf.float64),
}


@pytest.fixture(name='has_float64', params=[True, False], autouse=True)
def choose_device(request, monkeypatch):
  """Computes as on a CPU, and as on a TPU."""
  monkeypatch.setattr(devices, 'has_float64', lambda: request.param)
  return request.param


def _observations(seed, num_frames):
  """Returns observations [2, T, ...] of several scales, and a mask [2, T]."""
  generator = np.random.default_rng(seed)
  shape = (2, num_frames)
  observation = {
    'speed': generator.normal([5, -200, 0], [2, 30, 1e-3], (*shape, 3)),
    'camera': generator.integers(0, 255, (*shape, 2, 2)),
    'height': generator.normal(1, 0.1, shape),
  }
  mask = generator.integers(0, 2, shape).astype(np.float32)
  # Masked frames must not be read.
  observation['speed'][mask == 0] = np.nan
  return (
    {
      name: tf.constant(value, SPEC[name].dtype)
      for name, value in observation.items()
    },
    tf.constant(mask),
  )


def _all_frames(recorded, name):
  return np.concatenate([o[name].numpy()[m.numpy() > 0] for o, m in recorded])


def test_starts_as_the_identity():
  normalizer = observation_normalizer.ObservationNormalizer(SPEC['speed'])
  np.testing.assert_allclose(
    normalizer.normalize(tf.constant([[1.0, -2.0, 0.0]])),
    [[1.0, -2.0, 0.0]],
    rtol=1e-6,
  )


@pytest.mark.parametrize('compiled', [False, True])
def test_statistics_are_those_of_all_unmasked_frames(compiled):
  normalizer = observation_normalizer.ObservationNormalizer(SPEC)
  recorded = [_observations(seed, 7 * (seed + 1)) for seed in range(4)]
  for observation, mask in recorded:
    update = normalizer.update
    if compiled:
      update = tf.function(update, jit_compile=True)
    update(observation, mask)
  statistics = normalizer.statistics()
  for name, (mean, variance) in zip(['height', 'speed'], statistics):
    frames = _all_frames(recorded, name)
    np.testing.assert_allclose(mean, frames.mean(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(variance, frames.var(0), rtol=1e-3, atol=1e-6)


def test_normalizes_floats_and_not_integers():
  normalizer = observation_normalizer.ObservationNormalizer(SPEC)
  recorded = [_observations(0, 1000)]
  normalizer.update(*recorded[0])
  observation = recorded[0][0]
  normalized = normalizer.normalize(observation)
  assert {n: t.dtype for n, t in normalized.items()} == {
    n: s.dtype for n, s in SPEC.items()
  }
  np.testing.assert_array_equal(normalized['camera'], observation['camera'])
  speed = _all_frames([(normalized, recorded[0][1])], 'speed')
  np.testing.assert_allclose(speed.mean(0), 0, atol=2e-2)
  # The third variance is as small as the epsilon under the root.
  np.testing.assert_allclose(speed.std(0), [1, 1, 2**-0.5], rtol=2e-2)


def test_distant_observations_are_clipped():
  normalizer = observation_normalizer.ObservationNormalizer(SPEC['speed'])
  np.testing.assert_array_equal(
    normalizer.normalize(tf.constant([1e6, -1e6, 10.5])), [10, -10, 10]
  )


def test_masked_frames_change_nothing():
  normalizer = observation_normalizer.ObservationNormalizer(SPEC['speed'])
  normalizer.update(tf.fill([2, 3, 3], np.nan), tf.zeros([2, 3]))
  (statistics,) = normalizer.statistics()
  np.testing.assert_array_equal(statistics, [[0, 0, 0], [1, 1, 1]])


def test_observations_of_integers_alone_are_left_as_they_are():
  spec = (tf.TensorSpec((2, 2, 3), tf.uint8), tf.TensorSpec((), tf.int64))
  normalizer = observation_normalizer.ObservationNormalizer(spec)
  observation = tf.nest.map_structure(
    lambda s: tf.ones([2, 3, *s.shape], s.dtype), spec
  )
  normalizer.update(observation, tf.ones([2, 3]))
  statistics = normalizer.statistics()
  assert statistics == ()
  for normalized in (
    normalizer.normalize(observation),
    normalizer.normalize(observation, statistics),
  ):
    for given, part in zip(observation, normalized, strict=True):
      np.testing.assert_array_equal(given, part)


@pytest.mark.parametrize('number', [1 / 3, -1000 / 3, 1e6 / 3, 1e20])
def test_constant_parts_become_zero(number):
  # From the first update on, which moves the mean to the number.
  normalizer = observation_normalizer.ObservationNormalizer(SPEC['speed'])
  observation = tf.fill([2, 1001, *SPEC['speed'].shape], np.float32(number))
  for _ in range(3):
    normalizer.update(observation, tf.ones([2, 1001]))
    np.testing.assert_array_equal(normalizer.normalize(observation), 0)
