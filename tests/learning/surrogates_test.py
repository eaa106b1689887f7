"""Surrogates by hand, and the derivatives that adaptation relies on."""

import functools

import numpy as np
import tensorflow as tf

from maml_tf.core import meta_batch
from maml_tf.learning import surrogates

RATIO = np.float32([1.5, 0.5, 1.5, 0.5, 1.1, 40])
ADVANTAGE = np.float32([2, 2, -2, -2, 3, 1000])
MASK = np.float32([1, 1, 1, 1, 1, 0])
BEHAVIOUR_LOG_PROB = np.float32([-1, -2, -3, -0.5, 0.5, 0])


def _log_prob():
  return tf.constant(BEHAVIOUR_LOG_PROB + np.log(RATIO))


def _stage(behaviour_log_prob, advantage, mask, step_type=None):
  """A stage with the fields that surrogates read."""
  nothing = dict.fromkeys(meta_batch.Stage._fields)
  if step_type is None:
    step_type = tf.ones(len(mask), tf.int32)
  return meta_batch.Stage(**nothing)._replace(
    behaviour_log_prob=behaviour_log_prob,
    advantage=advantage,
    mask=mask,
    step_type=step_type,
  )


STAGE = _stage(BEHAVIOUR_LOG_PROB, ADVANTAGE, MASK)


def test_masked_mean():
  # (1 + 2) / 2, for any masked value.
  mean = surrogates.masked_mean(
    tf.constant([1.0, 100, 2, np.inf, np.nan]), tf.constant([1.0, 0, 1, 0, 0])
  )
  np.testing.assert_array_equal(mean, 1.5)
  nothing = surrogates.masked_mean(tf.constant([7.0, 9]), tf.zeros(2))
  np.testing.assert_array_equal(nothing, 0)


def test_likelihood_ratio():
  # (1.5 * 2 + 0.5 * 2 - 1.5 * 2 - 0.5 * 2 + 1.1 * 3) / 5
  np.testing.assert_allclose(
    surrogates.likelihood_ratio(_log_prob(), STAGE), 0.66, rtol=1e-5
  )


def test_clipped_likelihood_ratio():
  # Clipped to 1.2: 2.4; the lower bound does not clip a gain: 1;
  # the upper bound does not clip a loss: -3; clipped to 0.8: -1.6; inside: 3.3.
  # Together 2.1.
  np.testing.assert_allclose(
    surrogates.clipped_likelihood_ratio(_log_prob(), STAGE, 0.2),
    0.42,
    rtol=1e-5,
  )
  # Nothing is clipped.
  np.testing.assert_allclose(
    surrogates.clipped_likelihood_ratio(_log_prob(), STAGE, 0.6),
    0.66,
    rtol=1e-5,
  )


def test_gradients():
  log_prob = _log_prob()
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(log_prob)
    plain = surrogates.likelihood_ratio(log_prob, STAGE)
    clipped = surrogates.clipped_likelihood_ratio(log_prob, STAGE, 0.2)
  # d ratio / d log_prob = ratio: ratio * A / 5.
  np.testing.assert_allclose(
    tape.gradient(plain, log_prob),
    np.array([3, 1, -3, -1, 3.3, 0]) / 5,
    rtol=1e-5,
  )
  # Clipped frames have no gradient.
  np.testing.assert_allclose(
    tape.gradient(clipped, log_prob),
    np.array([0, 1, -3, 0, 3.3, 0]) / 5,
    rtol=1e-5,
  )


