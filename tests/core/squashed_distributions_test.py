"""Squashed Gaussians against numerical integration and finite differences."""

import numpy as np
import pytest
from scipy import integrate
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.agents.sac import tanh_normal_projection_network
from tf_agents.distributions import utils as distribution_utils
from tf_agents.networks import normal_projection_network
from tf_agents.specs import tensor_spec

from maml_tf.core import action_distributions
from maml_tf.core import squashed_distributions
from tests.learning import gradient_checks

tfd, tfb = tfp.distributions, tfp.bijectors

# Actions in (1, 4): 2.5 + 1.5 tanh(x).
SPEC = tensor_spec.BoundedTensorSpec((2,), tf.float32, 1, 4)
LOC = np.array([[0.3, -1.0], [0.0, 0.5]])
SCALE = np.array([[0.5, 1.0], [2.0, 0.25]])


def _squashed(loc=LOC, scale=SCALE):
  """Returns 2.5 + 1.5 tanh(x), x ~ N(loc, scale), in float64."""
  return tfd.TransformedDistribution(
    tfd.MultivariateNormalDiag(
      tf.convert_to_tensor(loc, tf.float64),
      tf.convert_to_tensor(scale, tf.float64),
    ),
    tfb.Chain([tfb.Shift(np.array(2.5)), tfb.Scale(np.array(1.5)), tfb.Tanh()]),
  )


def _to_spec(loc=LOC, scale=SCALE):
  """Returns the same as TF-Agents' distribution, in float32."""
  return distribution_utils.SquashToSpecNormal(
    tfd.MultivariateNormalDiag(
      tf.constant(loc, tf.float32), tf.constant(scale, tf.float32)
    ),
    SPEC,
  )


def _log_slope(x):
  """log(d/dx 1.5 tanh(x)), by 1 - tanh(x)^2 = 4 / (e^x + e^-x)^2."""
  return np.log(1.5) + np.log(4) - 2 * np.logaddexp(x, -x)


def test_the_density_integrates_to_one():
  action = np.linspace(1, 4, 20_001)[1:-1, np.newaxis]
  for loc, scale in ((0.3, 0.5), (-0.5, 0.8)):
    ones = np.ones_like(action)
    log_prob = action_distributions.log_prob(
      _squashed(loc * ones, scale * ones), action
    )
    mass = integrate.trapezoid(np.exp(log_prob), action[:, 0])
    np.testing.assert_allclose(mass, 1, rtol=1e-5)


def test_log_prob_is_the_change_of_variables():
  x = np.array([[0.2, -2.0], [4.0, 0.7]])
  z = (x - LOC) / SCALE
  expected = -0.5 * z**2 - np.log(SCALE) - 0.5 * np.log(2 * np.pi)
  expected = np.sum(expected - _log_slope(x), axis=1)
  action = 2.5 + 1.5 * np.tanh(x)
  np.testing.assert_allclose(
    action_distributions.log_prob(_squashed(), action), expected, rtol=1e-9
  )
  np.testing.assert_allclose(
    action_distributions.log_prob(_to_spec(), action.astype(np.float32)),
    expected,
    rtol=2e-3,  # The first action of the second step is within 0.001 of 4.
  )


@pytest.mark.parametrize('create', [_squashed, _to_spec])
def test_ends_of_the_range_and_values_beyond_are_finite(create):
  distribution = create()
  for action in ([1, 4], [4, 1], [0, 0], [1 - 1e-7, 4 + 4e-7]):
    loc = tf.cast(LOC, distribution.dtype)
    with tf.GradientTape() as tape:
      tape.watch(loc)
      log_prob = action_distributions.log_prob(
        create(loc) if create is _squashed else distribution,
        tf.constant([action] * 2, distribution.dtype),
      )
      total = tf.reduce_sum(log_prob)
    assert np.isfinite(log_prob).all(), action
    if create is _squashed:
      assert np.isfinite(tape.gradient(total, loc)).all(), action


def test_the_largest_noise_is_scored_alike_by_two_policies():
  """An action of exactly 4 has one x, so ratios of policies stay finite."""
  family = action_distributions.ActionDistributions(_to_spec())
  action = family.sample(_to_spec(), (tf.fill([2, 2], 30.0),))
  np.testing.assert_array_equal(action[0], [4, 4])
  moved = _to_spec(LOC + 0.1)
  ratio = action_distributions.log_prob(
    moved, action
  ) - action_distributions.log_prob(_to_spec(), action)
  # x = atanh(1 - 2^-k) is between 6 and 9; d/dloc log p = (x - loc) / scale^2.
  slope = 0.1 * np.sum((7.5 - LOC) / SCALE**2, axis=1)
  np.testing.assert_allclose(ratio, slope, rtol=0.3)


def test_entropy_is_the_integral():
  x = np.linspace(-60, 60, 400_001)
  for loc, scale, tolerance in ((0.3, 0.5, 1e-8), (-1, 2, 2e-4), (1, 4, 0.012)):
    density = np.exp(-0.5 * ((x - loc) / scale) ** 2)
    density /= scale * np.sqrt(2 * np.pi)
    expected = 0.5 * np.log(2 * np.pi * np.e) + np.log(scale)
    expected += integrate.trapezoid(density * _log_slope(x), x)
    entropy = action_distributions.entropy(_squashed([[loc]], [[scale]]))
    np.testing.assert_allclose(entropy, [expected], atol=tolerance)


