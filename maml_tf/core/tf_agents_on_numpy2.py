"""Functions of TF-Agents 0.19.0, its last release, replaced for NumPy 2.

TF-Agents 0.19.0 was written for NumPy 1. Four of its functions that this
package and programs with its parts reach do not work on NumPy 2. The unreleased
master of github.com/tensorflow/agents has mended each; the commits are named
below. `apply` replaces them where NumPy is 2.0 or newer and TF-Agents 0.19.0 or
older. Elsewhere it does nothing. Results are those of NumPy 1.

    specs.tensor_spec.sample_bounded_spec
      reached by   samples of uint8 specs such as images: random policies,
                   `sample_spec_nest`
      NumPy 2.0    keeps 255 + 1 a uint8, hence 0: an empty range
      mended by    8662dab6 (2024-08-19)

    utils.example_encoding._get_feature_encoder
      reached by   `TFRecordObserver`: step types are int32, so all trajectories
      NumPy 2.0    has no `newbyteorder` of scalars
      mended by    3744cbce (2024-08-13)

    networks.categorical_projection_network, its `np.unique`
      reached by   policy networks for discrete actions, those of this package
                   and `ActorDistributionNetwork` alike
      NumPy 2.4    refuses `int` of an array [1]; older ones warn
      mended by    27ab8123 (2026-01-13)

    environments.wrappers.ActionDiscretizeWrapper._map_actions
      reached by   environments in this wrapper
      NumPy 2.4    has no argument `newshape` of `reshape`; 2.1 to 2.3 warn
      mended by    b08e2a8e (2025-12-07)
"""

from collections.abc import Callable
import functools
import re
from typing import Any

import numpy as np
import tensorflow as tf
import tf_agents
from tf_agents.environments import wrappers
from tf_agents.networks import categorical_projection_network
from tf_agents.specs import tensor_spec
from tf_agents.typing import types
from tf_agents.utils import example_encoding

_LAST_BROKEN = (0, 19)


def is_needed(
  numpy_version: str = np.__version__,
  tf_agents_version: str = tf_agents.__version__,
) -> bool:
  """Returns whether these versions do not work together unaided."""
  return (
    _release(numpy_version) >= (2, 0)
    and _release(tf_agents_version) <= _LAST_BROKEN
  )


@functools.cache
def apply() -> None:
  """Replaces the functions if that is needed; once per process."""
  if not is_needed():
    return
  tensor_spec.sample_bounded_spec = _sampling_uint8(
    tensor_spec.sample_bounded_spec
  )
  example_encoding._get_feature_encoder = _encoding_bytes(
    example_encoding._get_feature_encoder
  )
  categorical_projection_network.np = _NumPy()
  wrappers.ActionDiscretizeWrapper._map_actions = _map_actions


def _release(version: str) -> tuple[int, ...]:
  """Returns the first two numbers of a version."""
  return tuple(int(number) for number in re.findall(r'\d+', version)[:2])


def _sampling_uint8(sample: Callable) -> Callable:
  """Returns `sample_bounded_spec`, which samples uint8 as int32.

  Both NumPys sample it as int32; only the bounds were still of uint8.
  """

  @functools.wraps(sample)
  def sample_bounded_spec(spec, seed=None, outer_dims=None):
    if tf.as_dtype(spec.dtype) != tf.uint8:
      return sample(spec, seed, outer_dims)
    bounds = (bound.astype(np.int32) for bound in (spec.minimum, spec.maximum))
    wide = tensor_spec.BoundedTensorSpec(spec.shape, tf.int32, *bounds)
    return tf.cast(sample(wide, seed, outer_dims), tf.uint8)

  return sample_bounded_spec


def _encoding_bytes(get_encoder: Callable) -> Callable:
  """Returns `_get_feature_encoder`, which encodes numbers as bytes itself.

  The original still checks its arguments, whose defaults gin may change, and
  still encodes float32, int64 and compressed images.
  """

  @functools.wraps(get_encoder)
  def get_feature_encoder(shape, dtype, *args, **kwargs):
    try:
      return get_encoder(shape, dtype, *args, **kwargs)
    except AttributeError as error:
      if 'newbyteorder' not in str(error):
        raise
    shape = example_encoding._validate_shape(shape)
    number_type = tf.as_dtype(dtype)
    little_endian = np.dtype(number_type.as_numpy_dtype).newbyteorder('<')

    def encode(value: types.Array) -> tf.train.Feature:
      array = np.asarray(value)
      example_encoding._check_shape_and_dtype(array, shape, number_type)
      data = array.astype(little_endian).tobytes()
      return tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))

    return encode

  return get_feature_encoder


class _NumPy:
  """NumPy as a module of TF-Agents knew it."""

  def __getattr__(self, name: str) -> Any:
    return getattr(np, name)

  @staticmethod
  def unique(array: types.Array) -> np.ndarray:
    """Returns `np.unique`, of which `int` gives a single element."""
    return np.unique(array).view(_Convertible)


class _Convertible(np.ndarray):
  """An array of which `int` gives its only element, whatever its axes."""

  def __int__(self) -> int:
    return int(self.item())


def _map_actions(
  self: wrappers.ActionDiscretizeWrapper,
  action: types.NestedArray,
  action_map: list[np.ndarray],
) -> np.ndarray:
  """Returns the numbers that integers stand for, in the environment's shape."""
  indices = np.asarray(action)
  expected = self.action_spec().shape
  if indices.shape != expected:
    raise ValueError(
      f'Received action with incorrect shape. Got {indices.shape}, expected'
      f' {expected}'
    )
  numbers = [values[i] for values, i in zip(action_map, indices.flat)]
  return np.reshape(numbers, self._original_spec.shape)
