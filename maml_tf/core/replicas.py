"""Means over the tasks of all replicas, which hold equally many tasks each.

Sums over tasks are computed in float64 and rounded once. So the float32 result
does not depend on the order of the tasks, nor on their division over replicas
and workers. On a TPU, which has no float64, it may differ in its last bit.
"""

import numpy as np
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import devices
from maml_tf.core import exact_sums


def count() -> int:
  """Returns the number of replicas; 1 outside of a replica."""
  context = tf.distribute.get_replica_context()
  return 1 if context is None else context.num_replicas_in_sync


def local_mean(per_task: types.NestedTensor) -> types.NestedTensor:
  """Returns the mean over the tasks of this replica.

  Args:
    per_task: A nest of floating-point tensors [B, ...].

  Returns:
    A nest of float64 tensors [...]; on a TPU, of the type of `per_task`.
  """
  return tf.nest.map_structure(exact_sums.mean, per_task)


def mean(tensors: types.NestedTensor) -> types.NestedTensor:
  """Returns the mean of a nest over replicas; all replicas get the same."""
  return _all_reduce(tf.distribute.ReduceOp.MEAN, tensors)


def total(tensors: types.NestedTensor) -> types.NestedTensor:
  """Returns the sum of a nest over replicas; all replicas get the same."""
  return _all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def gather(values: types.Tensor) -> types.Tensor:
  """Concatenates the values of all replicas' tasks.

  Args:
    values: A tensor [B_local] of this replica's tasks.

  Returns:
    A tensor [B] of all tasks, in the order of the replicas.
  """
  if count() == 1:
    return values
  replica = tf.distribute.get_replica_context().replica_id_in_sync_group
  is_here = tf.one_hot(replica, count(), dtype=values.dtype)
  return tf.reshape(total(is_here[:, tf.newaxis] * values), [-1])


def share(tensors: types.NestedTensor) -> types.NestedTensor:
  """Divides a nest, equal on all replicas, by the number of replicas.

  TF-Agents sums the replicas' results. The shares of several replicas are
  float64, so that they add up to exactly the same float32 numbers. On a TPU
  they are float32, which is as exact for a power of two.
  """
  if count() == 1:
    return tensors
  return tf.nest.map_structure(
    lambda t: tf.cast(t, exact_sums.dtype(t)) / count(), tensors
  )


def standardize(values: types.Tensor) -> types.Tensor:
  """Standardises values to mean 0 and deviation 1 over all replicas' tasks.

  Values that are equal up to rounding give 0, not rounding errors divided by
  their deviation.

  Args:
    values: A floating-point tensor [B] of this replica's tasks.

  Returns:
    A tensor [B] of the same type.
  """
  exact = tf.cast(values, exact_sums.dtype(values))
  average, deviation = _moments(exact)
  standardized = (exact - average) / (deviation + 1e-8)
  # A deviation is that of a few roundings. The difference of squares leaves one
  # as large as the square root of its own rounding error. NaN stays.
  ulps = 16 * max(
    np.finfo(values.dtype.as_numpy_dtype).eps,
    np.sqrt(np.finfo(np.float64).eps),
  )
  is_constant = deviation <= ulps * abs(average)
  return tf.cast(
    tf.where(is_constant, tf.zeros_like(exact), standardized), values.dtype
  )


def _moments(values):
  """Returns mean and standard deviation over all replicas' tasks."""
  if not devices.has_float64():
    # A difference of squares would lose the digits that float32 has, and large
    # numbers have no squares in it.
    average = mean(exact_sums.mean(values))
    scale = tf.maximum(abs(average), 1.0)
    square = mean(exact_sums.mean(((values - average) / scale) ** 2))
    return average, scale * tf.sqrt(square)
  average, square = mean((tf.reduce_mean(values), tf.reduce_mean(values**2)))
  return average, tf.sqrt(tf.maximum(square - average**2, 0.0))


def _all_reduce(op, tensors):
  if count() == 1:
    return tensors
  # A reduction between hosts needs the tensors' devices. Arguments of functions
  # have none, but their identities do.
  flat = [tf.identity(t) for t in tf.nest.flatten(tensors)]
  # A reduction between hosts cannot take tensors without elements.
  full = [t for t in flat if t.shape.num_elements() != 0]
  reduced = iter(tf.distribute.get_replica_context().all_reduce(op, full))
  return tf.nest.pack_sequence_as(
    tensors,
    [next(reduced) if t.shape.num_elements() != 0 else t for t in flat],
  )
