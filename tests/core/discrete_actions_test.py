"""Integers between any bounds: exact values, and finite derivatives."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.distributions import shifted_categorical

from maml_tf.core import action_distributions
from maml_tf.core import discrete_actions

# Two dimensions: 5, 6, 7 and -1, ..., 3.
MINIMUM, MAXIMUM = np.array([5, -1]), np.array([7, 3])
NUM_CHOICES = (3, 5)
ACTIONS = [[a, b] for a in (5, 6, 7) for b in (-1, 0, 1, 2, 3)]


def _logits(seed=0, num=1):
  """Logits [N, 2, 5]. Those of choices that do not exist are the largest."""
  logits = np.random.default_rng(seed).normal(size=(num, 2, 5))
  logits[:, 0, 3:] = 50
  return logits


def _create(logits, dtype=tf.int32):
  return discrete_actions.BoundedCategorical(
    tf.convert_to_tensor(logits), MINIMUM, MAXIMUM, dtype
  )


def _probabilities(logits):
  """The probability [15] of each of `ACTIONS`, for logits [2, 5]."""
  rows = []
  for row, number in zip(logits, NUM_CHOICES):
    weights = np.exp(row[:number])
    rows.append(weights / weights.sum())
  return np.outer(*rows).ravel()


def test_log_probabilities_are_those_of_the_enumeration():
  logits = _logits()
  for dtype in (tf.int32, tf.int64):
    distribution = _create(np.tile(logits, [15, 1, 1]), dtype)
    log_prob = action_distributions.log_prob(distribution, np.array(ACTIONS))
    np.testing.assert_allclose(
      np.exp(log_prob), _probabilities(logits[0]), rtol=1e-12
    )


def test_entropy_and_divergence_are_those_of_the_enumeration():
  p_logits, q_logits = _logits(0), _logits(1)
  p, q = _probabilities(p_logits[0]), _probabilities(q_logits[0])
  p_distribution, q_distribution = _create(p_logits), _create(q_logits)
  np.testing.assert_allclose(
    action_distributions.entropy(p_distribution),
    [-np.sum(p * np.log(p))],
    rtol=1e-12,
  )
  np.testing.assert_allclose(
    action_distributions.kl_divergence(p_distribution, q_distribution),
    [np.sum(p * np.log(p / q))],
    rtol=1e-12,
  )
  np.testing.assert_array_equal(
    action_distributions.kl_divergence(p_distribution, p_distribution), [0]
  )


def _flat_logits():
  """The eight logits that have a meaning."""
  logits = _logits()[0]
  return np.concatenate([logits[0, :3], logits[1]])


def _padded(flat):
  """The distribution [1, 2] with these eight logits."""
  first = tf.concat([flat[:3], tf.fill([2], tf.constant(7.0, flat.dtype))], 0)
  return _create(tf.stack([first, flat[3:]])[tf.newaxis])


def _log_prob(distribution):
  return action_distributions.log_prob(distribution, np.array([[6, 3]]))[0]


def _entropy(distribution):
  return action_distributions.entropy(distribution)[0]


def _divergence(distribution):
  other = _create(_logits(1))
  return action_distributions.kl_divergence(other, distribution)[0]


@pytest.mark.parametrize('function', [_log_prob, _entropy, _divergence])
def test_derivatives_are_finite_differences(function):
  @tf.function
  def derivatives(flat):
    with tf.GradientTape() as outer:
      outer.watch(flat)
      with tf.GradientTape() as inner:
        inner.watch(flat)
        value = function(_padded(flat))
      gradient = inner.gradient(value, flat)
    return value, gradient, outer.jacobian(gradient, flat)

  flat, step = _flat_logits(), 1e-4
  _, gradient, hessian = derivatives(flat)
  above, below = (
    [derivatives(flat + shift) for shift in sign * step * np.eye(8)]
    for sign in (1, -1)
  )
  for number, derivative in enumerate((gradient, hessian)):
    differences = [
      (a[number] - b[number]) / (2 * step) for a, b in zip(above, below)
    ]
    np.testing.assert_allclose(derivative, differences, atol=1e-7)


def test_gradient_of_the_log_probability_in_closed_form():
  flat = tf.constant(_flat_logits())
  with tf.GradientTape() as tape:
    tape.watch(flat)
    result = _log_prob(_padded(flat))
  probabilities = _probabilities(_logits()[0]).reshape(3, 5)
  # One-hot minus probabilities, a dimension each; the action is (6, 3).
  expected = np.concatenate(
    [
      [0, 1, 0] - probabilities.sum(1),
      [0, 0, 0, 0, 1] - probabilities.sum(0),
    ]
  )
  np.testing.assert_allclose(tape.gradient(result, flat), expected, atol=1e-12)


def test_impossible_choices_are_never_played():
  distribution = _create(_logits(num=4))
  family = action_distributions.ActionDistributions(_create(_logits()))
  assert family.noise_specs == (('gumbel', (2, 5)),)
  noise = family.draw_noise(np.random.default_rng(0), (4, 500))
  for draw in np.moveaxis(noise[0], 1, 0):
    action = family.sample(distribution, (draw,)).numpy()
    assert (action >= MINIMUM).all() and (action <= MAXIMUM).all()
  assert (distribution.mode() <= MAXIMUM).numpy().all()


def test_all_values_are_played_as_often_as_they_are_probable():
  number = 20000
  logits = _logits()
  distribution = _create(np.tile(logits, [number, 1, 1]))
  family = action_distributions.ActionDistributions(_create(logits))
  noise = family.draw_noise(np.random.default_rng(0), (number,))
  for sample in (
    family.sample(distribution, noise),
    _create(logits).sample(number, seed=1)[:, 0],
  ):
    actions = sample.numpy().tolist()
    frequencies = [actions.count(action) / number for action in ACTIONS]
    # A standard deviation is at most sqrt(0.25 / 20000) = 0.0035.
    np.testing.assert_allclose(
      frequencies, _probabilities(logits[0]), atol=0.015
    )


def test_the_mode_is_the_value_of_the_largest_logit():
  logits = np.array([[[0.0, 2, 1, 50, 50], [0, 1, 2, 3, 9]]])
  np.testing.assert_array_equal(_create(logits).mode(), [[6, 3]])


@pytest.mark.parametrize('dtype', [tf.uint8, tf.int8, tf.int32, tf.int64])
def test_values_have_the_type(dtype):
  # 256 or 2 choices: the largest is the type's own.
  first = dtype.max - 255 if dtype == tf.uint8 else dtype.max - 1
  count = dtype.max - first + 1
  distribution = discrete_actions.BoundedCategorical(
    tf.one_hot([0, count - 1], count),
    np.array(first),
    np.array(dtype.max),
    dtype,
  )
  mode = distribution.mode()
  assert mode.dtype == dtype
  np.testing.assert_array_equal(mode, [first, dtype.max])
  assert distribution.sample(3).dtype == dtype
  # log(e / (e + count - 1)).
  np.testing.assert_allclose(
    distribution.log_prob(mode),
    [1 - np.log(np.e + count - 1)] * 2,
    rtol=1e-5,
  )


def test_values_outside_the_bounds_count_as_the_nearest():
  distribution = _create(np.tile(_logits(), [2, 1, 1]))
  # 0 is below the first dimension's bounds, 100 above both.
  outside = np.array([[0, 0], [100, 100]])
  inside = np.array([[5, 0], [7, 3]])
  np.testing.assert_array_equal(
    distribution.log_prob(outside), distribution.log_prob(inside)
  )


def test_cumulative_probabilities():
  logits = _logits()
  marginal = _probabilities(logits[0]).reshape(3, 5).sum(1)
  distribution = _create(np.tile(logits, [3, 1, 1]))
  values = np.array([[4, 3], [6, 3], [7, 3]])
  np.testing.assert_allclose(
    distribution.cdf(values)[:, 0], [0, marginal[:2].sum(), 1], rtol=1e-6
  )


def test_a_function_takes_and_returns_it():
  distribution = _create(_logits())
  action = np.array([[6, 0]])
  returned = tf.function(_create)(_logits())
  for given in (distribution, returned):
    np.testing.assert_array_equal(
      tf.function(lambda d: d.log_prob(action))(given),
      distribution.log_prob(action),
    )


def _shifted(logits):
  return shifted_categorical.ShiftedCategorical(
    logits=tf.constant(logits), shift=5
  )


def test_shifted_categoricals_of_tf_agents():
  """Checks a custom network's distribution, which shifts its own samples."""
  logits = np.float32([[0, 1, 2], [0, 1, 2]])
  family = action_distributions.ActionDistributions(_shifted(logits[:1]))
  # Sums 1.5, 1, 2 and 3, 1, 2.5.
  noise = np.array([[1.5, 0, 0], [3, 0, 0.5]], np.float32)
  np.testing.assert_array_equal(
    family.sample(_shifted(logits), (noise,)), [7, 5]
  )
  rebuilt = family.from_tensors(family.to_tensors(_shifted(logits)))
  log_softmax = logits[0] - np.log(np.exp(logits[0]).sum())
  # Boundaries hold zeros, which must not make NaN.
  np.testing.assert_allclose(
    action_distributions.log_prob(rebuilt, np.array([7, 0], np.int32)),
    [log_softmax[2], log_softmax[0]],
    rtol=1e-6,
  )


def test_other_categoricals_are_sampled_as_before():
  distribution = tfp.distributions.Categorical(logits=np.float32([[0, 1, 2]]))
  sample = discrete_actions.sample(distribution, np.float32([[9, 0, 0]]))
  np.testing.assert_array_equal(sample, [0])
  assert sample.dtype == tf.int32
