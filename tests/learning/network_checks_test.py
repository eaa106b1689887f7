"""Networks that do not fit the specs, or have layers without effect."""

import contextlib
import warnings

import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.agents.ddpg import actor_network as ddpg_actor_network
from tf_agents.distributions import shifted_categorical
from tf_agents.networks import actor_distribution_network
from tf_agents.networks import categorical_projection_network
from tf_agents.networks import nest_map
from tf_agents.networks import network as network_lib
from tf_agents.networks import normal_projection_network
from tf_agents.networks import sequential
from tf_agents.networks import value_network
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from maml_tf.learning import actor_networks
from maml_tf.learning import network_checks

tfd = tfp.distributions
layers = tf.keras.layers

OBSERVATION = tf.TensorSpec((3,), tf.float32)
TWO = tensor_spec.BoundedTensorSpec((2,), tf.float32, -1, 1)
THREE = tensor_spec.BoundedTensorSpec((3,), tf.float32, -1, 1)


def _choices(last, first=0, dtype=tf.int32):
  return tensor_spec.BoundedTensorSpec((), dtype, first, last, name='gear')


def _actor(action_spec=TWO, observation_spec=OBSERVATION, **kwargs):
  if not kwargs:
    return actor_networks.create_actor_network(
      observation_spec, action_spec, (4,)
    )
  return actor_distribution_network.ActorDistributionNetwork(
    observation_spec, action_spec, fc_layer_params=(4,), **kwargs
  )


def _distributions(function):
  """A network with any distributions of three numbers."""
  return sequential.Sequential(
    [layers.Dense(3), layers.Lambda(function)], input_spec=OBSERVATION
  )


def _check(actor, action_spec=TWO, value=None):
  for network in (actor, value):
    if network is not None:
      network.create_variables()
  return network_checks.check_networks(
    actor, value, ts.time_step_spec(OBSERVATION), action_spec
  )


@contextlib.contextmanager
def _refused(*words):
  with pytest.raises(ValueError) as caught:
    yield
  message = str(caught.value)
  assert all(word in message for word in words), message
  assert '\n' not in message


def _of_users(caught):
  """The messages without those of libraries about deprecated functions."""
  return [str(w.message) for w in caught if w.category is UserWarning]


def test_actions_of_another_shape():
  with _refused('(3,)', '(2,)', 'action spec'):
    _check(_actor(THREE))


def test_another_number_of_actions():
  with _refused('2 distributions', '1 parts'):
    _check(_actor((TWO, THREE)))


def test_actions_of_another_kind():
  with _refused('int32', 'float32'):
    _check(
      _actor(_choices(1)), tensor_spec.BoundedTensorSpec((), 'float32', 0, 1)
    )


def test_another_number_of_choices():
  for made_for, spec, words in (
    (_choices(4), _choices(2), ('0 to 4', 'gear', '0 to 2')),
    (_choices(2), _choices(4), ('0 to 2', 'gear', '0 to 4')),
    (_choices(3, first=1), _choices(2), ('1 to 3', '0 to 2')),
  ):
    with _refused(*words):
      _check(_actor(made_for), spec)
    _check(_actor(made_for), made_for)


def test_choices_of_tf_agents_that_start_at_0():
  """Covers the default head of TF-Agents, whatever the spec's minimum is."""
  spec = _choices(7, first=5)
  with _refused('0 to 2', 'gear', '5 to 7', 'create_actor_network'):
    _check(
      _actor(
        spec,
        discrete_projection_net=(
          categorical_projection_network.CategoricalProjectionNetwork
        ),
      ),
      spec,
    )


def test_shifted_choices():
  network = sequential.Sequential(
    [
      layers.Dense(3),
      layers.Lambda(
        lambda x: shifted_categorical.ShiftedCategorical(logits=x, shift=5)
      ),
    ],
    input_spec=OBSERVATION,
  )
  _check(network, _choices(7, first=5))
  with _refused('5 to 7', '0 to 2'):
    _check(network, _choices(2))


def test_numbers_instead_of_distributions():
  network = ddpg_actor_network.ActorNetwork(OBSERVATION, TWO)
  with _refused('actor_network gives a Tensor', 'DistributionNetwork'):
    _check(network)


def test_a_distribution_without_entropy():
  # A softmax mixes the dimensions, and its Jacobian is not constant.
  network = _distributions(
    lambda x: tfd.TransformedDistribution(
      tfd.MultivariateNormalDiag(x, tf.ones_like(x)),
      tfp.bijectors.Chain(
        [tfp.bijectors.Tanh(), tfp.bijectors.Permute([1, 2, 0])]
      ),
    )
  )
  with _refused('TransformedDistribution', 'no entropy'):
    _check(network, THREE)


