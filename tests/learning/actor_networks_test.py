"""The default policy network: its variables and its outputs."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.specs import tensor_spec

from maml_tf.learning import actor_networks

OBSERVATION_SPEC = tf.TensorSpec((3,), tf.float32)
# Half the ranges are 0.5 and 2: the units of means and standard deviations.
ACTION_SPEC = tensor_spec.BoundedTensorSpec(
  (2,), tf.float32, [-0.5, -2], [0.5, 2]
)
UNITS = np.array([0.5, 2])


def _create(action_spec=ACTION_SPEC, **kwargs):
  network = actor_networks.create_actor_network(
    OBSERVATION_SPEC, action_spec, **kwargs
  )
  network.create_variables()
  return network


def _distribution(network, observation):
  return network(
    tf.constant(observation, tf.float32), step_type=(), network_state=()
  )[0]


def _observations(number=6):
  return np.random.default_rng(0).normal(size=(number, 3)).astype(np.float32)


def test_two_layers_of_64_units():
  shapes = [tuple(v.shape) for v in _create().trainable_variables]
  assert shapes == [(3, 64), (64,), (64, 64), (64,), (64, 2), (2,), (2,)]


def test_layers_can_be_given():
  network = _create(fc_layer_params=[5])
  shapes = [tuple(v.shape) for v in network.trainable_variables]
  assert shapes == [(3, 5), (5,), (5, 2), (2,), (2,)]


def test_means_are_a_tanh_network_with_a_linear_output():
  network = _create()
  for variable in network.trainable_variables:
    variable.assign(tf.random.stateless_normal(variable.shape, [1, 2]))
  w1, b1, w2, b2, w3, b3, _ = (v.numpy() for v in network.trainable_variables)
  observations = _observations()
  hidden = np.tanh(np.tanh(observations @ w1 + b1) @ w2 + b2)
  mean = _distribution(network, observations).mean()
  np.testing.assert_allclose(
    mean, UNITS * (hidden @ w3 + b3), rtol=1e-4, atol=1e-4
  )
  # Far outside the action's bounds: the environment clips, the policy doesn't.
  assert (np.abs(mean).max(axis=0) > 2 * UNITS).all()


def test_standard_deviation_is_half_the_range_everywhere():
  distribution = _distribution(_create(), 100 * _observations())
  assert isinstance(distribution, tfp.distributions.MultivariateNormalDiag)
  np.testing.assert_array_equal(distribution.stddev(), [UNITS] * 6)


@pytest.mark.parametrize(
  'minimum, maximum, half',
  [
    (-1, 1, 1),
    (-0.1, 0.1, 0.1),
    (0, 3, 1.5),
    # Without bounds, on one side or both, the unit is the action's own.
    (np.finfo(np.float32).min, np.finfo(np.float32).max, 1),
    (-np.inf, np.inf, 1),
    (0, np.inf, 1),
  ],
)
def test_unit_of_the_action(minimum, maximum, half):
  spec = tensor_spec.BoundedTensorSpec((), tf.float32, minimum, maximum)
  distribution = _distribution(_create(spec), _observations())
  np.testing.assert_allclose(distribution.stddev(), [half] * 6, rtol=1e-6)


def test_initial_standard_deviation_can_be_given():
  distribution = _distribution(_create(initial_stddev=0.3), _observations())
  np.testing.assert_allclose(
    distribution.stddev(), [[0.15, 0.6]] * 6, rtol=1e-6
  )


def test_the_log_standard_deviation_is_trained():
  network = _create()
  log_stddev = network.trainable_variables[-1]
  np.testing.assert_array_equal(log_stddev, [0, 0])
  log_stddev.assign([math.log(2), math.log(0.5)])
  stddev = _distribution(network, _observations()).stddev()
  # 0.5 * 2 and 2 * 0.5.
  np.testing.assert_allclose(stddev, [[1, 1]] * 6, rtol=1e-6)
  # d exp(l) / dl = exp(l), summed over 6 states.
  with tf.GradientTape() as tape:
    total = tf.reduce_sum(_distribution(network, _observations()).stddev())
  np.testing.assert_allclose(
    tape.gradient(total, log_stddev), [6, 6], rtol=1e-6
  )


def test_floor_of_the_standard_deviation():
  network = _create(min_stddev=0.01)
  network.trainable_variables[-1].assign([-100, math.log(0.02)])
  stddev = _distribution(network, _observations()).stddev()
  np.testing.assert_allclose(stddev, [[0.005, 0.04]] * 6, rtol=1e-5)


def test_discrete_actions():
  network = _create(tensor_spec.BoundedTensorSpec((), tf.int32, 0, 3))
  distribution = _distribution(network, _observations())
  assert isinstance(distribution, tfp.distributions.Categorical)
  assert distribution.logits.shape == (6, 4)


def _integers(shape, dtype, minimum, maximum):
  return tensor_spec.BoundedTensorSpec(shape, dtype, minimum, maximum)


@pytest.mark.parametrize(
  'spec',
  [
    _integers((), tf.int64, 0, 3),
    _integers((2,), tf.int32, 0, 3),
    _integers((2,), tf.int32, [0, 0], [3, 3]),
  ],
  ids=str,
)
def test_actions_from_0_keep_the_network_of_older_checkpoints(spec):
  network = _create(spec, fc_layer_params=(5,))
  assert type(_distribution(network, _observations())) is (
    tfp.distributions.Categorical
  )
  num_logits = 4 * spec.shape.num_elements()
  shapes = [tuple(v.shape) for v in network.trainable_variables]
  assert shapes == [(3, 5), (5,), (5, num_logits), (num_logits,)]


@pytest.mark.parametrize(
  'spec, num_logits',
  [
    # Discrete(3, start=5).
    (_integers((), tf.int64, 5, 7), (3,)),
    (_integers((), tf.int32, -1, 1), (3,)),
    # MultiDiscrete([3, 5]), and with a start.
    (_integers((2,), tf.int32, [0, 0], [2, 4]), (2, 5)),
    (_integers((2,), tf.int64, [-7, 1], [-5, 5]), (2, 5)),
    (_integers((1, 2), tf.int64, -1, 0), (1, 2, 2)),
    # Box(0, 255, uint8).
    (_integers((2,), tf.uint8, 0, 255), (2, 256)),
    (_integers((), tf.uint8, 0, 1), (2,)),
    # One choice, at the end of the type.
    (_integers((), tf.int64, tf.int64.max, tf.int64.max), (1,)),
  ],
  ids=str,
)
def test_integer_actions_are_all_values_of_the_spec(spec, num_logits):
  network = _create(spec)
  distribution = _distribution(network, _observations())
  assert distribution.logits_parameter().shape == (6, *num_logits)
  sample = distribution.sample(2000, seed=1)
  assert sample.dtype == spec.dtype
  # Initially all values are about equally probable.
  for bound, reduce in ((spec.minimum, np.min), (spec.maximum, np.max)):
    np.testing.assert_array_equal(
      reduce(sample, axis=(0, 1)), np.broadcast_to(bound, spec.shape)
    )
  # A value of a dimension in place of another has the probability 0.
  count = spec.maximum.astype(object) - spec.minimum.astype(object) + 1
  entropy = np.log(np.broadcast_to(count, spec.shape).astype(float))
  np.testing.assert_allclose(
    distribution.entropy(), np.broadcast_to(entropy, (6, *spec.shape)), rtol=0.1
  )


def test_the_head_of_integer_actions_has_the_usual_name():
  """Checks that anil.gin, which adapts ProjectionNetwork, finds the head."""
  network = _create(_integers((2,), tf.int32, [0, 1], [2, 4]))
  names = [v.name for v in network.trainable_variables[-2:]]
  assert all('ProjectionNetwork' in name for name in names)


@pytest.mark.parametrize(
  'spec',
  [
    _integers((), tf.int64, tf.int64.min, tf.int64.max),
    _integers((2,), tf.int32, 0, [3, 2**16]),
  ],
  ids=str,
)
def test_too_many_choices(spec):
  with pytest.raises(ValueError, match='choices in one dimension: give bounds'):
    _create(spec)


@pytest.mark.parametrize('value', [0, -0.5, 1000])
def test_a_dimension_without_a_range_has_a_density(value):
  spec = tensor_spec.BoundedTensorSpec(
    (2,), tf.float32, [-1, value], [1, value]
  )
  distribution = _distribution(_create(spec), _observations())
  # The unit is 0.01, or 0.01 of the value if that is larger.
  unit = max(0.01, 0.01 * abs(value))
  np.testing.assert_allclose(distribution.stddev(), [[1, unit]] * 6, rtol=1e-5)
  np.testing.assert_allclose(
    distribution.mean()[:, 1], [value] * 6, atol=2 * unit
  )
  assert np.isfinite(distribution.log_prob(distribution.mean())).all()


@pytest.mark.parametrize(
  'name, value',
  [
    ('initial_stddev', 0.0),
    ('initial_stddev', -1.0),
    ('initial_stddev', math.nan),
    ('initial_stddev', 1e-3),  # Not above the floor.
    ('min_stddev', 0.0),
    ('min_stddev', -1.0),
    ('min_stddev', math.inf),
  ],
)
def test_bad_numbers(name, value):
  with pytest.raises(ValueError, match=name):
    _create(**{name: value})
