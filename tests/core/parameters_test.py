"""A network as a function of its parameters equals the network."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.networks import actor_distribution_network
from tf_agents.networks import network as network_lib
from tf_agents.networks import sequential
from tf_agents.specs import tensor_spec

from maml_tf.core import parameters as parameters_lib
from maml_tf.learning import actor_networks

ACTION_SPEC = tensor_spec.BoundedTensorSpec((2,), tf.float32, -1, 1)


class ListedWeights(tf.keras.layers.Layer):
  """Multiplies by a weight that is in a list."""

  def build(self, input_shape):
    self._weights_in_a_list = [self.add_weight('hidden_weight', [])]

  def call(self, inputs):
    return inputs * self._weights_in_a_list[0]


class BorrowedWeights(tf.keras.layers.Layer):
  """Multiplies by another layer's kernel."""

  def __init__(self, lender):
    super().__init__()
    self._lender = lender

  def build(self, input_shape):
    self.borrowed = self._lender.kernel

  def call(self, inputs):
    return inputs @ self.borrowed


def _tanh_network():
  return actor_networks.create_actor_network(
    tf.TensorSpec((3,), tf.float32), ACTION_SPEC, fc_layer_params=(4,)
  )


def _image_network():
  """Returns a network with a convolution for one part of the observation."""
  return actor_distribution_network.ActorDistributionNetwork(
    {
      'image': tf.TensorSpec((4, 4, 1), tf.float32),
      'vector': tf.TensorSpec((3,), tf.float32),
    },
    ACTION_SPEC,
    preprocessing_layers={
      'image': tf.keras.Sequential(
        [tf.keras.layers.Conv2D(2, 3), tf.keras.layers.Flatten()]
      ),
      'vector': tf.keras.layers.Dense(8),
    },
    preprocessing_combiner=tf.keras.layers.Add(),
    fc_layer_params=(4,),
  )


def _vectors(*shape):
  generator = np.random.default_rng(shape)
  return tf.constant(generator.normal(size=(*shape, 3)), tf.float32)


def _images(*shape):
  generator = np.random.default_rng(shape)
  image = generator.normal(size=(*shape, 4, 4, 1))
  return {'image': tf.constant(image, tf.float32), 'vector': _vectors(*shape)}


NETWORKS = pytest.mark.parametrize(
  'create, observations',
  [(_tanh_network, _vectors), (_image_network, _images)],
  ids=['tanh', 'image'],
)


def _values(parameterized, seed, *outer_shape):
  """Returns random parameters that differ from the variables."""
  generator = np.random.default_rng(seed)
  return tuple(
    tf.constant(generator.normal(size=(*outer_shape, *v.shape)), v.dtype)
    for v in parameterized.variables_tuple
  )


def _outputs(network, *arguments):
  """Returns the mean and the standard deviation, [N, 2, A]."""
  distribution, _ = network(*arguments, step_type=(), network_state=())
  return tf.stack([distribution.mean(), distribution.stddev()], axis=1)


@NETWORKS
def test_the_variables_values_give_the_plain_call(create, observations):
  network = create()
  parameterized = parameters_lib.ParameterizedNetwork(network)
  values = tuple(tf.identity(v) for v in parameterized.variables_tuple)
  np.testing.assert_array_equal(
    _outputs(parameterized, values, observations(5)),
    _outputs(network, observations(5)),
  )


@NETWORKS
def test_other_values_equal_a_copy_that_was_assigned_them(create, observations):
  parameterized = parameters_lib.ParameterizedNetwork(create())
  copy = create()
  copy.create_variables()
  values = _values(parameterized, 1)
  plain = _outputs(parameterized.network, observations(5))
  for variable, value in zip(copy.trainable_variables, values, strict=True):
    variable.assign(value)
  given = _outputs(parameterized, values, observations(5))
  np.testing.assert_array_equal(given, _outputs(copy, observations(5)))
  assert np.abs(given - plain).min() > 1e-4


@NETWORKS
def test_variables_are_restored_after_a_call(create, observations):
  network = create()
  parameterized = parameters_lib.ParameterizedNetwork(network)
  variables = parameterized.variables_tuple
  before = [v.numpy() for v in variables]
  plain = _outputs(network, observations(5))
  _outputs(parameterized, _values(parameterized, 2), observations(5))
  _assert_same_variables(network, variables)
  for variable, value in zip(variables, before, strict=True):
    np.testing.assert_array_equal(variable, value)
  np.testing.assert_array_equal(_outputs(network, observations(5)), plain)
  # The layers hold the variables, not copies: an assignment has an effect.
  for variable in variables:
    variable.assign_add(tf.ones_like(variable))
  assert np.abs(_outputs(network, observations(5)) - plain).min() > 1e-4


@NETWORKS
def test_variables_are_restored_after_an_exception(create, observations):
  network = create()
  parameterized = parameters_lib.ParameterizedNetwork(network)
  variables = parameterized.variables_tuple
  plain = _outputs(network, observations(5))
  wrong = tuple(tf.zeros([7, *v.shape]) for v in variables)
  with pytest.raises(Exception):  # noqa: B017 whichever layer's error it is
    _outputs(parameterized, wrong, observations(5))
  _assert_same_variables(network, variables)
  np.testing.assert_array_equal(_outputs(network, observations(5)), plain)


def _assert_same_variables(network, variables):
  found = network.trainable_variables
  assert len(found) == len(variables)
  assert all(a is b for a, b in zip(found, variables))


