"""Gymnasium's spaces as TF-Agents specs, and values on their way between them.

A batch of values has the structure of one value, with a leading batch axis in
every array: so it is in Gymnasium's vector environments and in TF-Agents.
"""

from typing import Any

from gymnasium import spaces
import numpy as np
from tf_agents.specs import array_spec
from tf_agents.typing import types

_INTEGERS = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


def to_spec(
  space: spaces.Space, name: str | None = None
) -> types.NestedArraySpec:
  """Returns the spec of a space's values.

  | space | spec |
  |---|---|
  | `Box` | of its shape and bounds; float64 becomes float32, others stay |
  | `Discrete`, `MultiDiscrete` | int32 or int64, start, ..., start + n - 1 |
  | `MultiBinary` | int32, 0 or 1 |
  | `Dict`, `Tuple` | a dict or tuple of specs, named name/key or name/index |

  Bounds are inclusive. An infinite one is its dtype's largest number, as in
  every `BoundedArraySpec`.

  Args:
    space: A space of one environment.
    name: What the values are, e.g. 'observation'.

  Returns:
    A `BoundedArraySpec`, or a nest of them.

  Raises:
    ValueError: There is no spec for the space, or for a part of it.
  """
  if isinstance(space, spaces.Dict):
    return {k: to_spec(v, _part_name(name, k)) for k, v in space.items()}
  if isinstance(space, spaces.Tuple):
    return tuple(
      to_spec(v, _part_name(name, i)) for i, v in enumerate(space.spaces)
    )
  if not isinstance(space, (spaces.Box, *_INTEGERS)):
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
    value: One value of it, or a batch of them.
  """
  if isinstance(space, spaces.Dict):
    return {k: to_arrays(v, value[k]) for k, v in space.items()}
  if isinstance(space, spaces.Tuple):
    return tuple(to_arrays(*pair) for pair in zip(space.spaces, value))
  # A copy: environments may go on writing to what they returned.
  return np.array(value, _spec_dtype(space))


def to_value(
  space: spaces.Space,
  arrays: types.NestedArray,
  batch_shape: tuple[int, ...] = (),
) -> Any:
  """Returns the space's value that is nearest to arrays of its spec.

  Numbers beyond the bounds of a `Box` become the bound, since many environments
  refuse them and policies such as Gaussians sample them.

  Args:
    space: A space of one environment.
    arrays: Arrays or tensors that match its spec.
    batch_shape: `(N,)` for a batch of N values, `()` for one.

  Raises:
    ValueError: The shape of an array is not that of the space.
  """
  if isinstance(space, spaces.Dict):
    return {k: to_value(v, arrays[k], batch_shape) for k, v in space.items()}
  if isinstance(space, spaces.Tuple):
    return tuple(
      to_value(*pair, batch_shape) for pair in zip(space.spaces, arrays)
    )
  value = np.asarray(arrays)
  expected = (*batch_shape, *space.shape)
  if value.shape != expected:
    raise ValueError(
      f'a value for {space} has shape {value.shape}, expected {expected}'
    )
  value = value.astype(space.dtype)
  if isinstance(space, spaces.Box):
    return np.asarray(np.clip(value, space.low, space.high))
  # A number of its own where there is just one: environments look it up.
  return value[()] if isinstance(space, spaces.Discrete) else value


def _part_name(name, part):
  return str(part) if name is None else f'{name}/{part}'


def _spec_dtype(space):
  """The dtype of a space's arrays, one that networks take."""
  if isinstance(space, _INTEGERS):
    return np.int32 if np.can_cast(space.dtype, np.int32) else np.int64
  return np.float32 if space.dtype == np.float64 else space.dtype


def _bounds(space):
  """The least and the largest number, inclusive."""
  if isinstance(space, spaces.Discrete):
    return space.start, space.start + space.n - 1
  if isinstance(space, spaces.MultiDiscrete):
    return space.start, space.start + space.nvec - 1
  if isinstance(space, spaces.MultiBinary):
    return 0, 1
  if space.dtype != np.float64:
    return space.low, space.high
  limits = np.finfo(np.float32)
  return tuple(
    np.clip(bound, limits.min, limits.max) for bound in (space.low, space.high)
  )
