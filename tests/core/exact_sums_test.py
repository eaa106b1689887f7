"""Sums without float64, as on a TPU, equal those in float64 to the last bit."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.core import devices
from maml_tf.core import exact_sums


@pytest.fixture(name='on_tpu')
def take_float64_away(monkeypatch):
  monkeypatch.setattr(devices, 'has_float64', lambda: False)


def _numbers(*shape):
  # 1e4 hides the digits of the rest: a plain float32 sum loses four of them.
  random = np.random.default_rng(0).normal(size=shape)
  return (1e4 + random).astype(np.float32)


@pytest.mark.parametrize('compiled', [False, True])
@pytest.mark.parametrize('size', [1, 2, 3, 40, 1001])
def test_a_mean_is_rounded_once(size, compiled, on_tpu):
  numbers = _numbers(size, 3)
  mean = tf.function(exact_sums.mean, jit_compile=compiled)(numbers)
  assert mean.dtype == tf.float32
  exact = numbers.astype(np.float64).mean(axis=0)
  # Two roundings: that of the sum, and that of the quotient.
  np.testing.assert_allclose(mean, exact, rtol=2**-23)


def test_cancelling_numbers_keep_their_sum(on_tpu):
  # A plain sum gives 0: 1e8 + 1 is 1e8 in float32.
  numbers = tf.constant([1e8, 1.0, -1e8, 1.0])
  np.testing.assert_array_equal(exact_sums.total(numbers), 2.0)


@pytest.mark.parametrize('compiled', [False, True])
def test_a_total_over_frames(compiled, on_tpu):
  numbers = _numbers(7, 300, 2)
  total = tf.function(
    lambda t: exact_sums.total(t, num_axes=2), jit_compile=compiled
  )(numbers)
  exact = numbers.astype(np.float64).sum(axis=(0, 1))
  np.testing.assert_allclose(total, exact, rtol=2**-23)


def test_a_number_that_is_not_finite_stays_so(on_tpu):
  for bad in (np.nan, np.inf):
    assert not np.isfinite(exact_sums.mean(tf.constant([1.0, bad, 2.0])))


def test_with_float64_sums_are_float64():
  numbers = _numbers(40)
  assert exact_sums.mean(numbers).dtype == tf.float64
  np.testing.assert_array_equal(
    exact_sums.total(numbers), tf.reduce_sum(tf.cast(numbers, tf.float64))
  )
