"""Means over the tasks of all replicas, which hold equally many each."""

import tensorflow as tf
from tf_agents.typing import types


def mean(tensors: types.NestedTensor) -> types.NestedTensor:
  """Returns the mean over replicas, the same on all of them."""
  if _count() == 1:
    return tensors
  context = tf.distribute.get_replica_context()
  return context.all_reduce(tf.distribute.ReduceOp.MEAN, tensors)


def share(tensors: types.NestedTensor) -> types.NestedTensor:
  """Returns what each replica reports of a nest that is the same on all.

  Whoever runs a TF-Agents agent on replicas sums up what they report.
  """
  if _count() == 1:
    return tensors
  return tf.nest.map_structure(lambda t: t / _count(), tensors)


def standardize(values: types.Tensor) -> types.Tensor:
  """Gives [B] mean 0 and deviation 1 over the tasks of all replicas."""
  average, square = mean((tf.reduce_mean(values), tf.reduce_mean(values**2)))
  deviation = tf.sqrt(tf.maximum(square - average**2, 0.0))
  return (values - average) / (deviation + 1e-8)


def _count():
  context = tf.distribute.get_replica_context()
  return 1 if context is None else context.num_replicas_in_sync
