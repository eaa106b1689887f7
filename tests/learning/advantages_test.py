"""Advantages of hand-made episodes, and the baseline against plain algebra."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from maml_tf.learning import advantages
from maml_tf.learning import baselines

FIRST, MID, LAST = (
  int(step_type)
  for step_type in (ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST)
)
GAMMA = 0.5

# Two tasks of T = 7 frames.
#
# Task 0: an episode of three steps that terminates, its final observation, an
# episode of one step that is truncated, its final observation, padding.
# Task 1: one episode of five steps that is truncated, two boundaries.
STEP_TYPE = [
  [FIRST, MID, MID, LAST, FIRST, LAST, LAST],
  [FIRST, MID, MID, MID, MID, LAST, LAST],
]
NEXT_STEP_TYPE = [
  [MID, MID, LAST, LAST, LAST, LAST, LAST],
  [MID, MID, MID, MID, LAST, LAST, LAST],
]
MASK = np.float32([[1, 1, 1, 0, 1, 0, 0], [1, 1, 1, 1, 1, 0, 0]])
# The contents of boundaries must not count.
REWARD = np.float32([[1, 2, 4, 900, 8, 900, 900], [1, 1, 1, 1, 1, 900, 900]])
DISCOUNT = np.float32([[1, 1, 0, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1]])
# Of the values on boundaries only that of a truncated episode's final
# observation counts: 6 in task 0, 8 in task 1.
VALUES = np.float32([[1, 2, 3, 700, 5, 6, 700], [0, 0, 0, 0, 0, 8, 700]])


def _experience(observation=None, **columns):
  """The frames above, or others, as a `Trajectory` [B, T]."""
  values = {
    'step_type': STEP_TYPE,
    'next_step_type': NEXT_STEP_TYPE,
    'reward': REWARD,
    'discount': DISCOUNT,
  }
  values.update(columns)
  shape = np.shape(values['reward'])
  if observation is None:
    observation = np.zeros((*shape, 2), np.float32)
  return trajectory.Trajectory(
    step_type=tf.constant(values['step_type'], tf.int32),
    observation=tf.nest.map_structure(tf.constant, observation),
    action=tf.zeros([*shape, 1]),
    policy_info=(),
    next_step_type=tf.constant(values['next_step_type'], tf.int32),
    reward=tf.constant(values['reward']),
    discount=tf.constant(values['discount']),
  )


def _generalized(gae_lambda, reward=REWARD, values=VALUES):
  return advantages.generalized_advantages(
    tf.constant(reward),
    GAMMA * tf.constant(DISCOUNT),
    tf.constant(NEXT_STEP_TYPE),
    tf.constant(values),
    tf.constant(MASK),
    gae_lambda,
  ).numpy()


def _returns(reward=REWARD):
  return advantages.discounted_returns(
    tf.constant(reward),
    GAMMA * tf.constant(DISCOUNT),
    tf.constant(NEXT_STEP_TYPE),
    tf.constant(MASK),
  ).numpy()


def test_discounted_returns():
  # 4, 2 + 4 / 2, 1 + 4 / 2; 8; 1, 1 + 1 / 2, 1 + 1.5 / 2, ...
  np.testing.assert_array_equal(
    _returns(),
    [[3, 4, 4, 0, 8, 0, 0], [1.9375, 1.875, 1.75, 1.5, 1, 0, 0]],
  )


@pytest.mark.parametrize(
  'gae_lambda, expected',
  [
    # delta = r + next value / 2 - value: 1 + 2/2 - 1, 2 + 3/2 - 2, and 4 - 3 at
    # the termination; 8 + 6/2 - 5 where the episode was cut off.
    (0.0, [[1, 1.5, 1, 0, 6, 0, 0], [1, 1, 1, 1, 5, 0, 0]]),
    # A = delta + next A / 4.
    (
      0.5,
      [
        [1.4375, 1.75, 1, 0, 6, 0, 0],
        [1.34765625, 1.390625, 1.5625, 2.25, 5, 0, 0],
      ],
    ),
    # A = delta + next A / 2: the return minus the value. A truncated episode's
    # return includes the value of its final observation.
    (1.0, [[2, 2, 1, 0, 6, 0, 0], [2.1875, 2.375, 2.75, 3.5, 5, 0, 0]]),
  ],
)
def test_generalized_advantages(gae_lambda, expected):
  np.testing.assert_array_equal(_generalized(gae_lambda), expected)


def test_termination_ignores_the_final_value_and_truncation_uses_it():
  other = VALUES.copy()
  other[0, 3] += 100  # The final observation of the terminated episode.
  other[0, 5] += 100  # Of the one that was cut off.
  change = _generalized(1.0, values=other) - _generalized(1.0)
  np.testing.assert_array_equal(change[0], [0, 0, 0, 0, 50, 0, 0])
  np.testing.assert_array_equal(change[1], np.zeros(7))


def test_no_leak_across_episodes_or_tasks():
  reward, values = REWARD.copy(), VALUES.copy()
  # Change all of task 0's second episode, and the contents of boundaries.
  reward[0, 4:] += 10
  values[0, 4:] += 10
  reward[0, 3] += 10
  values[0, 3] += 10
  reward[1, 5:] += 10
  values[1, 6:] += 10
  for gae_lambda in (0.0, 0.5, 1.0):
    before = _generalized(gae_lambda)
    after = _generalized(gae_lambda, reward, values)
    np.testing.assert_array_equal(after[0, :4], before[0, :4])
    np.testing.assert_array_equal(after[1], before[1])
    # 8 + 10 + (6 + 10) / 2 - (5 + 10)
    np.testing.assert_array_equal(after[0, 4:], [11, 0, 0])
  before, after = _returns(), _returns(reward)
  np.testing.assert_array_equal(after[0, :4], before[0, :4])
  np.testing.assert_array_equal(after[1], before[1])
  np.testing.assert_array_equal(after[0, 4:], [18, 0, 0])


def test_boundaries_that_lead_to_the_next_episode():
  # Stock drivers write LAST/FIRST between episodes.
  next_step_type = np.array(NEXT_STEP_TYPE)
  next_step_type[0, 3] = FIRST
  result = advantages.generalized_advantages(
    tf.constant(REWARD),
    GAMMA * tf.constant(DISCOUNT),
    tf.constant(next_step_type),
    tf.constant(VALUES),
    tf.constant(MASK),
    1.0,
  )
  np.testing.assert_array_equal(result, _generalized(1.0))


def test_frames_that_begin_and_end_within_episodes():
  # The end of a truncated episode, its final observation, the beginning of the
  # next one. Nothing is known beyond the last frame, so nothing is added.
  step_type = tf.constant([[MID, MID, LAST, FIRST, MID]])
  next_step_type = tf.constant([[MID, LAST, FIRST, MID, MID]])
  mask = tf.constant([[1.0, 1, 0, 1, 1]])
  discounts = tf.fill([1, 5], GAMMA)
  rewards = tf.constant([[1.0, 2, 900, 4, 8]])
  values = tf.constant([[1.0, 2, 6, 3, 5]])
  np.testing.assert_array_equal(
    advantages.discounted_returns(rewards, discounts, next_step_type, mask),
    # 1 + 2 / 2, 2, 4 + 8 / 2, 8
    [[2, 2, 0, 8, 8]],
  )
  np.testing.assert_array_equal(
    advantages.generalized_advantages(
      rewards, discounts, next_step_type, values, mask, 1.0
    ),
    # Deltas 1 + 2/2 - 1, 2 + 6/2 - 2, 4 + 5/2 - 3, 8 - 5.
    [[1 + 3 / 2, 3, 0, 3.5 + 3 / 2, 3]],
  )
  np.testing.assert_array_equal(
    advantages.episode_position(step_type), [[0, 1, 2, 0, 1]]
  )


@pytest.mark.parametrize('length', [1, 2, 3, 8, 9])
def test_sums_of_any_length(length):
  # The sums are computed in pairs of pairs: all lengths must come out right.
  next_step_type = np.full((1, length), MID)
  next_step_type[0, -1] = LAST
  returns = advantages.discounted_returns(
    tf.ones([1, length]),
    tf.fill([1, length], GAMMA),
    tf.constant(next_step_type, tf.int32),
    tf.ones([1, length]),
  )
  # 1 + 1/2 + ... = 2 - 2^(1 - n), n steps before the end.
  n = np.arange(length, 0, -1)
  np.testing.assert_allclose(returns, [2 - 2.0 ** (1 - n)], rtol=1e-6)


def test_episode_position():
  np.testing.assert_array_equal(
    advantages.episode_position(tf.constant(STEP_TYPE)),
    [[0, 1, 2, 3, 0, 1, 2], [0, 1, 2, 3, 4, 5, 6]],
  )


def test_standardize_is_masked():
  values = tf.constant([[1.0, 2, 3, 500], [0, 4, -700, -700]])
  mask = tf.constant([[1.0, 1, 1, 0], [1, 1, 0, 0]])
  # Mean 2, variance 2/3; mean 2, variance 4.
  extreme = np.sqrt(1.5)
  np.testing.assert_allclose(
    advantages.standardize(values, mask),
    [[-extreme, 0, extreme, 0], [-1, 1, 0, 0]],
    rtol=1e-6,
  )


def test_standardize_without_spread_is_finite():
  result = advantages.standardize(
    tf.constant([[3.0, 3, 3], [1, 2, 3]]), tf.constant([[1.0, 1, 1], [0, 0, 0]])
  )
  np.testing.assert_array_equal(result, np.zeros((2, 3)))


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize('number', [1 / 3, -1 / 3, 1000 / 3, 0.1, 1e12, 0.0])
def test_equal_values_standardize_to_zero(number, dtype):
  # Sums of so many thirds are off by many units in the last place. In the
  # second task a valid frame is one unit off, in the third one is not constant.
  values = np.full((3, 20_000), number, dtype)
  values[1, 7] = np.nextafter(values[1, 7], dtype(np.inf))
  values[2, 7] += dtype(1e-3) * (abs(values[2, 7]) + 1)
  mask = np.ones_like(values)
  mask[:, ::3] = 0
  values[mask == 0] = 77
  result = advantages.standardize(tf.constant(values), tf.constant(mask))
  np.testing.assert_array_equal(result[:2], np.zeros_like(values[:2]))
  # One in n of another value: sqrt(n - 1).
  np.testing.assert_allclose(
    result[2, 7], np.sqrt(mask[2].sum() - 1), rtol=1e-2
  )


def test_differences_of_large_numbers_that_round_are_zero():
  # 1000 - 1000 is exact up to a unit in the last place, 6e-5. Of 0.03 it is
  # not: then the same differences count.
  differences = tf.constant([[6e-5, 0, -6e-5, 6e-5]])
  mask = tf.ones_like(differences)
  for scale, expected in ((1000.0, 0.0), (0.03, 1.0)):
    result = advantages.standardize(
      differences, mask, tf.fill(differences.shape, scale)
    )
    spread = np.max(result) - np.min(result)
    np.testing.assert_allclose(spread > 0.5, expected)


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_standardize_passes_what_is_not_finite_on(bad):
  values = tf.constant([[1.0, 1.0, bad]])
  result = advantages.standardize(values, tf.ones_like(values))
  assert not np.isfinite(result).all()


def test_a_perfect_baseline_leaves_no_advantages():
  # Values are the returns up to their last bits: nothing is left to learn.
  returns = _returns()
  noise = np.random.default_rng(0).integers(-1, 2, returns.shape)
  values = (returns * (1 + noise * np.float32(6e-8))).astype(np.float32)
  result, _ = _estimate(
    _experience(reward=REWARD),
    baselines.GivenValues(tf.constant(values * MASK)),
    GAMMA,
    1.0,
  )
  np.testing.assert_array_equal(result, np.zeros_like(returns))


def _estimate(*args):
  """The advantages and the baseline's error."""
  estimate = advantages.estimate(*args)
  return estimate.advantage, estimate.baseline_error