def test_observations_of_another_shape():
  wide = tf.TensorSpec((5,), tf.float32)
  with _refused('actor_network', '(5,)', '(3,)', 'observation spec'):
    _check(_actor(observation_spec=wide))
  with _refused('value_network', '(5,)', '(3,)'):
    _check(_actor(), value=value_network.ValueNetwork(wide))
  with _refused('actor_network', '[(3,)]', '(3,)'):
    _check(
      sequential.Sequential(
        [nest_map.NestFlatten(), nest_map.NestMap(layers.Dense(2))][:1]
        + [layers.Lambda(lambda x: x[0]), layers.Dense(2)],
        input_spec={'a': OBSERVATION},
      )
    )


def test_values_of_another_shape():
  wide = sequential.Sequential([layers.Dense(1)], input_spec=OBSERVATION)
  with _refused('value_network', '(1, 1)', '(1,)', 'ValueNetwork'):
    _check(_actor(), value=wide)
  with _refused('value_network', 'MultivariateNormalDiag'):
    _check(_actor(), value=_actor())


@pytest.mark.parametrize(
  'layer, advice',
  [
    (layers.BatchNormalization(), 'LayerNormalization'),
    (layers.Dropout(0.5), 'leave it out'),
    (layers.GaussianNoise(0.5), 'leave it out'),
  ],
)
def test_layers_of_training(layer, advice):
  with pytest.warns(UserWarning, match=advice) as caught:
    _check(_actor(preprocessing_layers=tf.keras.Sequential([layer])))
  (message,) = _of_users(caught)
  assert type(layer).__name__ in message and layer.name in message


def test_spectral_normalization():
  value = sequential.Sequential(
    [
      layers.SpectralNormalization(layers.Dense(1)),
      layers.Lambda(lambda x: x[:, 0]),
    ],
    input_spec=OBSERVATION,
  )
  with pytest.warns(UserWarning, match='SpectralNormalization'):
    _check(_actor(), value=value)


def test_layers_of_training_in_a_value_network():
  value = value_network.ValueNetwork(
    OBSERVATION, dropout_layer_params=[0.5] * 2
  )
  with pytest.warns(UserWarning, match='value_network has .*Dropout') as caught:
    _check(_actor(), value=value)
  assert len(_of_users(caught)) == 1


def test_dropout_that_is_permanent():
  value = value_network.ValueNetwork(
    OBSERVATION,
    fc_layer_params=(4,),
    dropout_layer_params=[{'rate': 0.5, 'permanent': True}],
  )
  with pytest.warns(UserWarning, match='random too'):
    _check(_actor(), value=value)


def test_regularizers():
  with pytest.warns(UserWarning, match='regularizers'):
    _check(
      _actor(
        preprocessing_layers=layers.Dense(2, kernel_regularizer='l2'),
      )
    )


def test_no_warning_without_a_reason():
  frozen = layers.BatchNormalization(trainable=False)
  with warnings.catch_warnings():
    warnings.simplefilter('error', UserWarning)
    _check(_actor(), value=value_network.ValueNetwork(OBSERVATION))
    _check(_actor(preprocessing_layers=layers.LayerNormalization()))
    _check(_actor(preprocessing_layers=tf.keras.Sequential([frozen])))


def test_mixed_precision():
  tf.keras.mixed_precision.set_global_policy('mixed_bfloat16')
  try:
    network = _actor()
  finally:
    # The default, which follows `floatx`.
    tf.keras.mixed_precision.set_global_policy(None)
  with _refused('actor_network', 'mixed_bfloat16', 'set_global_policy'):
    _check(network)


class _WithAStranger(network_lib.DistributionNetwork):
  """A network that computes with something that it does not know."""

  def __init__(self, stranger):
    projection = normal_projection_network.NormalProjectionNetwork(TWO)
    super().__init__(OBSERVATION, (), projection.output_spec, 'stranger')
    self._projection, self._stranger = projection, stranger

  def call(self, observation, step_type=None, network_state=()):
    return self._projection(self._stranger(observation), 1)


def test_a_variable_of_nobody():
  factor = tf.Variable(2.0, name='factor')
  with pytest.raises(ValueError, match='computes with factor:0, which cannot'):
    _check(_WithAStranger(lambda observation: factor * observation))


def test_a_layer_of_keras_3():
  keras = pytest.importorskip('keras')
  if keras.layers.Dense is layers.Dense:
    pytest.skip('TensorFlow 2.15 cannot stand beside Keras 3')
  with pytest.raises(ValueError, match='kernel.*bias.*not of Keras 3'):
    _check(_WithAStranger(keras.layers.Dense(3)))


def test_frozen_layers_are_known():
  frozen = layers.Dense(3, trainable=False)
  _check(_WithAStranger(frozen))


def test_variables_of_replicas_are_known(two_replicas):
  with two_replicas.scope():
    _check(_actor())


def test_variables_of_two_types():
  tf.keras.backend.set_floatx('float64')
  try:
    network = _actor()
    network.create_variables()
  finally:
    tf.keras.backend.set_floatx('float32')
  with _refused('float32 (', 'float64 (', 'NormalProjection', 'floatx'):
    _check(network)
