"""Observations of any structure as one vector, which a network's layers read.

Each part of the observation has an encoder, a Keras layer. All parts are then
flattened and joined.
"""

from collections.abc import Mapping
import types as python_types
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.typing import types
from tf_agents.utils import nest_utils

from maml_tf.learning import encoder_layers

Encoders = Mapping[str, tf.keras.layers.Layer] | tf.keras.layers.Layer

# No replacements. Unlike None it is no literal of gin, so configs do not record
# it, and runs of versions without this argument resume.
DEFAULTS: Encoders = python_types.MappingProxyType({})
# The most numbers of a one-hot vector.
_MAX_ONE_HOT = 1024


def create(
  observation_spec: types.NestedTensorSpec,
  encoders: Encoders | None = DEFAULTS,
  context_size: int = 0,
) -> tuple[Any, tf.keras.layers.Layer | None]:
  """Creates the preprocessing of an `EncodingNetwork`.

  The default encoders:

  | part | encoding |
  |---|---|
  | floats, integers without bounds | the numbers themselves |
  | pictures: uint8 [H, W, C] | `PictureEncoder` |
  | bytes from 0 to 255, large ranges of integers | scaled to [-1, 1] |
  | small ranges of integers | one-hot; one number, 0 or 1, for two values |

  A range is small if the part's one-hot vectors have at most 1,024 numbers.

  Args:
    observation_spec: A nest of `TensorSpec`.
    encoders: Layers that replace default encoders. For an observation that is a
      single tensor, a layer; otherwise a mapping from the paths of parts to
      layers, such as {'camera': layer, 'arm/0': layer}. A layer gets the part
      as it is: Keras' convolutions need a `Rescaling` before them. The network
      uses copies of the layers.
    context_size: The size of a `ContextVector`, which is appended.

  Returns:
    A nest of layers like the observation, and the layer that joins their
    outputs. Both are None where the network can read the observation itself.

  Raises:
    ValueError: `encoders` does not fit the observation.
  """
  given = _check_encoders(encoders, observation_spec)
  layers = [
    given[path] if path in given else _default(spec)
    for path, spec in nest_utils.flatten_with_joined_paths(observation_spec)
  ]
  if isinstance(observation_spec, tf.TensorSpec) and not given:
    is_numbers = isinstance(layers[0], encoder_layers.Numbers)
    if is_numbers and not context_size:
      return None, None
    if is_numbers and observation_spec.shape.rank == 1:
      return encoder_layers.ContextVector(context_size), None
  return (
    tf.nest.pack_sequence_as(observation_spec, layers),
    encoder_layers.JoinedParts(context_size),
  )


def _default(spec):
  """Returns the default encoder of one part."""
  if not spec.dtype.is_integer:
    return encoder_layers.Numbers()
  is_bounded = hasattr(spec, 'minimum')
  if spec.dtype == tf.uint8 and spec.shape.rank == 3:
    return encoder_layers.PictureEncoder(
      maximum=max(float(np.max(spec.maximum)), 1.0) if is_bounded else 255.0
    )
  if not is_bounded:
    return encoder_layers.Numbers()
  # Python's integers: the difference of two int64 may exceed an int64.
  minimum, maximum = (
    np.broadcast_to(bound, spec.shape).ravel().tolist()
    for bound in (spec.minimum, spec.maximum)
  )
  ranges = [high - low for low, high in zip(minimum, maximum)]
  if spec.dtype != tf.uint8 and max(ranges) >= spec.dtype.max:
    return encoder_layers.Numbers()
  is_bytes = spec.dtype == tf.uint8 and min(ranges) == 255
  if is_bytes or sum(ranges) + len(ranges) > _MAX_ONE_HOT:
    return encoder_layers.ScaledIntegers(minimum, maximum)
  return encoder_layers.OneHot(minimum, maximum)


def _check_encoders(encoders, observation_spec):
  """Returns the given layers by path.

  Raises:
    ValueError: They do not fit the observation.
  """
  if encoders is None or encoders is DEFAULTS:
    return {}
  paths = [p for p, _ in nest_utils.flatten_with_joined_paths(observation_spec)]
  if not tf.nest.is_nested(observation_spec):
    example = 'a Keras layer, since the observation is a single tensor'
    given = {paths[0]: encoders}
  else:
    example = 'a mapping from parts of the observation to Keras layers; the'
    example += f' parts are {", ".join(paths)}'
    given = dict(encoders) if isinstance(encoders, Mapping) else {'': encoders}
  for path, layer in given.items():
    if path not in paths or not isinstance(layer, tf.keras.layers.Layer):
      raise ValueError(f'encoders is {encoders!r}: give {example}')
  return given
