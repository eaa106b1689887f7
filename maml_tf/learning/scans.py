"""Scans along time, y_t = fn(y_{t-1}, x_t), in log T steps."""

from collections.abc import Callable
import functools

import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.typing import types

from maml_tf.core import lite_operations

Scan = Callable[[types.NestedTensor, types.NestedTensor], types.NestedTensor]


def scan(fn: Scan, elements: types.NestedTensor) -> types.NestedTensor:
  """Scans the last axis with an associative function.

  The length T may be unknown, as in an exported model.

  Args:
    fn: (earlier, later) -> their combination; all are nests like `elements`.
    elements: A nest of tensors [..., T].

  Returns:
    A nest of tensors [..., T].
  """
  first = tf.nest.flatten(elements)[0]
  if lite_operations.are_required():
    return _scan_by_slices(fn, elements)
  if first.shape[-1] is not None:
    return tfp.math.scan_associative(fn, elements, axis=first.shape.rank - 1)
  return _scan_unknown_length(fn, elements)


def decayed_sums(terms: types.Tensor, decays: types.Tensor) -> types.Tensor:
  """Solves y_t = decays_t * y_{t-1} + terms_t, where y_{-1} = 0.

  Args:
    terms: A tensor [..., T].
    decays: A tensor [..., T].

  Returns:
    A tensor [..., T].
  """

  def compose(earlier, later):
    return earlier[0] * later[0], later[1] + later[0] * earlier[1]

  return scan(compose, (decays, terms))[1]


def _scan_by_slices(fn, elements):
  """Does what `_scan_unknown_length` does, for a known length, without a loop.

  TFLite has no kernel for the gradient of TFP's strided slices.
  """
  length = tf.nest.flatten(elements)[0].shape[-1]
  reach = 1
  while reach < length:
    start, earlier, later = (
      tf.nest.map_structure(functools.partial(_slice, begin, size), elements)
      for begin, size in (
        (0, reach),
        (0, length - reach),
        (reach, length - reach),
      )
    )
    elements = tf.nest.map_structure(
      lambda *tensors: tf.concat(tensors, -1), start, fn(earlier, later)
    )
    reach *= 2
  return elements


def _slice(begin, size, tensor):
  """Returns elements of the last axis."""
  outer = tensor.shape.rank - 1
  return tf.slice(tensor, [0] * outer + [begin], [-1] * outer + [size])


def _scan_unknown_length(fn, elements):
  """Doubles the reach of every element until it covers the whole axis.

  TFP's scan would nest a conditional for each bit of the length, which takes
  seconds to trace and megabytes to save.
  """
  flat = tf.nest.flatten(elements)
  length = tf.shape(flat[0])[-1]
  position = tf.range(length)

  def extend(reach, *flat):
    # Roll rather than slice: XLA needs the shapes to stay the same.
    earlier = [tf.roll(t, reach, axis=t.shape.rank - 1) for t in flat]
    combined = fn(
      tf.nest.pack_sequence_as(elements, earlier),
      tf.nest.pack_sequence_as(elements, flat),
    )
    extended = [
      tf.where(position < reach, t, c)
      for t, c in zip(flat, tf.nest.flatten(combined))
    ]
    return 2 * reach, *extended

  _, *flat = tf.while_loop(
    lambda reach, *_: reach < length,
    extend,
    (1, *flat),
    shape_invariants=(tf.TensorShape([]), *(t.shape for t in flat)),
  )
  return tf.nest.pack_sequence_as(elements, flat)
