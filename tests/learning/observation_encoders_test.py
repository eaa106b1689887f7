"""Parts of observations as vectors: what the default networks read."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf.core import parameters as parameters_lib
from maml_tf.learning import actor_networks
from maml_tf.learning import encoder_layers
from maml_tf.learning import observation_encoders
from maml_tf.learning import value_networks
from tests.learning import recorded_batches

ACTION_SPEC = tensor_spec.BoundedTensorSpec((2,), tf.float32, -1, 1)
PICTURE_SPEC = tensor_spec.BoundedTensorSpec((5, 6, 2), tf.uint8, 0, 255)
NESTED_SPEC = {
  'camera': PICTURE_SPEC,
  'goal': tensor_spec.BoundedTensorSpec((), tf.int64, 3, 6),
  'arms': (tf.TensorSpec((2, 2), tf.float32), tf.TensorSpec((), tf.float64)),
}


def _encode(spec, parts):
  """The vector of one observation, whose parts stand in a list."""
  layers, joined = observation_encoders.create(spec)
  encoded = joined(
    [
      layer(tf.constant(np.asarray(part)[np.newaxis], s.dtype))
      for layer, part, s in zip(
        *map(tf.nest.flatten, (layers, parts, spec)), strict=True
      )
    ]
  )
  assert encoded.dtype == tf.float32
  return encoded[0].numpy()


def _observations(spec, outer_dims):
  """Normal numbers, or integers between the bounds."""
  rng = np.random.default_rng(0)

  def leaf(s):
    shape = (*outer_dims, *s.shape)
    if s.dtype.is_integer:
      numbers = rng.integers(s.minimum, s.maximum, shape, endpoint=True)
    else:
      numbers = rng.normal(size=shape)
    return tf.constant(numbers, s.dtype)

  return tf.nest.map_structure(leaf, spec)


def _integers(shape, dtype, minimum, maximum):
  return tensor_spec.BoundedTensorSpec(shape, dtype, minimum, maximum)


@pytest.mark.parametrize(
  'spec, value, expected',
  [
    # Discrete(4, start=3).
    (_integers((), tf.int64, 3, 6), 4, [0, 1, 0, 0]),
    # MultiDiscrete([3, 2, 1], start=[-1, 0, 7]): two values are one number.
    (
      _integers((3,), tf.int32, [-1, 0, 7], [1, 1, 7]),
      [1, 1, 7],
      [0, 0, 1, 1, 1],
    ),
    # MultiBinary((2, 2)).
    (_integers((2, 2), tf.int32, 0, 1), [[0, 1], [1, 0]], [0, 1, 1, 0]),
    # One-hot vectors would have 2,002 numbers.
    (_integers((2,), tf.int32, 0, 1000), [0, 750], [-1, 0.5]),
    # Exact although float32 cannot hold the numbers themselves.
    (
      _integers((2,), tf.int64, 10**12, 10**12 + 2000),
      [10**12 + 1, 10**12 + 2000],
      [-0.999, 1],
    ),
    # Bytes are quantities, unless they have a small range.
    (_integers((2,), tf.uint8, 0, 255), [255, 51], [1, -0.6]),
    (_integers((1,), tf.uint8, 0, 2), [2], [0, 0, 1]),
  ],
  ids=str,
)
def test_integers(spec, value, expected):
  np.testing.assert_allclose(
    _encode(spec, [np.array(value)]), expected, rtol=1e-6
  )


def test_the_parts_are_flattened_and_joined():
  # In the order of tf.nest: arms, camera, goal. The picture of 5 x 6 gives
  # 2 x 2 patches, these give one patch of 32 numbers; all biases are 0.
  encoded = _encode(
    NESTED_SPEC,
    [np.array([[1, 2], [3, 4]]), np.array(5), np.zeros((5, 6, 2)), np.array(6)],
  )
  np.testing.assert_allclose(encoded, [1, 2, 3, 4, 5, *[0] * 32, 0, 0, 0, 1])


@pytest.mark.parametrize(
  'spec',
  [
    tf.TensorSpec((3,), tf.float32),
    ACTION_SPEC,
    tf.TensorSpec((2, 2, 3), tf.float32),
    tf.TensorSpec((3,), tf.int32),
    _integers((3,), tf.int64, tf.int64.min, tf.int64.max),
    _integers((3,), tf.int32, 0, tf.int32.max),
  ],
  ids=str,
)
def test_a_network_reads_numbers_itself(spec):
  """Checks that the networks have the variables of older checkpoints."""
  assert observation_encoders.create(spec) == (None, None)
  actor = actor_networks.create_actor_network(spec, ACTION_SPEC, (4,))
  actor.create_variables()
  value = value_networks.create_value_network(spec, actor, (4,))
  value.create_variables()
  size = spec.shape.num_elements()
  for network, head in ((actor, [(4, 2), (2,), (2,)]), (value, [(4, 1), (1,)])):
    shapes = [tuple(v.shape) for v in network.trainable_variables]
    assert shapes == [(size, 4), (4,), *head]


def test_a_picture_is_convolved_with_kernels_as_wide_as_their_steps():
  layer = encoder_layers.PictureEncoder(((3, 2), (4, 3)))
  rng = np.random.default_rng(0)
  pictures = rng.integers(0, 256, (2, 5, 6, 2)).astype(np.uint8)
  encoded = layer(pictures)
  for variable in layer.trainable_variables:
    variable.assign(rng.normal(size=variable.shape))
  encoded = layer(pictures)
  kernel, bias, other_kernel, other_bias = layer.trainable_variables

  def convolve(inputs, kernel, bias, size):
    filters = tf.reshape(kernel, [size, size, -1, kernel.shape[-1]])
    # Zeros at the end of both axes.
    pads = [-s % size for s in inputs.shape[1:3]]
    inputs = tf.pad(inputs, [[0, 0], [0, pads[0]], [0, pads[1]], [0, 0]])
    return tf.tanh(tf.nn.conv2d(inputs, filters, size, 'VALID') + bias)

  hidden = convolve(tf.constant(pictures / 255, tf.float32), kernel, bias, 2)
  expected = convolve(hidden, other_kernel, other_bias, 3)
  assert encoded.shape == expected.shape == (2, 1, 1, 4)
  np.testing.assert_allclose(encoded, expected, rtol=1e-4, atol=1e-5)


def test_a_picture_is_scaled_by_its_largest_value():
  # A board of bits: the largest value is 1.
  spec = _integers((4, 4, 1), tf.uint8, 0, 1)
  layers, _ = observation_encoders.create(spec)
  assert layers.get_config()['maximum'] == 1
  layers, _ = observation_encoders.create(tf.TensorSpec((4, 4, 1), tf.uint8))
  assert layers.get_config()['maximum'] == 255


def test_pictures_vectorise_over_tasks_with_second_derivatives():
  network = actor_networks.create_actor_network(NESTED_SPEC, ACTION_SPEC, (4,))
  parameterized = parameters_lib.ParameterizedNetwork(network)
  rng = np.random.default_rng(0)
  parameters = tuple(
    v + tf.constant(0.3 * rng.normal(size=(2, *v.shape)), v.dtype)
    for v in parameterized.variables_tuple
  )
  observation = _observations(NESTED_SPEC, (2, 3))

  def meta_gradient(task):
    theta, observation = task
    with tf.GradientTape() as outer:
      outer.watch(theta)
      with tf.GradientTape() as inner:
        inner.watch(theta)
        distribution, _ = parameterized(
          theta, observation, step_type=(), network_state=()
        )
        loss = tf.reduce_sum(distribution.mean() ** 2)
      gradients = inner.gradient(
        loss, theta, unconnected_gradients=tf.UnconnectedGradients.ZERO
      )
      phi = tuple(t - 0.1 * g for t, g in zip(theta, gradients))
      distribution, _ = parameterized(
        phi, observation, step_type=(), network_state=()
      )
      loss = tf.reduce_sum(distribution.log_prob(tf.ones([3, 2])))
    return outer.gradient(loss, theta)

  vectorised = tf.function(
    lambda tasks: tf.vectorized_map(
      meta_gradient, tasks, fallback_to_while_loop=False
    )
  )((parameters, observation))
  for task in (0, 1):
    one = recorded_batches.one_task((parameters, observation), task)
    for a, b in zip(vectorised, meta_gradient(one), strict=True):
      np.testing.assert_allclose(a[task], b, rtol=1e-3, atol=1e-4)
      assert np.abs(b).max() > 0


def test_encoders_can_be_given():
  encoders = {
    'camera': tf.keras.Sequential(
      [tf.keras.layers.Rescaling(1 / 255), tf.keras.layers.Conv2D(3, 2)]
    ),
    'arms/0': tf.keras.layers.Dense(7),
  }
  actor = actor_networks.create_actor_network(
    NESTED_SPEC, ACTION_SPEC, (4,), encoders=encoders
  )
  value = value_networks.create_value_network(
    NESTED_SPEC, actor, (4,), encoders=encoders
  )
  for network in (actor, value):
    network.create_variables()
    shapes = [tuple(v.shape) for v in network.trainable_variables]
    # 2 * 7 and 1 of the arms, 4 * 5 * 3 of the camera, 4 of the goal.
    assert shapes[:5] == [(2, 7), (7,), (2, 2, 2, 3), (3,), (79, 4)]
  # Each network has layers of its own.
  assert not {id(v) for v in actor.variables} & {id(v) for v in value.variables}


def test_an_encoder_of_a_single_tensor_can_be_given():
  network = actor_networks.create_actor_network(
    PICTURE_SPEC,
    ACTION_SPEC,
    (4,),
    encoders=encoder_layers.PictureEncoder([[3, 2]]),
  )
  network.create_variables()
  shapes = [tuple(v.shape) for v in network.trainable_variables]
  # 3 x 3 patches of 2 x 2 x 2 numbers.
  assert shapes[:3] == [(8, 3), (3,), (27, 4)]


def test_a_shared_value_network_has_the_encoders():
  actor = actor_networks.create_actor_network(NESTED_SPEC, ACTION_SPEC, (4,))
  value = value_networks.create_value_network(
    NESTED_SPEC, actor, share_layers=True
  )
  value.create_variables()
  observation = _observations(NESTED_SPEC, (3,))
  assert value(observation)[0].shape == (3,)
  shared = {id(v) for v in actor.variables} & {id(v) for v in value.variables}
  # Two layers of the picture and one of all parts, a kernel and a bias each.
  assert len(shared) == 6


@pytest.mark.parametrize(
  'spec, size',
  [
    (tf.TensorSpec((3,), tf.float32), 3),
    (tf.TensorSpec((2, 2), tf.float32), 4),
    (_integers((), tf.int64, 0, 4), 5),
    (NESTED_SPEC, 5 + 32 + 4),
  ],
  ids=['vector', 'matrix', 'integer', 'nested'],
)
def test_a_context_vector_is_appended(spec, size):
  network = actor_networks.create_actor_network(
    spec, ACTION_SPEC, (4,), context_size=3
  )
  network.create_variables()
  (context,) = [v for v in network.trainable_variables if 'context' in v.name]
  assert context.shape == (3,)
  assert (size + 3, 4) in [tuple(v.shape) for v in network.trainable_variables]
  context.assign([1, 2, 3])
  observation = _observations(spec, (2,))
  before = network(observation, step_type=(), network_state=())[0].mean()
  context.assign([3, 2, 1])
  after = network(observation, step_type=(), network_state=())[0].mean()
  assert np.abs(before - after).min() > 0


@pytest.mark.parametrize(
  'spec, encoders, message',
  [
    (NESTED_SPEC, {'camra': tf.keras.layers.Dense(2)}, 'camera, goal'),
    (NESTED_SPEC, {'arms': tf.keras.layers.Dense(2)}, 'arms/0, arms/1'),
    (NESTED_SPEC, {'goal': 8}, 'mapping'),
    (NESTED_SPEC, tf.keras.layers.Dense(2), 'mapping'),
    (NESTED_SPEC, 8, 'mapping'),
    (PICTURE_SPEC, {'camera': tf.keras.layers.Dense(2)}, 'a Keras layer'),
    (PICTURE_SPEC, tf.keras.layers.Dense, 'a Keras layer'),
  ],
)
def test_bad_encoders(spec, encoders, message):
  with pytest.raises(ValueError, match=f'^encoders is .*{message}'):
    actor_networks.create_actor_network(spec, ACTION_SPEC, encoders=encoders)


@pytest.mark.parametrize(
  'layers', [(), 4, ((16,),), ((16, 0),), ((0.5, 2),), (16, 4), '16', None]
)
def test_bad_layers_of_a_picture(layers):
  with pytest.raises(ValueError, match='^layers is '):
    encoder_layers.PictureEncoder(layers)


def test_a_picture_encoder_refuses_a_vector():
  with pytest.raises(ValueError, match=r'pictures \[H, W, C\], not .* \[3\]'):
    encoder_layers.PictureEncoder()(tf.zeros([2, 3]))
