"""Keras layers that turn the parts of an observation into vectors."""

from collections.abc import Sequence
from typing import Any

import gin
import numpy as np
import tensorflow as tf

from maml_tf.core import checks

# All layers compute in the type of TF-Agents' networks.
_DTYPE = tf.float32


class Numbers(tf.keras.layers.Layer):
  """The numbers themselves, of any type, as floats."""

  def __init__(self, **kwargs):
    """Creates a layer without variables."""
    super().__init__(**{'dtype': _DTYPE, **kwargs})

  def call(self, inputs):
    return tf.cast(inputs, self.compute_dtype)


class OneHot(tf.keras.layers.Layer):
  """One-hot vectors of integers [N, ...]; 0 or 1 where there are two values."""

  def __init__(self, minimum: Sequence[int], maximum: Sequence[int], **kwargs):
    """Stores the inclusive bounds of each of the part's D integers."""
    super().__init__(**{'dtype': _DTYPE, **kwargs})
    self._bounds = tuple(map(int, minimum)), tuple(map(int, maximum))
    # Each number of the output compares one integer with one value.
    pairs = [
      (i, value)
      for i, (low, high) in enumerate(zip(*self._bounds))
      for value in range(high if high == low + 1 else low, high + 1)
    ]
    self._integers, self._values = np.array(pairs, np.int64).T

  def call(self, inputs):
    flat = tf.reshape(tf.cast(inputs, tf.int64), [-1, len(self._bounds[0])])
    is_value = tf.gather(flat, self._integers, axis=1) == self._values
    return tf.cast(is_value, self.compute_dtype)

  def get_config(self):
    minimum, maximum = self._bounds
    return {**super().get_config(), 'minimum': minimum, 'maximum': maximum}


class ScaledIntegers(tf.keras.layers.Layer):
  """Integers [N, ...] as floats from -1, the minimum, to 1, the maximum."""

  def __init__(self, minimum: Sequence[int], maximum: Sequence[int], **kwargs):
    """Stores the inclusive bounds of each of the part's D integers."""
    super().__init__(**{'dtype': _DTYPE, **kwargs})
    self._bounds = tuple(map(int, minimum)), tuple(map(int, maximum))

  def call(self, inputs):
    minimum, maximum = np.array(self._bounds, np.int64)
    flat = tf.reshape(tf.cast(inputs, tf.int64), [-1, len(minimum)])
    half = np.maximum(maximum - minimum, 1) / 2
    # Exact as long as the numbers are integers.
    offset = tf.cast(flat - minimum, self.compute_dtype)
    return offset / tf.constant(half, self.compute_dtype) - 1.0

  def get_config(self):
    minimum, maximum = self._bounds
    return {**super().get_config(), 'minimum': minimum, 'maximum': maximum}


@gin.configurable
class PictureEncoder(tf.keras.layers.Layer):
  """Convolutions of pictures [N, H, W, C], whose steps are as wide as kernels.

  Such a convolution is a dense layer on each patch. TensorFlow cannot vectorise
  ordinary convolutions over tasks that have different kernels, but it can
  vectorise dense layers. The borders are padded with zeros. The layers are
  tanh layers.
  """

  def __init__(
    self,
    layers: Sequence[tuple[int, int]] = ((16, 4), (32, 4)),
    maximum: float = 255.0,
    **kwargs: Any,
  ):
    """Creates the layers.

    Args:
      layers: The filters, and the height and width of a patch, of each layer.
      maximum: The largest value of a pixel, which becomes 1.
      **kwargs: The arguments of `tf.keras.layers.Layer`.

    Raises:
      ValueError: A number is out of range.
    """
    super().__init__(**{'dtype': _DTYPE, **kwargs})
    self._patches = _check_layers(layers)
    self._maximum = checks.number('maximum', maximum, above=0)
    self._dense = [
      tf.keras.layers.Dense(filters, tf.keras.activations.tanh, dtype=_DTYPE)
      for filters, _ in self._patches
    ]

  def build(self, input_shape):
    if len(input_shape) != 4:
      raise ValueError(
        'PictureEncoder reads pictures [H, W, C], not observations of shape'
        f' {list(input_shape[1:])}: give another encoder'
      )
    super().build(input_shape)

  def call(self, inputs):
    encoded = tf.cast(inputs, self.compute_dtype) / self._maximum
    for dense, (_, size) in zip(self._dense, self._patches):
      patches = _to_patches(encoded, size)
      height, width, pixels = patches.shape[1:]
      # Rows, since matrix products of rank 2 are the fastest to vectorise.
      encoded = tf.reshape(
        dense(tf.reshape(patches, [-1, pixels])),
        [-1, height, width, dense.units],
      )
    return encoded

  def get_config(self):
    return {
      **super().get_config(),
      'layers': self._patches,
      'maximum': self._maximum,
    }


class ContextVector(tf.keras.layers.Layer):
  """Appends a learned vector, which is initially zero, to its input."""

  def __init__(self, size: int, **kwargs):
    """Stores the size of the vector."""
    super().__init__(**kwargs)
    self._size = size

  def build(self, input_shape):
    self.context = self.add_weight('context', [self._size], initializer='zeros')
    super().build(input_shape)

  def call(self, inputs):
    shape = tf.concat([tf.shape(inputs)[:-1], [self._size]], axis=0)
    return tf.concat([inputs, tf.broadcast_to(self.context, shape)], axis=-1)

  def get_config(self):
    return {**super().get_config(), 'size': self._size}


class JoinedParts(tf.keras.layers.Layer):
  """Flattens tensors [N, ...] and joins them, a context vector at the end."""

  def __init__(self, context_size: int = 0, **kwargs):
    """Stores the size of the context vector, 0 for none."""
    super().__init__(**{'dtype': _DTYPE, **kwargs})
    self._context_size = context_size
    self._context = None
    if context_size:
      self._context = ContextVector(context_size, dtype=_DTYPE)

  def call(self, inputs):
    joined = tf.concat(
      [
        tf.reshape(
          tf.cast(part, self.compute_dtype),
          [-1, part.shape[1:].num_elements()],
        )
        for part in inputs
      ],
      axis=-1,
    )
    return joined if self._context is None else self._context(joined)

  def get_config(self):
    return {**super().get_config(), 'context_size': self._context_size}


def _check_layers(layers):
  """Returns the filters and sizes of layers.

  Raises:
    ValueError: They are not pairs of positive integers.
  """
  is_pairs = isinstance(layers, Sequence) and all(
    isinstance(layer, Sequence) and len(layer) == 2 for layer in layers
  )
  if not is_pairs or isinstance(layers, str) or not layers:
    raise ValueError(
      f'layers is {layers!r}: give the filters and the size of the patches of'
      ' each layer, such as ((16, 4), (32, 4))'
    )
  return tuple(
    tuple(checks.integer('layers', n, 1, checks.MAX_SIZE) for n in layer)
    for layer in layers
  )


def _to_patches(pictures, size):
  """Cuts pictures [N, H, W, C] into patches [N, H', W', size * size * C]."""
  _, height, width, channels = pictures.shape
  pictures = tf.pad(
    pictures, [[0, 0], [0, -height % size], [0, -width % size], [0, 0]]
  )
  rows, columns = -(-height // size), -(-width // size)
  patches = tf.reshape(pictures, [-1, rows, size, columns, size, channels])
  return tf.reshape(
    tf.transpose(patches, [0, 1, 3, 2, 4, 5]),
    [-1, rows, columns, size * size * channels],
  )
