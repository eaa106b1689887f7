"""Means over the tasks of all replicas, which hold equally many each.

Sums over tasks are taken in float64 and rounded once: the order in which the
tasks are added, and so how they are divided over replicas and workers, then
does not show in the float32 result.
"""

import tensorflow as tf
from tf_agents.typing import types


def local_mean(per_task: types.NestedTensor) -> types.NestedTensor:
  """Returns the mean over the tasks of this replica.

  Args:
    per_task: A nest of floating-point tensors [B, ...].

  Returns:
    A nest of float64 tensors [...].
  """
  return tf.nest.map_structure(
    lambda t: tf.reduce_mean(tf.cast(t, tf.float64), axis=0), per_task
  )


def mean(tensors: types.NestedTensor) -> types.NestedTensor:
  """Returns the mean over replicas, the same on all of them."""
  return _all_reduce(tf.distribute.ReduceOp.MEAN, tensors)


def total(tensors: types.NestedTensor) -> types.NestedTensor:
  """Returns the sum over replicas, the same on all of them."""
  return _all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def gather(values: types.Tensor) -> types.Tensor:
  """Returns the values of all tasks: [B of a replica] -> [B of all]."""
  if _count() == 1:
    return values
  replica = tf.distribute.get_replica_context().replica_id_in_sync_group
  is_here = tf.one_hot(replica, _count(), dtype=values.dtype)
  return tf.reshape(total(is_here[:, tf.newaxis] * values), [-1])


def share(tensors: types.NestedTensor) -> types.NestedTensor:
  """Returns each replica's share of a nest that is the same on all.

  Whoever runs a TF-Agents agent on replicas sums up their reports. The shares
  of several replicas are float64: they add up to the very float32 numbers.
  """
  if _count() == 1:
    return tensors
  return tf.nest.map_structure(
    lambda t: tf.cast(t, tf.float64) / _count(), tensors
  )


def standardize(values: types.Tensor) -> types.Tensor:
  """Gives [B] mean 0 and deviation 1 over the tasks of all replicas."""
  exact = tf.cast(values, tf.float64)
  average, square = mean((tf.reduce_mean(exact), tf.reduce_mean(exact**2)))
  deviation = tf.sqrt(tf.maximum(square - average**2, 0.0))
  return tf.cast((exact - average) / (deviation + 1e-8), values.dtype)


def _all_reduce(op, tensors):
  if _count() == 1:
    return tensors
  # Between hosts, a tensor must say which device it is on; arguments do not.
  tensors = tf.nest.map_structure(tf.identity, tensors)
  return tf.distribute.get_replica_context().all_reduce(op, tensors)


def _count():
  context = tf.distribute.get_replica_context()
  return 1 if context is None else context.num_replicas_in_sync
