"""Conversions of spaces to specs, and of their values in both directions."""

from gymnasium import spaces
import numpy as np
import pytest
from tf_agents.specs import array_spec

from maml_tf.environments.gymnasium_bridge import gymnasium_spaces

_FLOAT_MAX = np.finfo(np.float32).max


@pytest.mark.parametrize(
  'space, shape, dtype, minimum, maximum',
  [
    (
      spaces.Box(np.array([-1, 0]), np.array([2, 3]), dtype=np.float64),
      (2,),
      np.float32,
      [-1, 0],
      [2, 3],
    ),
    (spaces.Box(0, 255, (4, 4, 3), np.uint8), (4, 4, 3), np.uint8, 0, 255),
    (spaces.Box(-1, 1, (), np.float32), (), np.float32, -1, 1),
    (
      spaces.Box(-np.inf, np.inf, (2,), np.float64),
      (2,),
      np.float32,
      -_FLOAT_MAX,
      _FLOAT_MAX,
    ),
    (
      # Finite, but beyond the range of float32.
      spaces.Box(-1e300, 1e300, (1,), np.float64),
      (1,),
      np.float32,
      -_FLOAT_MAX,
      _FLOAT_MAX,
    ),
    (spaces.Discrete(4), (), np.int64, 0, 3),
    (spaces.Discrete(4, start=-2), (), np.int64, -2, 1),
    (spaces.Discrete(4, dtype=np.int8), (), np.int32, 0, 3),
    # 28 + 100 is more than an int8.
    (spaces.Discrete(100, start=28, dtype=np.int8), (), np.int32, 28, 127),
    (
      spaces.MultiDiscrete([100], dtype=np.int8, start=[28]),
      (1,),
      np.int32,
      [28],
      [127],
    ),
    (spaces.MultiDiscrete([2, 5]), (2,), np.int64, [0, 0], [1, 4]),
    (
      spaces.MultiDiscrete([2, 5], dtype=np.int32, start=[1, -1]),
      (2,),
      np.int32,
      [1, -1],
      [2, 3],
    ),
    (spaces.MultiBinary(3), (3,), np.int32, 0, 1),
    (spaces.Box(0, 1, (3,), bool), (3,), np.int32, 0, 1),
    (spaces.Box(-3, 4, (1,), np.int8), (1,), np.int32, -3, 4),
    (spaces.Box(-3, 4, (1,), np.int16), (1,), np.int32, -3, 4),
    (spaces.Box(0, 65535, (1,), np.uint16), (1,), np.int32, 0, 65535),
    (spaces.Box(-3, 4, (1,), np.int32), (1,), np.int32, -3, 4),
    (spaces.Box(0, 2**32 - 1, (1,), np.uint32), (1,), np.int64, 0, 2**32 - 1),
    (spaces.Box(0, 2**62, (1,), np.uint64), (1,), np.int64, 0, 2**62),
    (spaces.Box(-1, 2, (2,), np.float16), (2,), np.float32, -1, 2),
    (spaces.MultiBinary((2, 3)), (2, 3), np.int32, 0, 1),
  ],
  ids=str,
)
def test_spec_of_a_single_array(space, shape, dtype, minimum, maximum):
  spec = gymnasium_spaces.to_spec(space, 'action')
  assert type(spec) is array_spec.BoundedArraySpec
  assert (spec.shape, spec.dtype, spec.name) == (shape, dtype, 'action')
  for given, expected in ((spec.minimum, minimum), (spec.maximum, maximum)):
    np.testing.assert_array_equal(
      np.broadcast_to(given, shape), np.broadcast_to(expected, shape)
    )


def test_specs_of_dicts_and_tuples_are_named_by_their_path():
  space = spaces.Dict(
    b=spaces.Tuple((spaces.Discrete(2), spaces.Box(0, 1, (3,)))),
    a=spaces.MultiBinary(1),
  )
  spec = gymnasium_spaces.to_spec(space, 'observation')
  assert set(spec) == {'a', 'b'} and type(spec['b']) is tuple
  assert spec['a'].name == 'observation/a'
  assert [s.name for s in spec['b']] == ['observation/b/0', 'observation/b/1']
  assert gymnasium_spaces.to_spec(space)['b'][0].name == 'b/0'