def test_masked_frames_cannot_overflow():
  # exp(1000) overflows, and these log-probabilities are not finite.
  log_prob = tf.constant([0.0, 1000, np.inf, 0, np.nan])
  behaviour_log_prob = tf.constant([0.0, 0, 0, -np.inf, 0])
  advantage = tf.constant([2.0, 0, 0, 0, 0])
  mask = tf.constant([1.0, 0, 0, 0, 0])
  for surrogate in (
    surrogates.likelihood_ratio,
    functools.partial(surrogates.clipped_likelihood_ratio, clip_ratio=0.2),
  ):
    with tf.GradientTape() as outer:
      outer.watch(log_prob)
      with tf.GradientTape() as inner:
        inner.watch(log_prob)
        value = surrogate(log_prob, _stage(behaviour_log_prob, advantage, mask))
      gradient = inner.gradient(value, log_prob)
    np.testing.assert_allclose(value, 2, rtol=1e-6)
    np.testing.assert_allclose(gradient, [2, 0, 0, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(
      outer.gradient(gradient, log_prob), [2, 0, 0, 0, 0], rtol=1e-6
    )


def test_a_policy_far_from_its_data_is_finite():
  log_prob = tf.constant([1000.0, -1000.0])
  for surrogate in (
    surrogates.likelihood_ratio,
    functools.partial(surrogates.clipped_likelihood_ratio, clip_ratio=0.2),
  ):
    for advantage in (tf.constant([1.0, 1.0]), tf.constant([0.0, -1.0])):
      with tf.GradientTape() as tape:
        tape.watch(log_prob)
        value = surrogate(log_prob, _stage(tf.zeros(2), advantage, tf.ones(2)))
      assert np.isfinite(value)
      assert np.isfinite(tape.gradient(value, log_prob)).all()


def test_gradient_on_policy_is_the_policy_gradient():
  log_prob = tf.constant(BEHAVIOUR_LOG_PROB)
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(log_prob)
    plain = surrogates.likelihood_ratio(log_prob, STAGE)
    clipped = surrogates.clipped_likelihood_ratio(log_prob, STAGE, 0.2)
  # grad log pi * A: at ratio 1 nothing is clipped.
  for surrogate in (plain, clipped):
    np.testing.assert_allclose(
      tape.gradient(surrogate, log_prob), ADVANTAGE * MASK / 5, rtol=1e-6
    )
    # The surrogate itself is the mean advantage, 3 / 5.
    np.testing.assert_allclose(surrogate, 0.6, rtol=1e-6)


def test_second_derivative_keeps_the_hessian_term():
  # pi_theta(a) ~ b(a) exp(theta f(a)), so at theta = 0 the policy is b = (1/2,
  # 1/4, 1/4), and the four frames (0, 0, 1, 2) are its exact expectation.
  actions = [0, 0, 1, 2]
  b = np.array([0.5, 0.25, 0.25])
  f = np.array([0.0, 1.0, 3.0])
  advantage = np.array([1.0, -2.0, 4.0])
  # J = E[A] and f - E f = d log pi / d theta: J'' = E[A ((f - E f)^2 - Var f)].
  # With E f = 1, f - E f = (-1, 0, 2), Var f = 1.5 and E A = 1 that is
  # 0.5 * 1 * 1 + 0.25 * -2 * 0 + 0.25 * 4 * 4 - 1 * 1.5.
  exact = 3.0

  def log_prob(theta):
    logits = tf.constant(np.log(b)) + theta * f
    return tf.gather(tf.nn.log_softmax(logits), actions)

  def derivatives(surrogate):
    theta = tf.constant(0.0, tf.float64)
    with tf.GradientTape() as outer:
      outer.watch(theta)
      with tf.GradientTape() as inner:
        inner.watch(theta)
        value = surrogate(
          log_prob(theta),
          _stage(
            tf.constant(np.log(b)[actions]),
            tf.constant(advantage[actions]),
            tf.ones(4, tf.float64),
            # Each action is an episode.
            tf.zeros(4, tf.int32),
          ),
        )
      first = inner.gradient(value, theta)
    return first.numpy(), outer.gradient(first, theta).numpy()

  first, second = derivatives(surrogates.likelihood_ratio)
  # J' = E[A (f - E f)] = 0.5 * 1 * -1 + 0.25 * 4 * 2 = 1.5.
  np.testing.assert_allclose(first, 1.5, rtol=1e-12)
  np.testing.assert_allclose(second, exact, rtol=1e-12)
  np.testing.assert_allclose(derivatives(surrogates.dice), [1.5, exact])
  # log pi * A has the same gradient but only - E[A] Var f of the curvature.
  first, second = derivatives(surrogates.log_likelihood)
  np.testing.assert_allclose(first, 1.5, rtol=1e-12)
  np.testing.assert_allclose(second, -1.5, rtol=1e-12)


def _hessian(surrogate, logits_fn, weights):
  """A surrogate's Hessian [P, P] in a bandit of 4 contexts and 3 arms.

  The frames are all pairs of both, weighted by their probability. Advantages
  are rewards minus their mean in the context.
  """
  rng = np.random.default_rng(0)
  reward = rng.normal(size=(4, 3))
  log_prob = tf.nn.log_softmax(logits_fn(weights)).numpy()
  probability = rng.dirichlet(np.ones(4))[:, np.newaxis] * np.exp(log_prob)
  value = (reward * np.exp(log_prob)).sum(1, keepdims=True)
  stage = _stage(
    *(tf.constant(x.ravel()) for x in (log_prob, reward - value, probability))
  )
  with tf.GradientTape(persistent=True) as outer:
    outer.watch(weights)
    with tf.GradientTape() as inner:
      inner.watch(weights)
      log_probs = tf.reshape(tf.nn.log_softmax(logits_fn(weights)), [-1])
      surrogate_value = surrogate(log_probs, stage)
    gradient = tf.unstack(inner.gradient(surrogate_value, weights))
  return np.stack([outer.gradient(g, weights) for g in gradient])


def test_what_log_likelihood_keeps_of_the_hessian():
  # In a single step the likelihood ratio's Hessian is exact. That of log pi is
  # the same for all arms of a softmax table, so that its mean with a perfect
  # baseline is 0. A network curves the logits apart.
  def network(w):
    hidden = tf.tanh(tf.reshape(w[:20], [4, 5]) + w[20:25])
    return hidden @ tf.reshape(w[25:40], [5, 3]) + w[40:]

  def table(w):
    return tf.reshape(w, [4, 3])

  kept = {}
  for logits_fn, size in ((table, 12), (network, 43)):
    weights = tf.constant(0.7 * np.random.default_rng(1).normal(size=size))
    exact, kept_part = (
      _hessian(surrogate, logits_fn, weights)
      for surrogate in (surrogates.likelihood_ratio, surrogates.log_likelihood)
    )
    kept[logits_fn] = np.linalg.norm(kept_part) / np.linalg.norm(exact)
  assert kept[table] < 1e-12
  assert 0.3 < kept[network] < 1