def test_divergence_is_that_of_the_gaussians():
  other = LOC + 0.5
  for create in (_squashed, _to_spec):
    p, q = create(), create(other)
    base = [squashed_distributions.unwrap(d).base for d in (p, q)]
    np.testing.assert_allclose(
      action_distributions.kl_divergence(p, q),
      # sum of 0.5^2 / (2 scale^2)
      np.sum(0.125 / SCALE**2, axis=1),
      rtol=1e-5,
    )
    np.testing.assert_allclose(
      action_distributions.kl_divergence(p, q),
      base[0].kl_divergence(base[1]),
      rtol=1e-5,
    )


def test_gradients_against_finite_differences():
  action = 2.5 + 1.5 * np.tanh([[0.2, -2.0], [1.0, 0.7]])
  for function in (
    lambda d: action_distributions.log_prob(d, action),
    action_distributions.entropy,
    lambda d: action_distributions.kl_divergence(_squashed(), d),
  ):

    def total(values, function=function):
      loc, log_scale = values
      distribution = _squashed(loc, tf.exp(log_scale))
      return tf.reduce_sum(function(distribution))

    point = [LOC + 0.1, np.log(SCALE)]
    variables = [tf.constant(p) for p in point]
    with tf.GradientTape() as tape:
      tape.watch(variables)
      value = total(variables)
    gradient = gradient_checks.flat(tape.gradient(value, variables))
    expected = gradient_checks.finite_differences(total, point)
    assert gradient_checks.error(gradient, expected) < 1e-8


def test_sample_and_mode():
  noise = np.array([[1.0, -0.5], [2.0, 4.0]], np.float32)
  for create in (_squashed, _to_spec):
    distribution = create()
    family = action_distributions.ActionDistributions(distribution)
    assert family.noise_specs == (('normal', (2,)),)
    np.testing.assert_allclose(
      family.sample(distribution, (noise,)),
      2.5 + 1.5 * np.tanh(LOC + SCALE * noise),
      rtol=1e-5,
    )
    np.testing.assert_allclose(
      action_distributions.mode(distribution),
      2.5 + 1.5 * np.tanh(LOC),
      rtol=1e-5,
    )


def test_tensors_of_the_projections_of_tf_agents():
  for projection in (
    tanh_normal_projection_network.TanhNormalProjectionNetwork(SPEC),
    normal_projection_network.NormalProjectionNetwork(
      SPEC, scale_distribution=True
    ),
  ):
    distribution, _ = projection(tf.ones([3, 5]), outer_rank=1)
    family = action_distributions.ActionDistributions(distribution)
    (specs,) = family.tensor_specs
    assert set(specs) == {'distribution'}
    assert set(specs['distribution']) == {'loc', 'scale_diag'}
    tensors = family.to_tensors(distribution)
    moved = tf.nest.map_structure(lambda t: t + 0.5, tensors)
    np.testing.assert_allclose(
      action_distributions.mode(family.from_tensors(moved)),
      2.5 + 1.5 * np.tanh(tensors[0]['distribution']['loc'] + 0.5),
      rtol=1e-5,
    )


def test_other_ways_to_write_the_same_distribution():
  normal = tfd.Normal(tf.constant(LOC), tf.constant(SCALE))
  outer = tfb.Chain([tfb.Shift(np.array(2.5)), tfb.Scale(np.array(1.5))])
  tanh = tfd.TransformedDistribution(normal, tfb.Tanh())
  action = np.array([[1.5, 2.0], [3.9, 2.5]])
  expected = action_distributions.log_prob(_squashed(), action)
  for same in (
    tfd.Independent(tfd.TransformedDistribution(tanh, outer), 1),
    tfd.TransformedDistribution(tfd.Independent(tanh, 1), outer),
  ):
    np.testing.assert_allclose(
      action_distributions.log_prob(same, action), expected, rtol=1e-9
    )
    np.testing.assert_allclose(
      action_distributions.entropy(same),
      action_distributions.entropy(_squashed()),
      rtol=1e-9,
    )
    np.testing.assert_allclose(
      action_distributions.kl_divergence(same, _squashed()), 0, atol=1e-9
    )


def test_a_bijector_that_mixes_dimensions_is_left_to_tfp():
  base = tfd.MultivariateNormalDiag(tf.zeros([1, 2]), tf.ones([1, 2]))
  mixed = tfd.TransformedDistribution(base, tfb.Permute([1, 0]))
  assert squashed_distributions.unwrap(mixed) is None
  action = np.array([[1.0, 2.0]], np.float32)
  np.testing.assert_allclose(
    action_distributions.log_prob(mixed, action),
    [-2.5 - np.log(2 * np.pi)],
    rtol=1e-6,
  )


def test_a_bijector_that_depends_on_the_state_is_refused():
  base = tfd.MultivariateNormalDiag(tf.zeros([1, 2]), tf.ones([1, 2]))
  with pytest.raises(ValueError, match='bijector'):
    action_distributions.ActionDistributions(
      tfd.TransformedDistribution(base, tfb.Shift(tf.ones([1, 2])))
    )