@pytest.mark.parametrize(
  'space, name',
  [
    (spaces.Text(3), 'action'),
    (spaces.Sequence(spaces.Discrete(2)), 'action'),
    (spaces.Graph(spaces.Discrete(2), None), 'action'),
    (spaces.OneOf([spaces.Discrete(2)]), 'action'),
    (spaces.Dict(word=spaces.Tuple([spaces.Text(3)])), 'action/word/0'),
  ],
  ids=lambda value: type(value).__name__,
)
def test_the_error_about_another_space_names_it(space, name):
  with pytest.raises(ValueError, match=f'^{name} is .*no spec: wrap') as error:
    gymnasium_spaces.to_spec(space, 'action')
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  'space',
  [
    spaces.Box(-1, 1, (2,), np.float64),
    spaces.Box(-1, 1, (), np.float32),
    spaces.Box(0, 255, (2, 2, 3), np.uint8),
    spaces.Discrete(5, start=3),
    spaces.Discrete(5, dtype=np.int8),
    spaces.MultiDiscrete([[2, 3], [4, 5]]),
    spaces.MultiBinary((2, 2)),
    spaces.Box(0, 1, (3,), bool),
    spaces.Box(-128, 127, (3,), np.int8),
    spaces.Box(0, 2**32 - 1, (3,), np.uint32),
    spaces.Box(0, 2**62, (3,), np.uint64),
    spaces.Box(-np.inf, np.inf, (3,), np.int64),
    spaces.Box(-1, 1, (3,), np.float16),
    spaces.Tuple([spaces.Dict(a=spaces.Discrete(2)), spaces.Box(0, 1, (2,))]),
  ],
  ids=str,
)
def test_sampled_values_match_the_spec_and_convert_back(space):
  space.seed(0)
  spec = gymnasium_spaces.to_spec(space)
  for _ in range(5):
    arrays = gymnasium_spaces.to_arrays(space, space.sample())
    array_spec.assert_arrays_spec_nest(arrays, spec)
    value = gymnasium_spaces.to_value(space, arrays)
    assert space.contains(value)
    back = gymnasium_spaces.to_arrays(space, value)
    np.testing.assert_equal(back, arrays)


def test_arrays_are_copies():
  kept = np.zeros(2, np.float32)
  given = gymnasium_spaces.to_arrays(spaces.Box(0, 1, (2,)), kept)
  kept[:] = 1
  np.testing.assert_array_equal(given, [0, 0])


def test_numbers_beyond_a_box_become_its_bounds_in_its_dtype():
  # The float32 nearest to 0.1 is larger than the float64, so outside the box.
  space = spaces.Box(np.array([-0.1, 0]), np.array([0.1, 1]), dtype=np.float64)
  value = gymnasium_spaces.to_value(space, np.array([0.1, -7], np.float32))
  np.testing.assert_array_equal(value, [0.1, 0.0])
  assert value.dtype == np.float64 and space.contains(value)
  batch = np.array([[9, 9], [-9, 0.5]], np.float32)
  np.testing.assert_array_equal(
    gymnasium_spaces.to_value(space, batch, (2,)), [[0.1, 1], [-0.1, 0.5]]
  )
  np.testing.assert_array_equal(batch, [[9, 9], [-9, 0.5]])


@pytest.mark.parametrize(
  'space, given, expected',
  [
    # Neither the array's type nor the box's overflows.
    (spaces.Box(0, 9, (2,), np.uint8), np.int64([300, -1]), [9, 0]),
    (spaces.Box(-128, 9, (2,), np.int8), np.int32([10, -500]), [9, -128]),
    (
      spaces.Box(0, 2**62, (2,), np.uint64),
      np.int64([2**62 - 1, -1]),
      [2**62 - 1, 0],
    ),
    (spaces.Box(-1, 1, (2,), np.float16), np.float32([1e6, -0.5]), [1, -0.5]),
    (spaces.Box(0, 1, (2,), bool), np.int32([1, 0]), [True, False]),
  ],
  ids=str,
)
def test_numbers_beyond_the_type_of_a_box(space, given, expected):
  value = gymnasium_spaces.to_value(space, given)
  np.testing.assert_array_equal(value, expected)
  assert value.dtype == space.dtype and space.contains(value)


def test_unsigned_integers_that_tensorflow_lacks():
  space = spaces.Dict(clock=spaces.Box(0, 2**64 - 1, (1,), np.uint64))
  with pytest.raises(ValueError, match='^observation/clock is a Box of uint64'):
    gymnasium_spaces.to_spec(space, 'observation')


def test_a_discrete_value_can_be_a_key():
  value = gymnasium_spaces.to_value(spaces.Discrete(3), np.array(2))
  assert {2: 'right'}[value] == 'right'


@pytest.mark.parametrize(
  'shape, batch_shape', [((1, 2), ()), ((), ()), ((2,), (2,)), ((3, 2), (2,))]
)
def test_another_shape_is_an_error(shape, batch_shape):
  with pytest.raises(ValueError, match='has shape .*, expected'):
    gymnasium_spaces.to_value(
      spaces.Box(0, 1, (2,)), np.zeros(shape), batch_shape
    )