def test_a_layer_used_twice_is_replaced_in_both_places():
  layer = tf.keras.layers.Dense(1)
  network = sequential.Sequential(
    [layer, layer], input_spec=tf.TensorSpec((1,), tf.float32)
  )
  parameterized = parameters_lib.ParameterizedNetwork(network)
  assert len(parameterized.variables_tuple) == 2
  output, _ = parameterized(
    (tf.constant([[2.0]]), tf.constant([1.0])), tf.constant([[3.0]])
  )
  # 2 * (2 * 3 + 1) + 1
  np.testing.assert_array_equal(output, [[15]])


def test_a_variable_of_two_layers_is_replaced_in_both():
  lender = tf.keras.layers.Dense(1)
  network = sequential.Sequential(
    [lender, BorrowedWeights(lender)],
    input_spec=tf.TensorSpec((1,), tf.float32),
  )
  parameterized = parameters_lib.ParameterizedNetwork(network)
  assert len(parameterized.variables_tuple) == 2
  output, _ = parameterized(
    (tf.constant([[2.0]]), tf.constant([1.0])), tf.constant([[3.0]])
  )
  # 2 * (2 * 3 + 1)
  np.testing.assert_array_equal(output, [[14]])


def test_a_layer_shared_by_two_networks_is_replaced_in_one_call_only():
  layer = tf.keras.layers.Dense(1)
  spec = tf.TensorSpec((1,), tf.float32)
  networks = [
    sequential.Sequential([layer], input_spec=spec, name=name)
    for name in ('first', 'second')
  ]
  first = parameters_lib.ParameterizedNetwork(networks[0])
  second = parameters_lib.ParameterizedNetwork(networks[1])
  layer.kernel.assign([[5.0]])
  layer.bias.assign([7.0])
  three = tf.constant([[3.0]])
  given = (tf.constant([[2.0]]), tf.constant([1.0]))
  # 2 * 3 + 1, 5 * 3 + 7
  np.testing.assert_array_equal(first(given, three)[0], [[7]])
  np.testing.assert_array_equal(second(given, three)[0], [[7]])
  np.testing.assert_array_equal(networks[0](three)[0], [[22]])
  np.testing.assert_array_equal(networks[1](three)[0], [[22]])


def test_the_error_about_a_variable_in_a_list_names_it():
  network = sequential.Sequential(
    [tf.keras.layers.Dense(2), ListedWeights()],
    input_spec=tf.TensorSpec((1,), tf.float32),
  )
  with pytest.raises(ValueError, match='hidden_weight'):
    parameters_lib.ParameterizedNetwork(network)


def test_wrong_number_of_parameters_is_an_error():
  parameterized = parameters_lib.ParameterizedNetwork(_tanh_network())
  values = _values(parameterized, 3)
  # Two dense layers of two variables each and log_std.
  for wrong, number in ((values[:-1], 4), ((*values, values[0]), 6), ((), 0)):
    with pytest.raises(ValueError, match=f'has 5 parameters, got {number}'):
      parameterized(wrong, _vectors(5))


def test_the_spec_describes_the_variables():
  parameterized = parameters_lib.ParameterizedNetwork(_tanh_network())
  assert [tuple(s.shape) for s in parameterized.spec] == [
    (3, 4),
    (4,),
    (4, 2),
    (2,),
    (2,),
  ]
  assert {s.dtype for s in parameterized.spec} == {tf.float32}
  assert len({s.name for s in parameterized.spec}) == 5


@NETWORKS
def test_gradients_flow_only_to_the_parameters(create, observations):
  parameterized = parameters_lib.ParameterizedNetwork(create())
  values = _values(parameterized, 4)
  variables = parameterized.variables_tuple
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(values)
    loss = tf.reduce_sum(_outputs(parameterized, values, observations(5)))
  gradients = tape.gradient(loss, values)
  assert all(np.abs(g).max() > 0 for g in gradients)
  assert tape.gradient(loss, variables) == (None,) * len(variables)

  # The gradient equals that with respect to the variables of a copy.
  copy = create()
  copy.create_variables()
  for variable, value in zip(copy.trainable_variables, values, strict=True):
    variable.assign(value)
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(_outputs(copy, observations(5)))
  expected = tape.gradient(loss, copy.trainable_variables)
  for gradient, expectation in zip(gradients, expected, strict=True):
    np.testing.assert_allclose(gradient, expectation, rtol=1e-5, atol=1e-6)


@NETWORKS
def test_vectorized_map_equals_a_loop(create, observations):
  parameterized = parameters_lib.ParameterizedNetwork(create())
  variables = parameterized.variables_tuple
  values = _values(parameterized, 5, 3)  # Three tasks.
  inputs = observations(3, 5)

  def evaluate(task):
    return _outputs(parameterized, *task)

  vectorized = tf.function(lambda tasks: tf.vectorized_map(evaluate, tasks))(
    (values, inputs)
  )
  for b in range(3):
    task = tf.nest.map_structure(lambda t, b=b: t[b], (values, inputs))
    np.testing.assert_allclose(
      vectorized[b], evaluate(task), rtol=1e-5, atol=1e-5
    )
  # No symbolic tensors of the trace may remain.
  _assert_same_variables(parameterized.network, variables)
  assert np.isfinite(_outputs(parameterized.network, observations(5))).all()


def test_an_unbuilt_network_is_built():
  network = _tanh_network()
  assert isinstance(network, network_lib.Network) and not network.built
  parameterized = parameters_lib.ParameterizedNetwork(network)
  assert parameterized.network is network
  assert len(parameterized.variables_tuple) == 5
