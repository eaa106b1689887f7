"""Sums of many float32 numbers that are rounded once.

They are computed in float64. A TPU has none: there each partial sum carries the
error of its roundings in a second float32 (Knuth's TwoSum), which is nearly as
exact.
"""

import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import devices


def dtype(tensor: types.Tensor) -> tf.DType:
  """Returns the type in which a tensor is summed: float64 if there is one."""
  return tf.float64 if devices.has_float64() else tensor.dtype


def mean(tensor: types.Tensor) -> types.Tensor:
  """Returns the mean over axis 0, in `dtype`."""
  if devices.has_float64():
    return tf.reduce_mean(tf.cast(tensor, tf.float64), axis=0)
  size = tf.cast(tf.shape(tensor)[0], tensor.dtype)
  return _sum_in_pairs(tensor) / size


def total(tensor: types.Tensor, num_axes: int = 1) -> types.Tensor:
  """Returns the sum over the first axes, in `dtype`.

  Args:
    tensor: A tensor of at least `num_axes` axes.
    num_axes: How many axes to sum over.
  """
  if devices.has_float64():
    axes = list(range(num_axes))
    return tf.reduce_sum(tf.cast(tensor, tf.float64), axes)
  rest = tf.shape(tensor)[num_axes:]
  flat = tf.reshape(tensor, tf.concat([[-1], rest], 0))
  size = tensor.shape[:num_axes].num_elements()
  return _sum_in_pairs(tf.ensure_shape(flat, [size, *tensor.shape[num_axes:]]))


def _sum_in_pairs(tensor):
  """Sums over axis 0: halves are added until one number is left."""
  size = tensor.shape[0]
  if size is None:
    return tf.reduce_sum(tensor, axis=0)
  error = tf.zeros_like(tensor)
  while size > 1:
    if size % 2:
      blank = tf.zeros_like(tensor[:1])
      tensor = tf.concat([tensor, blank], 0)
      error = tf.concat([error, blank], 0)
    size = (size + 1) // 2
    tensor, rounding = _two_sum(tensor[:size], tensor[size:])
    error = error[:size] + error[size:] + rounding
  return tf.reduce_sum(tensor + error, axis=0)


def _two_sum(a, b):
  """Returns the rounded sum of two tensors, and what rounding took from it."""
  rounded = a + b
  of_b = rounded - a
  return rounded, (a - (rounded - of_b)) + (b - of_b)