@pytest.mark.parametrize('boundary', [900, np.nan, np.inf])
def test_estimate_without_a_baseline(boundary):
  result, error = _estimate(
    _experience(reward=np.where(MASK > 0, REWARD, np.float32(boundary))),
    baselines.NoBaseline(),
    GAMMA,
    1.0,
  )
  # Without values the advantages are the returns: 3, 4, 4, 8 of mean 4.75 and
  # variance (1.75^2 + 0.75^2 + 0.75^2 + 3.25^2) / 4.
  spread = np.sqrt((1.75**2 + 2 * 0.75**2 + 3.25**2) / 4)
  np.testing.assert_allclose(
    result[0],
    np.array([-1.75, -0.75, -0.75, 0, 3.25, 0, 0]) / spread,
    rtol=1e-6,
  )
  np.testing.assert_allclose(
    error,
    [
      (3**2 + 4**2 + 4**2 + 8**2) / 4,
      (1.9375**2 + 1.875**2 + 1.75**2 + 1.5**2 + 1) / 5,
    ],
    rtol=1e-6,
  )


class RecordedBaseline:
  """Predicts `VALUES` and records its arguments."""

  def fit_predict(self, observation, position, returns, mask):
    self.arguments = (observation, position, returns, mask)
    return tf.constant(VALUES)


