"""A function of one task, lifted over all tasks."""

from collections.abc import Callable

import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import cpu


def vmap_tasks(
  fn: Callable[[types.NestedTensor], types.NestedTensor],
  tasks: types.NestedTensor,
  chunk_size: int | None = None,
) -> types.NestedTensor:
  """Vectorises `fn` over the leading axis, a chunk of tasks at a time.

  Args:
    fn: Takes one task's nest of tensors, without the leading axis.
    tasks: A nest of tensors [B, ...].
    chunk_size: See `vmap_in_chunks`.

  Returns:
    What `fn` returns, stacked: a nest of tensors [B, ...].
  """
  return vmap_in_chunks(
    lambda chunk: tf.vectorized_map(fn, chunk), tasks, chunk_size
  )


def vmap_in_chunks(
  fn: Callable[[types.NestedTensor], types.NestedTensor],
  tasks: types.NestedTensor,
  chunk_size: int | None = None,
) -> types.NestedTensor:
  """Applies `fn` to a chunk of tasks at a time.

  Chunks bound the memory: as many are worked on at once as there are
  processors. What fits into a processor's cache is faster: see
  benchmarks/meta_gradient_cost.py. A chunk of a given size is computed alike
  however many there are: how tasks are divided over replicas changes no bit.

  Args:
    fn: Takes a nest of tensors [chunk, ...] and returns another one.
    tasks: A nest of tensors [B, ...].
    chunk_size: The largest divisor of B up to it is used. None: all tasks are
      one chunk.

  Returns:
    What `fn` returns, stacked: a nest of tensors [B, ...].
  """
  num_tasks = tf.nest.flatten(tasks)[0].shape[0]
  if num_tasks is None or chunk_size is None:
    return fn(tasks)
  # Also where there is but one chunk: outside the loop TensorFlow would fuse
  # its operations with others, and round otherwise.
  largest = min(chunk_size, num_tasks)
  chunk = max(c for c in range(1, largest + 1) if num_tasks % c == 0)
  chunks = tf.nest.map_structure(
    lambda t: tf.reshape(
      t, tf.concat([[num_tasks // chunk, chunk], tf.shape(t)[1:]], 0)
    ),
    tasks,
  )
  signature = tf.nest.map_structure(
    lambda t: tf.TensorSpec([chunk, *t.shape[2:]], t.dtype), chunks
  )
  traced = tf.function(fn, autograph=False)
  output = traced.get_concrete_function(signature).structured_outputs
  # Over numbers, not over the chunks themselves: of those TensorFlow would make
  # a copy, all of them, before the first is worked on.
  results = tf.map_fn(
    lambda index: traced(tf.nest.map_structure(lambda t: t[index], chunks)),
    tf.range(num_tasks // chunk),
    fn_output_signature=tf.nest.map_structure(
      lambda t: tf.TensorSpec(t.shape, t.dtype), output
    ),
    parallel_iterations=cpu.count(),
  )
  return tf.nest.map_structure(
    lambda t: tf.reshape(t, tf.concat([[num_tasks], tf.shape(t)[2:]], 0)),
    results,
  )
