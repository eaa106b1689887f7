"""Scans whose length is known only when they run."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.core import lite_operations
from maml_tf.learning import scans

# Around the powers of two, where the doubling changes.
LENGTHS = (1, 2, 3, 4, 5, 7, 8, 9, 100)


def _inputs(length, num_tasks=2):
  rng = np.random.default_rng(length)
  terms = rng.normal(size=(num_tasks, length)).astype(np.float32)
  decays = rng.uniform(size=terms.shape).astype(np.float32)
  return terms, decays * (rng.uniform(size=terms.shape) < 0.8)


def _loop(terms, decays):
  sums = np.zeros_like(terms)
  for t in range(terms.shape[-1]):
    sums[..., t] = terms[..., t]
    if t:
      sums[..., t] += decays[..., t] * sums[..., t - 1]
  return sums


def _unknown_length(fn):
  return tf.function(
    fn, input_signature=[tf.TensorSpec([None, None])] * 2, autograph=False
  )


def _slopes(terms, decays):
  """Derivatives of the sum of squares by the terms."""
  with tf.GradientTape() as tape:
    tape.watch(terms)
    loss = tf.reduce_sum(scans.decayed_sums(terms, decays) ** 2)
  return tape.gradient(loss, terms)


def _slopes_by_hand(terms, decays):
  # dL/dterms_t = 2 y_t + decays_{t+1} dL/dterms_{t+1}.
  upstream = 2 * _loop(terms, decays)
  shifted = np.concatenate(
    [decays[..., 1:], np.zeros_like(decays[..., :1])], -1
  )
  return _loop(upstream[..., ::-1], shifted[..., ::-1])[..., ::-1]


@pytest.mark.parametrize('length', LENGTHS)
@pytest.mark.parametrize('is_known', [True, False])
def test_decayed_sums_equal_a_loop(length, is_known):
  terms, decays = _inputs(length)
  fn = scans.decayed_sums if is_known else _SUMS
  np.testing.assert_allclose(
    fn(tf.constant(terms), tf.constant(decays)),
    _loop(terms, decays),
    rtol=1e-5,
    atol=1e-6,
  )


@pytest.mark.parametrize('length', LENGTHS)
def test_decayed_sums_in_operations_of_tflite(length):
  terms, decays = _inputs(length)
  with lite_operations.required():
    sums = scans.decayed_sums(tf.constant(terms), tf.constant(decays))
    slopes = _slopes(tf.constant(terms), tf.constant(decays))
  expected = _loop(terms, decays)
  np.testing.assert_allclose(sums, expected, rtol=1e-5, atol=1e-6)
  expected = _slopes_by_hand(terms, decays)
  np.testing.assert_allclose(slopes, expected, rtol=1e-4, atol=1e-5)


_SUMS = _unknown_length(scans.decayed_sums)
_TASK_SLOPES = _unknown_length(
  lambda terms, decays: tf.vectorized_map(
    lambda task: _slopes(*task), (terms, decays), fallback_to_while_loop=False
  )
)


@pytest.mark.parametrize('length', (1, 2, 5, 9))
def test_derivatives_of_an_unknown_length_task_by_task(length):
  terms, decays = _inputs(length)
  np.testing.assert_allclose(
    _TASK_SLOPES(terms, decays),
    _slopes_by_hand(terms, decays),
    rtol=1e-4,
    atol=1e-5,
  )


def test_any_associative_function():
  values = np.random.default_rng(0).integers(100, size=(3, 11))
  expected = np.maximum.accumulate(values, axis=1)
  unknown = tf.function(
    lambda v: scans.scan(tf.maximum, v),
    input_signature=[tf.TensorSpec([None, None], tf.int64)],
  )
  np.testing.assert_array_equal(unknown(values), expected)
  np.testing.assert_array_equal(
    scans.scan(tf.maximum, tf.constant(values)), expected
  )