def test_estimate_joins_the_pieces():
  baseline = RecordedBaseline()
  result, error = _estimate(_experience(), baseline, GAMMA, 0.5)
  _, position, returns, mask = baseline.arguments
  np.testing.assert_array_equal(position[0], [0, 1, 2, 3, 0, 1, 2])
  np.testing.assert_array_equal(returns, _returns())
  np.testing.assert_array_equal(mask, MASK)
  np.testing.assert_allclose(
    result,
    advantages.standardize(tf.constant(_generalized(0.5)), tf.constant(MASK)),
    rtol=1e-6,
  )
  # Returns 3, 4, 4, 8 less values 1, 2, 3, 5; returns of task 1 less 0.
  np.testing.assert_allclose(
    error,
    [
      (2**2 + 2**2 + 1 + 3**2) / 4,
      (1.9375**2 + 1.875**2 + 1.75**2 + 1.5**2 + 1) / 5,
    ],
    rtol=1e-6,
  )


def _random_observations(seed=0, length=7, size=2):
  generator = np.random.default_rng(seed)
  return generator.normal(size=(2, length, size)).astype(np.float32)


def _features(observation, position):
  """The baseline's features of one task, float64 [T, 2 O + 4]."""
  clipped = np.clip(observation.astype(np.float64), -10, 10)
  time = np.asarray(position, np.float64)[:, np.newaxis] / 100
  return np.concatenate(
    [clipped, clipped**2, time, time**2, time**3, np.ones_like(time)], axis=1
  )


