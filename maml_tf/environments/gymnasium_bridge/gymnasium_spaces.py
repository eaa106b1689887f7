"""Gymnasium spaces as TF-Agents specs, and conversions of their values.

A batch of values has the structure of one value, with a leading batch axis in
every array, both in Gymnasium's vector environments and in TF-Agents.
"""

from typing import Any

from gymnasium import spaces
import numpy as np
from tf_agents.specs import array_spec
from tf_agents.typing import types

from maml_tf.environments.gymnasium_bridge import returned_values

_INT64_MAX = np.iinfo(np.int64).max


def to_spec(
  space: spaces.Space, name: str | None = None
) -> types.NestedArraySpec:
  """Returns the spec of a space's values.

  | space | spec |
  |---|---|
  | `Box` of floats | float32, the same shape and bounds |
  | `Box` of uint8 | uint8 |
  | `Box` of other integers | int32 if that holds the dtype, else int64 |
  | `Box` of bool | int32, 0 or 1 |
  | `Discrete`, `MultiDiscrete` | int32 or int64, start, ..., start + n - 1 |
  | `MultiBinary` | int32, 0 or 1 |
  | `Dict`, `Tuple` | a dict or tuple of specs, named name/key or name/index |

  Bounds are inclusive. As in every `BoundedArraySpec`, an infinite bound
  becomes the largest number of its dtype.

  Args:
    space: A space of one environment.
    name: The name of the spec, e.g. 'observation'.

  Returns:
    A `BoundedArraySpec`, or a nest of them.

  Raises:
    ValueError: If the space, or a part of it, has no spec.
  """
  if isinstance(space, spaces.Dict):
    return {k: to_spec(v, _part_name(name, k)) for k, v in space.items()}
  if isinstance(space, spaces.Tuple):
    return tuple(
      to_spec(v, _part_name(name, i)) for i, v in enumerate(space.spaces)
    )
  if isinstance(space, spaces.Box):
    _check_box(space, name)
  elif not isinstance(space, returned_values.INTEGERS):
    raise ValueError(
      f'{name or "the space"} is {space}, which has no spec: wrap the'
      ' environment so that it gives Box, Discrete, MultiDiscrete, MultiBinary,'
      ' or a Dict or Tuple of them'
    )
  return array_spec.BoundedArraySpec(
    space.shape, _spec_dtype(space), *_bounds(space), name=name
  )


def to_arrays(space: spaces.Space, value: Any) -> types.NestedArray:
  """Returns new arrays that hold a space's value and match its spec.

  Args:
    space: A space of one environment.
    value: A value of the space, or a batch of them.
  """
  if isinstance(space, spaces.Dict):
    return {k: to_arrays(v, value[k]) for k, v in space.items()}
  if isinstance(space, spaces.Tuple):
    return tuple(to_arrays(*pair) for pair in zip(space.spaces, value))
  # A copy, since environments may overwrite the arrays that they returned.
  return np.array(value, _spec_dtype(space))


def to_value(
  space: spaces.Space,
  arrays: types.NestedArray,
  batch_shape: tuple[int, ...] = (),
) -> Any:
  """Returns the value of a space that is closest to arrays of its spec.

  Numbers outside a `Box` are clipped to its bounds: Gaussian policies sample
  them and many environments reject them.

  Args:
    space: A space of one environment.
    arrays: Arrays or tensors that match its spec.
    batch_shape: `(N,)` for a batch of N values, `()` for one value.

  Raises:
    ValueError: If an array does not have the space's shape.
  """
  if isinstance(space, spaces.Dict):
    return {k: to_value(v, arrays[k], batch_shape) for k, v in space.items()}
  if isinstance(space, spaces.Tuple):
    return tuple(
      to_value(*pair, batch_shape) for pair in zip(space.spaces, arrays)
    )
  value = np.asarray(arrays)
  expected = (*batch_shape, *(space.shape or ()))
  if value.shape != expected:
    raise ValueError(
      f'a value for {space} has shape {value.shape}, expected {expected}'
    )
  if isinstance(space, spaces.Box):
    return _clip_to_box(space, value)
  value = value.astype(space.dtype)
  # Environments use a `Discrete` value as a key, so it must be a scalar.
  return value[()] if isinstance(space, spaces.Discrete) else value


def _check_box(space, name):
  """Raises ValueError if TensorFlow has no type for a box's numbers."""
  if space.dtype.kind not in 'fiub':
    problem = f'of dtype {space.dtype}'
  elif space.dtype == np.uint64 and np.any(space.high > _INT64_MAX):
    problem = f'of uint64 with values above {_INT64_MAX}'
  else:
    return
  raise ValueError(
    f'{name or "the space"} is a Box {problem}, which has no spec: wrap the'
    ' environment so that it gives a Box of another dtype'
  )


def _clip_to_box(space, value):
  """Clips an array to a box's bounds, then converts it to the box's dtype."""
  # Types in which neither the array nor the bounds overflow.
  if space.dtype.kind == 'f':
    dtype = np.promote_types(value.dtype, space.dtype)
  else:
    dtype = np.dtype(np.int64)
  low, high = space.low.astype(dtype), space.high.astype(dtype)
  return np.asarray(np.clip(value.astype(dtype), low, high).astype(space.dtype))


def _part_name(name, part):
  return str(part) if name is None else f'{name}/{part}'


def _spec_dtype(space):
  """Returns the dtype of a space's arrays, one that networks accept."""
  if space.dtype.kind == 'f':
    return np.float32
  if space.dtype == np.uint8 and isinstance(space, spaces.Box):
    return np.uint8
  is_small = space.dtype == bool or np.can_cast(space.dtype, np.int32)
  return np.int32 if is_small else np.int64


def _bounds(space):
  """Returns the inclusive lower and upper bounds."""
  if isinstance(space, returned_values.INTEGERS):
    return returned_values.integer_bounds(space)
  dtype = _spec_dtype(space)
  if dtype != np.float32:
    return space.low.astype(dtype), space.high.astype(dtype)
  limits = np.finfo(np.float32)
  return tuple(
    np.clip(bound, limits.min, limits.max) for bound in (space.low, space.high)
  )
