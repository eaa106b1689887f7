"""Action distributions: closed forms, round trips, samples of given noise."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from maml_tf.core import action_distributions

tfd = tfp.distributions

# Two time steps, A = 2.
LOC = np.array([[0.0, 1.0], [-2.0, 0.5]], np.float32)
SCALE = np.array([[1.0, 2.0], [0.5, 0.25]], np.float32)
OTHER_LOC = np.array([[1.0, 1.0], [-1.0, 0.0]], np.float32)
OTHER_SCALE = np.array([[2.0, 1.0], [0.5, 0.5]], np.float32)
ACTION = np.array([[0.5, -1.0], [-2.5, 1.0]], np.float32)
# Two time steps, an action of two parts with three choices each.
LOGITS = np.log(
  np.array(
    [
      [[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]],
      [[0.1, 0.8, 0.1], [0.25, 0.25, 0.5]],
    ],
    np.float32,
  )
)
OTHER_LOGITS = np.log(
  np.array(
    [
      [[0.25, 0.25, 0.5], [0.4, 0.4, 0.2]],
      [[0.2, 0.2, 0.6], [0.5, 0.25, 0.25]],
    ],
    np.float32,
  )
)
CHOICE = np.array([[2, 0], [1, 2]], np.int32)


def _gaussian(loc=LOC, scale=SCALE):
  return tfd.MultivariateNormalDiag(tf.constant(loc), tf.constant(scale))


def _normal(loc, scale):
  return tfd.Normal(tf.constant(loc), tf.constant(scale))


def _categorical(logits):
  return tfd.Categorical(logits=tf.constant(logits))


def _distributions():
  """Returns families by name, each with a batch of two time steps."""
  return {
    'gaussian': _gaussian(),
    'scalar': _normal(LOC[:, 0], SCALE[:, 0]),
    'categorical': _categorical(LOGITS[:, 0]),
    'multi_discrete': _categorical(LOGITS),
    'two_parts': {
      'grip': _categorical(LOGITS[:, 0]),
      'move': _gaussian(),
    },
    'independent': tfd.Independent(_normal(LOC, SCALE), 1),
    'transformed': tfd.TransformedDistribution(
      _gaussian(), tfp.bijectors.Tanh()
    ),
  }


FAMILIES = pytest.mark.parametrize(
  'name',
  [
    'gaussian',
    'scalar',
    'categorical',
    'multi_discrete',
    'two_parts',
    'independent',
    'transformed',
  ],
)


def _normal_log_prob(value, loc, scale):
  return (
    -0.5 * ((value - loc) / scale) ** 2
    - np.log(scale)
    - 0.5 * np.log(2 * np.pi)
  )


def _normal_kl(loc, scale, other_loc, other_scale):
  return (
    np.log(other_scale / scale)
    + (scale**2 + (loc - other_loc) ** 2) / (2 * other_scale**2)
    - 0.5
  )


def _categorical_kl(logits, other):
  return np.sum(np.exp(logits) * (logits - other), axis=-1)


@FAMILIES
def test_distributions_are_rebuilt_from_their_tensors(name):
  distributions = _distributions()[name]
  family = action_distributions.ActionDistributions(distributions)
  tensors = family.to_tensors(distributions)
  rebuilt = family.from_tensors(tensors)
  tf.nest.assert_same_structure(distributions, rebuilt, expand_composites=False)
  for a, b in zip(tf.nest.flatten(distributions), tf.nest.flatten(rebuilt)):
    assert type(a) is type(b)
    assert a.batch_shape == b.batch_shape and a.event_shape == b.event_shape
  sample = tf.nest.map_structure(lambda d: d.sample(seed=1), distributions)
  np.testing.assert_array_equal(
    action_distributions.log_prob(rebuilt, sample),
    action_distributions.log_prob(distributions, sample),
  )
  # Other tensors give other distributions: no value of the example is kept.
  moved = tf.nest.map_structure(lambda t: t * 0.5, tensors)
  assert not np.isclose(
    action_distributions.log_prob(family.from_tensors(moved), sample),
    action_distributions.log_prob(distributions, sample),
  ).any()


@FAMILIES
def test_specs_describe_one_time_step(name):
  distributions = _distributions()[name]
  family = action_distributions.ActionDistributions(distributions)
  tensors = family.to_tensors(distributions)
  tf.nest.assert_same_structure(family.tensor_specs, tensors)
  for spec, tensor in zip(
    tf.nest.flatten(family.tensor_specs), tf.nest.flatten(tensors)
  ):
    assert (2, *spec.shape) == tensor.shape
    assert spec.dtype == tensor.dtype


@FAMILIES
def test_rebuilds_any_leading_axes(name):
  distributions = _distributions()[name]
  family = action_distributions.ActionDistributions(distributions)
  tensors = tf.nest.map_structure(
    lambda t: tf.stack([t, t, t]), family.to_tensors(distributions)
  )
  rebuilt = family.from_tensors(tensors)
  sample = tf.nest.map_structure(lambda d: d.sample(seed=1), rebuilt)
  log_prob = action_distributions.log_prob(rebuilt, sample, outer_dims=2)
  assert log_prob.shape == (3, 2)
  one = tf.nest.map_structure(lambda t: t[1], sample)
  np.testing.assert_allclose(
    log_prob[1], action_distributions.log_prob(distributions, one), rtol=1e-5
  )


def test_gaussian_closed_forms():
  p, q = _gaussian(), _gaussian(OTHER_LOC, OTHER_SCALE)
  np.testing.assert_allclose(
    action_distributions.log_prob(p, ACTION),
    _normal_log_prob(ACTION, LOC, SCALE).sum(1),
    rtol=1e-6,
  )
  np.testing.assert_allclose(
    action_distributions.kl_divergence(p, q),
    _normal_kl(LOC, SCALE, OTHER_LOC, OTHER_SCALE).sum(1),
    rtol=1e-6,
  )
  # H = sum of log(scale) + log(2 pi e) / 2.
  np.testing.assert_allclose(
    action_distributions.entropy(p),
    np.log(SCALE).sum(1) + np.log(2 * np.pi * np.e),
    rtol=1e-6,
  )


def test_divergence_by_hand():
  # Dimension 1: log 2 + (1 + 1) / 8 - 1/2, dimension 2: log 1/2 + 4 / 2 - 1/2,
  # together 1.25. In the other direction: log 1/2 + (4 + 1) / 2 - 1/2 and
  # log 2 + 1 / 8 - 1/2, together 1.625.
  p = _gaussian([[0.0, 1.0]], [[1.0, 2.0]])
  q = _gaussian([[1.0, 1.0]], [[2.0, 1.0]])
  kl_divergence = action_distributions.kl_divergence
  np.testing.assert_allclose(kl_divergence(p, q), [1.25], rtol=1e-6)
  np.testing.assert_allclose(kl_divergence(q, p), [1.625], rtol=1e-6)
  np.testing.assert_array_equal(kl_divergence(p, p), [0])


def test_scalar_action_closed_forms():
  loc, scale = LOC[:, 0], SCALE[:, 0]
  p = _normal(loc, scale)
  q = _normal(OTHER_LOC[:, 0], OTHER_SCALE[:, 0])
  np.testing.assert_allclose(
    action_distributions.log_prob(p, ACTION[:, 0]),
    _normal_log_prob(ACTION[:, 0], loc, scale),
    rtol=1e-6,
  )
  np.testing.assert_allclose(
    action_distributions.kl_divergence(p, q),
    _normal_kl(loc, scale, OTHER_LOC[:, 0], OTHER_SCALE[:, 0]),
    rtol=1e-6,
  )
  np.testing.assert_allclose(
    action_distributions.entropy(p),
    np.log(scale) + 0.5 * np.log(2 * np.pi * np.e),
    rtol=1e-6,
  )


def test_categorical_closed_forms():
  p = _categorical(LOGITS[:, 0])
  q = _categorical(OTHER_LOGITS[:, 0])
  np.testing.assert_allclose(
    action_distributions.log_prob(p, CHOICE[:, 0]),
    np.log([0.25, 0.8]),
    rtol=1e-6,
  )
  np.testing.assert_allclose(
    action_distributions.kl_divergence(p, q),
    # 0.5 log 2 + 0 - 0.25 log 2, and 0.1 log 1/2 + 0.8 log 4 + 0.1 log 1/6.
    [0.25 * np.log(2), 1.5 * np.log(2) - 0.1 * np.log(6)],
    rtol=1e-5,
  )
  np.testing.assert_allclose(
    action_distributions.entropy(p),
    # 0.5 log 2 + 0.5 log 4, and 0.2 log 10 - 0.8 log 0.8.
    [1.5 * np.log(2), 0.2 * np.log(10) - 0.8 * np.log(0.8)],
    rtol=1e-6,
  )


def test_multi_discrete_is_summed_over_its_parts():
  p, q = _categorical(LOGITS), _categorical(OTHER_LOGITS)
  np.testing.assert_allclose(
    action_distributions.log_prob(p, CHOICE),
    [np.log(0.25 * 0.2), np.log(0.8 * 0.5)],
    rtol=1e-6,
  )
  np.testing.assert_allclose(
    action_distributions.kl_divergence(p, q),
    _categorical_kl(LOGITS, OTHER_LOGITS).sum(1),
    rtol=1e-5,
  )
  np.testing.assert_allclose(
    action_distributions.entropy(p),
    -np.sum(np.exp(LOGITS) * LOGITS, axis=(1, 2)),
    rtol=1e-6,
  )


def test_nest_is_summed_over_its_parts():
  p = _distributions()['two_parts']
  q = {
    'grip': _categorical(OTHER_LOGITS[:, 0]),
    'move': _gaussian(OTHER_LOC, OTHER_SCALE),
  }
  action = {'grip': CHOICE[:, 0], 'move': ACTION}
  for total, parts in (
    (
      action_distributions.log_prob(p, action),
      [action_distributions.log_prob(p[k], action[k]) for k in p],
    ),
    (
      action_distributions.kl_divergence(p, q),
      [action_distributions.kl_divergence(p[k], q[k]) for k in p],
    ),
    (
      action_distributions.entropy(p),
      [action_distributions.entropy(p[k]) for k in p],
    ),
  ):
    assert total.shape == (2,)
    assert np.abs(parts).min() > 0
    np.testing.assert_allclose(total, np.sum(parts, axis=0), rtol=1e-6)


def test_gaussian_sample_is_location_plus_scale_times_noise():
  family = action_distributions.ActionDistributions(_gaussian())
  assert family.noise_specs == (('normal', (2,)),)
  noise = np.array([[1.0, -0.5], [2.0, 4.0]], np.float32)
  # 0 + 1 * 1, 1 - 2 * 0.5, -2 + 0.5 * 2, 0.5 + 0.25 * 4
  np.testing.assert_array_equal(
    family.sample(_gaussian(), (noise,)), [[1, 0], [-1, 1.5]]
  )


def test_scalar_sample_is_location_plus_scale_times_noise():
  distribution = _distributions()['scalar']
  family = action_distributions.ActionDistributions(distribution)
  assert family.noise_specs == (('normal', ()),)
  # 0 + 1 * 3, -2 + 0.5 * -1
  np.testing.assert_array_equal(
    family.sample(distribution, (np.array([3.0, -1.0], np.float32),)), [3, -2.5]
  )


def test_transformed_sample_is_the_transformation_of_the_sample():
  noise = np.array([[1.0, -0.5], [2.0, 4.0]], np.float32)
  for name, expected in (
    ('independent', np.array([[1, 0], [-1, 1.5]])),
    ('transformed', np.tanh([[1, 0], [-1, 1.5]])),
  ):
    distribution = _distributions()[name]
    family = action_distributions.ActionDistributions(distribution)
    assert family.noise_specs == (('normal', (2,)),)
    np.testing.assert_allclose(
      family.sample(distribution, (noise,)), expected, rtol=1e-6
    )


def test_transformed_log_prob_has_the_jacobian():
  distribution = _distributions()['transformed']
  action = np.array([[0.5, -0.5], [-0.9, 0.1]], np.float32)
  # log p(atanh a) - log(1 - a^2), summed over dimensions.
  np.testing.assert_allclose(
    action_distributions.log_prob(distribution, action),
    np.sum(
      _normal_log_prob(np.arctanh(action), LOC, SCALE) - np.log(1 - action**2),
      axis=1,
    ),
    rtol=1e-5,
  )


def test_categorical_sample_is_the_largest_of_logit_plus_noise():
  distribution = _categorical(np.float32([[0, 1, 2], [0, 1, 2]]))
  family = action_distributions.ActionDistributions(distribution)
  assert family.noise_specs == (('gumbel', (3,)),)
  # Sums 1.5, 1, 2 and 3, 1, 2.5.
  noise = np.array([[1.5, 0, 0], [3, 0, 0.5]], np.float32)
  sample = family.sample(distribution, (noise,))
  np.testing.assert_array_equal(sample, [2, 0])
  assert sample.dtype == distribution.dtype


@pytest.mark.parametrize('where', ['outside', 'inside'])
def test_gumbel_noise_gives_the_softmax_frequencies(where):
  number = 20000
  probabilities = np.exp(LOGITS[0])
  example = _categorical(LOGITS[:1])
  family = action_distributions.ActionDistributions(example)
  assert family.noise_specs == (('gumbel', (2, 3)),)
  if where == 'outside':
    noise = family.draw_noise(np.random.default_rng(0), (number,))
  else:
    noise = family.random_noise(number, tf.random.Generator.from_seed(0))
  distribution = _categorical(np.tile(LOGITS[:1], (number, 1, 1)))
  sample = family.sample(distribution, noise).numpy()
  assert sample.shape == (number, 2)
  for part in range(2):
    frequencies = np.bincount(sample[:, part], minlength=3) / number
    # A standard deviation is at most sqrt(0.25 / 20000) = 0.0035.
    np.testing.assert_allclose(frequencies, probabilities[part], atol=0.015)
  # The parts are independent: P(first = 0 and second = 2) = 0.5 * 0.6.
  both = np.mean((sample[:, 0] == 0) & (sample[:, 1] == 2))
  np.testing.assert_allclose(both, 0.3, atol=0.015)


def test_normal_noise_is_standard():
  family = action_distributions.ActionDistributions(_gaussian())
  outside = family.draw_noise(np.random.default_rng(0), (20000,))
  inside = family.random_noise(20000, tf.random.Generator.from_seed(0))
  for (noise,) in (outside, inside):
    assert noise.shape == (20000, 2) and noise.dtype == np.float32
    # Standard errors: 0.007 of the mean, 0.01 of the variance.
    np.testing.assert_allclose(np.mean(noise, axis=0), [0, 0], atol=0.03)
    np.testing.assert_allclose(
      np.cov(np.transpose(noise)), np.eye(2), atol=0.04
    )


@FAMILIES
def test_drawn_noise_is_repeatable_and_fits_the_spec(name):
  distributions = _distributions()[name]
  family = action_distributions.ActionDistributions(distributions)
  noise, again, other = (
    family.draw_noise(np.random.default_rng(seed), (4, 2)) for seed in (1, 1, 2)
  )
  assert len(noise) == len(tf.nest.flatten(distributions))
  for a, b, c, spec in zip(
    noise, again, other, family.noise_specs, strict=True
  ):
    assert a.shape == (4, 2, *spec.shape) and a.dtype == np.float32
    np.testing.assert_array_equal(a, b)
    assert not np.isin(a, c).any()
  actions = family.sample(distributions, tuple(n[0] for n in noise))
  for d, action in zip(
    tf.nest.flatten(distributions), tf.nest.flatten(actions), strict=True
  ):
    assert action.shape == (*d.batch_shape, *d.event_shape)
    assert action.dtype == d.dtype


def test_random_noise_follows_the_generator_or_the_seed():
  family = action_distributions.ActionDistributions(_gaussian())
  generator = tf.random.Generator.from_seed(1)
  (first,), (second,) = (family.random_noise(3, generator) for _ in range(2))
  assert not np.isin(first, second).any()
  state = generator.state.numpy()
  (seeded,), (again,), (other,) = (
    family.random_noise(3, generator, seed)
    for seed in (tf.constant([1, 2]), tf.constant([1, 2]), tf.constant([1, 3]))
  )
  np.testing.assert_array_equal(seeded, again)
  assert not np.isin(seeded, other).any()
  np.testing.assert_array_equal(generator.state, state)


def test_seeded_random_noise_inside_a_function():
  family = action_distributions.ActionDistributions(_gaussian())
  generator = tf.random.Generator.from_seed(1)

  @tf.function
  def draw(seed):
    return family.random_noise(3, generator, seed)[0]

  first, again = draw(tf.constant([1, 2])), draw(tf.constant([1, 2]))
  np.testing.assert_array_equal(first, again)
  assert not np.isin(first, draw(tf.constant([1, 3]))).any()


def test_the_error_about_an_unsupported_distribution_names_it():
  for distribution in (tfd.Deterministic(LOC), tfd.Uniform(LOC, LOC + 1)):
    with pytest.raises(ValueError, match=type(distribution).__name__):
      action_distributions.ActionDistributions(distribution)
  with pytest.raises(ValueError, match='Uniform'):
    action_distributions.ActionDistributions(
      (_gaussian(), tfd.Uniform(LOC, LOC + 1))
    )


def test_a_scale_that_all_time_steps_share():
  """Checks that a scale [A] is either refused or stored for every step."""
  distribution = _gaussian(LOC[:1], SCALE[0])
  try:
    family = action_distributions.ActionDistributions(distribution)
  except ValueError:
    return
  (spec,) = family.tensor_specs
  assert tuple(spec['scale_diag'].shape) == (2,)
  (tensors,) = family.to_tensors(_gaussian(LOC, SCALE[0]))
  np.testing.assert_array_equal(
    tensors['scale_diag'], [SCALE[0].tolist()] * len(LOC)
  )