def _long_batch(seed=0, length=60):
  """Observations [2, T, 2] some of which are clipped, positions, mask."""
  generator = np.random.default_rng(seed)
  observation = 4 * generator.normal(size=(2, length, 2)).astype(np.float32)
  observation[:, 0] = [[12, -15], [-20, 11]]
  position = np.tile(np.arange(length // 2), 2)
  mask = generator.uniform(size=(2, length)) < 0.8
  return (
    observation,
    np.stack([position] * 2).astype(np.int32),
    mask.astype(np.float32),
  )


def test_linear_features_fit_linear_returns_exactly():
  observation, position, mask = _long_batch()
  generator = np.random.default_rng(1)
  coefficients = generator.normal(size=(2, 8))
  returns = np.stack(
    [
      _features(o, p) @ c
      for o, p, c in zip(observation, position, coefficients)
    ]
  )
  baseline = baselines.LinearFeatureBaseline(ridge=1e-14)
  values = baseline.fit_predict(
    tf.constant(observation),
    tf.constant(position),
    tf.constant(returns),
    tf.constant(mask, tf.float64),
  )
  # The fit is exact on the other frames, so also where the mask is 0.
  np.testing.assert_allclose(values, returns, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('ridge', [1e-5, 0.1])
def test_linear_features_solve_the_ridge_regression(ridge):
  observation, position, mask = _long_batch()
  returns = np.random.default_rng(2).normal(size=mask.shape)
  values = baselines.LinearFeatureBaseline(ridge).fit_predict(
    tf.constant(observation),
    tf.constant(position),
    tf.constant(returns),
    tf.constant(mask, tf.float64),
  )
  for b in range(2):
    features = _features(observation[b], position[b])
    valid = features[mask[b] > 0]
    # Least squares with rows sqrt(penalty) * I below is ridge regression.
    penalty = ridge * np.sum(valid**2) / features.shape[1]
    coefficients, *_ = np.linalg.lstsq(
      np.concatenate([valid, np.sqrt(penalty) * np.eye(features.shape[1])]),
      np.concatenate([returns[b][mask[b] > 0], np.zeros(features.shape[1])]),
      rcond=None,
    )
    np.testing.assert_allclose(
      values[b], features @ coefficients, rtol=1e-6, atol=1e-8
    )


def test_polynomial_features_fit_products_exactly():
  observation, position, mask = _long_batch()
  first, second = np.moveaxis(np.clip(observation, -10, 10), -1, 0)
  time = position / 100
  # All powers of two numbers up to degree 3.
  returns = 1 - first + second**2 + 2 * first * second - 3 * time**2
  returns += 0.1 * first**2 * second - 0.2 * first * second**2
  returns += 0.3 * second**3

  def fit(baseline):
    return baseline.fit_predict(
      tf.constant(observation),
      tf.constant(position),
      tf.constant(returns.astype(np.float64)),
      tf.constant(mask, tf.float64),
    )

  values = fit(baselines.PolynomialFeatureBaseline(degree=3, ridge=1e-14))
  np.testing.assert_allclose(values, returns, rtol=1e-5, atol=1e-4)
  for other in (
    baselines.PolynomialFeatureBaseline(degree=2, ridge=1e-14),
    baselines.LinearFeatureBaseline(ridge=1e-14),
  ):
    assert np.abs(fit(other) - returns).max() > 1


@pytest.mark.parametrize('degree', [0, 11, 1.5])
def test_the_degree_of_polynomial_features_is_a_small_integer(degree):
  with pytest.raises(ValueError, match='degree'):
    baselines.PolynomialFeatureBaseline(degree=degree)


def test_linear_features_ignore_masked_frames():
  observation, position, mask = _long_batch()
  returns = np.random.default_rng(3).normal(size=mask.shape).astype(np.float32)
  garbage_observation = np.where(mask[..., np.newaxis] > 0, observation, 7)
  garbage_returns = np.where(mask > 0, returns, 1e6).astype(np.float32)
  baseline = baselines.LinearFeatureBaseline()
  values, garbage_values = (
    baseline.fit_predict(
      tf.constant(o), tf.constant(position), tf.constant(r), tf.constant(mask)
    )
    for o, r in ((observation, returns), (garbage_observation, garbage_returns))
  )
  np.testing.assert_array_equal(values * mask, garbage_values * mask)


@pytest.mark.parametrize(
  'baseline_class',
  [baselines.LinearFeatureBaseline, baselines.PolynomialFeatureBaseline],
)
def test_truncated_episodes_bootstrap_from_the_fit_or_from_zero(baseline_class):
  observation, position, mask = _long_batch()
  returns = np.random.default_rng(3).normal(size=mask.shape).astype(np.float32)
  # What a LAST frame shows must not count, even if it is nothing.
  observation = np.where(mask[..., np.newaxis] > 0, observation, np.nan)
  arguments = [tf.constant(a) for a in (observation, position, returns, mask)]
  fitted = baseline_class().fit_predict(*arguments).numpy()
  ends = baseline_class(zero_at_end=True).fit_predict(*arguments).numpy()
  np.testing.assert_array_equal(ends[mask > 0], fitted[mask > 0])
  assert mask.min() == 0
  np.testing.assert_array_equal(ends[mask == 0], 0)


def test_with_zero_at_end_returns_are_those_that_the_fit_has_seen():
  # lambda 1: return minus value, of the truncated episodes, too.
  experience = _experience(_random_observations())
  result = advantages.estimate(
    experience, baselines.LinearFeatureBaseline(zero_at_end=True), GAMMA, 1.0
  )
  np.testing.assert_allclose(
    result.value_target * MASK, _returns(), rtol=1e-5, atol=1e-5
  )
  other = advantages.estimate(
    experience, baselines.LinearFeatureBaseline(), GAMMA, 1.0
  )
  assert np.abs(other.value_target * MASK - _returns()).max() > 1e-3


def test_tasks_are_fitted_separately():
  reward = REWARD.copy()
  reward[1] *= -3
  observation = _random_observations()
  baseline = baselines.LinearFeatureBaseline()
  (before, _), (after, _) = (
    _estimate(_experience(observation, reward=r), baseline, GAMMA, 1)
    for r in (REWARD, reward)
  )
  np.testing.assert_array_equal(before[0], after[0])
  assert np.abs(before[1] - after[1]).max() > 0.1


def test_observations_may_be_nested():
  observation, position, mask = _long_batch()
  returns = np.random.default_rng(4).normal(size=mask.shape).astype(np.float32)
  parts = {
    'first': tf.constant(observation[..., 0]),
    'second': tf.constant(observation[..., 1:, np.newaxis]),
  }
  baseline = baselines.LinearFeatureBaseline()
  nested, flat = (
    baseline.fit_predict(
      o, tf.constant(position), tf.constant(returns), tf.constant(mask)
    )
    for o in (parts, tf.constant(observation))
  )
  # The features come in another order.
  np.testing.assert_allclose(nested, flat, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
  'reward',
  [np.zeros_like(REWARD), np.ones_like(REWARD), np.full_like(REWARD, 1e4)],
  ids=['zero', 'one', 'large'],
)
def test_degenerate_tasks_are_finite(reward):
  # All observations alike and zero, and all alike and clipped.
  observation = np.zeros((2, 7, 2), np.float32)
  observation[1] = 1e30
  result, error = _estimate(
    _experience(observation, reward=reward),
    baselines.LinearFeatureBaseline(),
    GAMMA,
    1.0,
  )
  assert np.isfinite(result).all() and np.isfinite(error).all()
  assert np.abs(result).max() < 10


def test_equal_returns_without_a_baseline_are_zero():
  # gamma = 0: every return is its reward.
  result, _ = _estimate(
    _experience(reward=np.ones_like(REWARD)), baselines.NoBaseline(), 0.0, 1.0
  )
  np.testing.assert_array_equal(result, np.zeros_like(REWARD))


def test_a_task_without_any_transition_is_finite():
  step_type, next_step_type = np.array(STEP_TYPE), np.array(NEXT_STEP_TYPE)
  step_type[1] = next_step_type[1] = LAST
  observation = _random_observations()
  result, error = _estimate(
    _experience(
      observation, step_type=step_type, next_step_type=next_step_type
    ),
    baselines.LinearFeatureBaseline(),
    GAMMA,
    1.0,
  )
  np.testing.assert_array_equal(result[1], np.zeros(7))
  assert error[1] == 0
  assert np.abs(result[0]).max() > 0.1


@pytest.mark.parametrize('length', [7, 50])
def test_compiled_equals_eager(length):
  generator = np.random.default_rng(5)
  step_type = np.tile([FIRST, MID, MID, MID, LAST], length)[:length]
  next_step_type = np.tile([MID, MID, MID, LAST, LAST], length)[:length]
  experience = _experience(
    _random_observations(length=length),
    step_type=np.stack([step_type] * 2),
    next_step_type=np.stack([next_step_type] * 2),
    reward=generator.normal(size=(2, length)).astype(np.float32),
    discount=np.ones((2, length), np.float32),
  )

  def estimate(experience):
    return _estimate(experience, baselines.LinearFeatureBaseline(), 0.99, 0.95)

  eager = estimate(experience)
  for jit_compile in (False, True):
    compiled = tf.function(estimate, jit_compile=jit_compile)(experience)
    for a, b in zip(compiled, eager, strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_float64_stays_float64():
  experience = _experience(
    _random_observations(),
    reward=REWARD.astype(np.float64),
    discount=DISCOUNT.astype(np.float64),
  )
  result, error = _estimate(
    experience, baselines.LinearFeatureBaseline(), GAMMA, 0.5
  )
  assert result.dtype == error.dtype == tf.float64
