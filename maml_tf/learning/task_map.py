"""A function of one task, lifted over all tasks."""

from collections.abc import Callable

import tensorflow as tf
from tf_agents.typing import types

from maml_tf import processors


def map_tasks(
  fn: Callable[[types.NestedTensor], types.NestedTensor],
  tasks: types.NestedTensor,
  chunk_size: int | None = None,
) -> types.NestedTensor:
  """Vectorises `fn` over the leading axis, a chunk of tasks at a time.

  Chunks bound the memory: as many are worked on at once as there are
  processors. What fits into a processor's cache is faster: see
  benchmarks/meta_gradient_cost.py.

  Args:
    fn: Takes one task's nest of tensors, without the leading axis.
    tasks: A nest of tensors [B, ...].
    chunk_size: How many tasks are vectorised together; the largest divisor of B
      up to it is used. None: all.

  Returns:
    What `fn` returns, stacked: a nest of tensors [B, ...].
  """
  num_tasks = tf.nest.flatten(tasks)[0].shape[0]
  if num_tasks is None or chunk_size is None or chunk_size >= num_tasks:
    return tf.vectorized_map(fn, tasks)
  chunk = max(c for c in range(1, chunk_size + 1) if num_tasks % c == 0)
  chunks = tf.nest.map_structure(
    lambda t: tf.reshape(
      t, tf.concat([[num_tasks // chunk, chunk], tf.shape(t)[1:]], 0)
    ),
    tasks,
  )
  signature = tf.nest.map_structure(
    lambda t: tf.TensorSpec([chunk, *t.shape[2:]], t.dtype), chunks
  )
  vectorized = tf.function(lambda c: tf.vectorized_map(fn, c), autograph=False)
  output = vectorized.get_concrete_function(signature).structured_outputs
  results = tf.map_fn(
    vectorized,
    chunks,
    fn_output_signature=tf.nest.map_structure(
      lambda t: tf.TensorSpec(t.shape, t.dtype), output
    ),
    parallel_iterations=processors.count(),
  )
  return tf.nest.map_structure(
    lambda t: tf.reshape(t, tf.concat([[num_tasks], tf.shape(t)[2:]], 0)),
    results,
  )
