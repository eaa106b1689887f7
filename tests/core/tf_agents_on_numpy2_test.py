"""TF-Agents works on NumPy 2 as on NumPy 1, where this package uses it."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.environments import py_environment
from tf_agents.environments import wrappers
from tf_agents.networks import categorical_projection_network
from tf_agents.specs import array_spec
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.utils import example_encoding

from maml_tf.core import tf_agents_on_numpy2


class _Steered(py_environment.PyEnvironment):
  """Remembers the actions that it gets."""

  def __init__(self):
    super().__init__()
    self.actions = []

  def action_spec(self):
    return array_spec.BoundedArraySpec((2,), np.float32, -1.0, [1.0, 3.0])

  def observation_spec(self):
    return array_spec.ArraySpec((1,), np.float32)

  def _reset(self):
    return ts.restart(np.zeros(1, np.float32))

  def _step(self, action):
    self.actions.append(action)
    return ts.transition(np.zeros(1, np.float32), 0.0)


@pytest.mark.parametrize(
  'numpy_version, tf_agents_version, is_needed',
  [
    ('1.26.4', '0.19.0', False),
    ('2.0.0rc1', '0.19.0', True),
    ('2.5.5', '0.19.0', True),
    ('2.5.5', '0.9.0', True),
    ('2.5.5', '0.20.0', False),
    ('2.5.5', '1.0.0', False),
    ('10.0.0', '0.19.0', True),
  ],
)
def test_it_is_needed_for_these_versions(
  numpy_version, tf_agents_version, is_needed
):
  needed = tf_agents_on_numpy2.is_needed(numpy_version, tf_agents_version)
  assert needed == is_needed


def test_importing_the_package_replaces_functions_where_needed():
  is_replaced = categorical_projection_network.np is not np
  assert is_replaced == tf_agents_on_numpy2.is_needed()


def test_functions_are_replaced_once():
  before = tensor_spec.sample_bounded_spec
  tf_agents_on_numpy2.apply()
  assert tensor_spec.sample_bounded_spec is before


def test_samples_of_bytes_span_their_range():
  specs = (
    tensor_spec.BoundedTensorSpec([], tf.uint8, 0, 255),
    tensor_spec.BoundedTensorSpec([1], tf.uint8, 254, 255),
    # Bounds of each element.
    tensor_spec.BoundedTensorSpec([2], tf.uint8, [0, 3], [1, 3]),
    tensor_spec.TensorSpec([], tf.uint8),
  )
  samples = tensor_spec.sample_spec_nest(specs, seed=0, outer_dims=(20_000,))
  ranges = [
    (s.dtype, s.numpy().min(0).tolist(), s.numpy().max(0).tolist())
    for s in samples
  ]
  assert ranges == [
    (tf.uint8, 0, 255),
    (tf.uint8, [254], [255]),
    (tf.uint8, [0, 3], [1, 3]),
    (tf.uint8, 0, 255),
  ]


def test_samples_of_bytes_are_those_of_int32():
  draws = []
  for dtype in (tf.uint8, tf.int32):
    tf.random.set_seed(3)
    spec = tensor_spec.BoundedTensorSpec([4], dtype, 7, 255)
    draws.append(tensor_spec.sample_bounded_spec(spec, 5, [2]).numpy().tolist())
  assert draws[0] == draws[1]


def test_numbers_are_encoded_in_little_endian_order():
  numbers = {
    'step': np.array([1, 258], np.int32),
    'image': np.array([7, 255], np.uint8),
    'half': np.array(1, np.float16),
    'double': np.array([-2.0]).astype('>f8'),
    'float': np.array([0.5], np.float32),
    'long': np.array([3]),
  }
  spec = {
    name: array_spec.ArraySpec(value.shape, value.dtype.newbyteorder('='))
    for name, value in numbers.items()
  }
  example = example_encoding.get_example_encoder(spec)(numbers)
  features = {
    name: list(getattr(feature, feature.WhichOneof('kind')).value)
    for name, feature in example.features.feature.items()
  }
  assert features == {
    # 258 = 2 + 1 * 256.
    'step': [b'\x01\x00\x00\x00\x02\x01\x00\x00'],
    'image': [b'\x07\xff'],
    # Exponents: 15 in 5 bits after the sign, 1024 in 11.
    'half': [b'\x00\x3c'],
    'double': [b'\x00\x00\x00\x00\x00\x00\x00\xc0'],
    'float': [0.5],
    'long': [3],
  }


def test_trajectories_are_encoded_and_decoded():
  frame = trajectory.Trajectory(
    step_type=np.array(1, np.int32),
    observation={'image': np.full((2, 2, 3), 200, np.uint8)},
    action=np.array([0.25, -1], np.float32),
    policy_info=(),
    next_step_type=np.array(2, np.int32),
    reward=np.array(-3, np.float32),
    discount=np.array(0, np.float32),
  )
  spec = tf.nest.map_structure(array_spec.ArraySpec.from_array, frame)
  text = example_encoding.get_example_serializer(spec)(frame)
  decoded = example_encoding.get_example_decoder(spec)(text)
  tf.nest.map_structure(np.testing.assert_array_equal, frame, decoded)
  # JPEG knows one colour well enough.
  text = example_encoding.get_example_serializer(spec, compress_image=True)(
    frame
  )
  decode = example_encoding.get_example_decoder(spec, compress_image=True)
  image = decode(text).observation['image'].numpy()
  assert np.abs(image.astype(int) - 200).max() <= 2


@pytest.mark.parametrize(
  'shape, dtype, value, message',
  [
    ((2,), np.int32, np.zeros(3, np.int32), r'Expected shape \(2,\) of int32'),
    ((2,), np.int32, np.zeros(2, np.int16), r'got: shape \(2,\) of int16'),
    ((0,), np.int32, None, 'expected positive int'),
    ((1,), np.bool_, None, 'bool is not supported'),
  ],
)
def test_values_that_do_not_match_their_spec_are_not_encoded(
  shape, dtype, value, message
):
  with pytest.raises(ValueError, match=message):
    encode = example_encoding.get_example_encoder(
      array_spec.ArraySpec(shape, dtype)
    )
    encode(value)


def test_discrete_actions_have_a_network():
  spec = tensor_spec.BoundedTensorSpec([2], tf.int32, 1, 4)
  network = categorical_projection_network.CategoricalProjectionNetwork(spec)
  for each in (network, network.copy(name='Copy')):
    distribution, _ = each(tf.ones([5, 3]), outer_rank=1)
    # Two actions of four choices.
    assert distribution.logits_parameter().shape == (5, 2, 4)


@pytest.mark.parametrize('bounds', [(0, [1, 2]), ([0, 1], 1)])
def test_actions_with_unequal_choices_have_no_network(bounds):
  spec = tensor_spec.BoundedTensorSpec([2], tf.int32, *bounds)
  with pytest.raises(ValueError, match='must be the same'):
    categorical_projection_network.CategoricalProjectionNetwork(spec)


def test_discrete_actions_steer_a_continuous_environment():
  environment = _Steered()
  wrapper = wrappers.ActionDiscretizeWrapper(environment, np.array([3, 5]))
  wrapper.reset()
  for action in ([0, 0], [1, 1], [2, 4]):
    wrapper.step(np.array(action, np.int32))
  # -1, 0, 1 and -1, 0, 1, 2, 3.
  np.testing.assert_array_equal(environment.actions, [[-1, -1], [0, 0], [1, 3]])
  with pytest.raises(ValueError, match=r'Got \(\), expected \(2,\)'):
    wrapper.step(np.array(1, np.int32))
