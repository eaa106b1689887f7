"""The outer loss computed by hand, and the coefficients that follow the KL."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from maml_tf.core import meta_batch
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_objectives

tfd = tfp.distributions
# Of N(., 1).
ENTROPY = 0.5 * math.log(2 * math.pi * math.e)


def _normal(*mean):
  return tfd.Normal(tf.constant(mean, tf.float32), 1.0)


def _stage(behaviour, action, advantage, mask, log_prob=None):
  action = tf.constant(action, tf.float32)
  if log_prob is None:
    log_prob = behaviour.log_prob(action)
  return meta_batch.Stage(
    observation=action,
    step_type=tf.ones(len(mask), tf.int32),
    action=action,
    behaviour={'loc': behaviour.loc},
    behaviour_log_prob=log_prob,
    advantage=tf.constant(advantage, tf.float32),
    value=tf.zeros(len(mask)),
    value_target=tf.zeros(len(mask)),
    episode_return=tf.constant(0.0),
    baseline_error=tf.constant(0.0),
    mask=tf.constant(mask, tf.float32),
  )


def _evaluated(stage, distribution):
  behaviour = tfd.Normal(stage.behaviour['loc'], 1.0)
  return inner_loop_lib.EvaluatedStage(stage, behaviour, distribution)


def _arguments():
  """Two support stages and a query, each under a policy, and a return score.

  The KL of unit normals is half the squared distance of their means.
  """
  # Distances 1 and 2, and 9 where it is masked: (0.5 + 2) / 2 = 1.25.
  first = _stage(_normal(0, 0, 0), [0, 0, 0], [0, 0, 0], [1, 1, 0])
  # Distance 0.2 on the only valid frame: 0.02.
  second = _stage(_normal(1, 1, 1), [0, 0, 0], [0, 0, 0], [0, 0, 1])
  policies = (_normal(1, -2, 9), _normal(5, 5, 1.2))
  # Ratios 1.5 and 0.5, clipped at 1.3 and 0.7: (1.3 * 2 - 0.7 * 1) / 2 = 0.95.
  # Behaviour and adapted policy are 2 and 0 apart: (2 + 0) / 2 = 1.
  policy = _normal(1, 2, 3)
  action = [1.5, 1.0, 50.0]
  query = _stage(
    _normal(3, 2, 99),
    action,
    [2, -1, 1000],
    [1, 1, 0],
    policy.log_prob(action) - tf.math.log([1.5, 0.5, 3.0]),
  )
  return (
    tuple(map(_evaluated, (first, second), policies)),
    _evaluated(query, policy),
    tf.constant(0.0),
  )


def test_loss_is_the_sum_of_its_parts():
  objective = meta_objectives.ProximalObjective(
    2, clip_ratio=0.3, entropy_coefficient=0.01
  )
  loss, terms = objective(tf.constant([0.1, 0.5]), *_arguments())
  np.testing.assert_allclose(terms.policy_loss, -0.95, rtol=1e-5)
  np.testing.assert_allclose(terms.entropy, ENTROPY, rtol=1e-5)
  np.testing.assert_allclose(terms.kl, 1, rtol=1e-5)
  np.testing.assert_allclose(terms.inner_kl, [1.25, 0.02], rtol=1e-4)
  np.testing.assert_allclose(
    loss, -0.95 + 0.1 * 1.25 + 0.5 * 0.02 - 0.01 * ENTROPY, rtol=1e-5
  )


def test_the_clip_ratio_can_be_given():
  objective = meta_objectives.ProximalObjective(2, clip_ratio=0.6)
  loss, terms = objective(tf.constant([0.0, 0.0]), *_arguments())
  # Nothing is clipped: (1.5 * 2 - 0.5 * 1) / 2.
  np.testing.assert_allclose(terms.policy_loss, -1.25, rtol=1e-5)
  np.testing.assert_allclose(loss, -1.25, rtol=1e-5)


def test_mean_kl_puts_the_behaviour_first():
  # KL(N(0, 1) || N(0, 2)) = log 2 + 1/8 - 1/2, unlike the reverse KL.
  stage = _stage(_normal(0, 0), [0, 0], [0, 0], [1, 0])
  np.testing.assert_allclose(
    meta_objectives.mean_kl(_evaluated(stage, tfd.Normal([0.0, 5.0], 2.0))),
    math.log(2) + 1 / 8 - 1 / 2,
    rtol=1e-5,
  )


def test_coefficients_follow_the_kl():
  objective = meta_objectives.ProximalObjective(
    4, initial_kl_coefficient=0.5, kl_target=0.01
  )
  np.testing.assert_array_equal(objective.kl_coefficients, [0.5] * 4)
  # The bounds are 0.015 and 0.00667.
  objective.update_kl_coefficients(
    tf.constant([0.0151, 0.0149, 0.0067, 0.0066])
  )
  np.testing.assert_allclose(objective.kl_coefficients, [1, 0.5, 0.5, 0.25])
  objective.update_kl_coefficients(tf.constant([0.0, 5.0, 0.01, 5.0]))
  np.testing.assert_allclose(objective.kl_coefficients, [0.5, 1, 0.5, 0.5])


def test_coefficients_stay_without_a_target():
  objective = meta_objectives.ProximalObjective(
    2, initial_kl_coefficient=0.5, kl_target=None
  )
  objective.update_kl_coefficients(tf.constant([100.0, 0.0]))
  np.testing.assert_array_equal(objective.kl_coefficients, [0.5, 0.5])


def test_coefficients_recover_after_many_halvings():
  objective = meta_objectives.ProximalObjective(1, kl_target=0.01)
  for _ in range(200):
    objective.update_kl_coefficients(tf.constant([0.0]))
  assert 0 < objective.kl_coefficients[0] < 1e-6
  for _ in range(200):
    objective.update_kl_coefficients(tf.constant([1.0]))
  assert 1e6 < objective.kl_coefficients[0] < np.inf


def test_a_coefficient_of_zero_stays_zero():
  objective = meta_objectives.ProximalObjective(
    1, initial_kl_coefficient=0.0, kl_target=0.01
  )
  for _ in range(100):
    objective.update_kl_coefficients(tf.constant([1.0]))
  np.testing.assert_array_equal(objective.kl_coefficients, [0])


def test_coefficients_are_saved_but_not_trained():
  objective = meta_objectives.ProximalObjective(2)
  assert objective.trainable_variables == ()
  assert len(objective.variables) == 1


@pytest.mark.parametrize(
  'name, value',
  [
    ('clip_ratio', 0.0),
    ('clip_ratio', -0.1),
    ('clip_ratio', math.nan),
    ('initial_kl_coefficient', -1e-3),
    ('initial_kl_coefficient', math.inf),
    ('kl_target', 0.0),
    ('kl_target', -1.0),
    ('kl_target', math.nan),
    ('entropy_coefficient', math.nan),
    ('entropy_coefficient', '0.1'),
  ],
)
def test_bad_numbers(name, value):
  with pytest.raises(ValueError, match=name):
    meta_objectives.ProximalObjective(1, **{name: value})
