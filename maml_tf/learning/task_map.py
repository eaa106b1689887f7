"""Applies a function of one task to all tasks: vectorised and in chunks."""

from collections.abc import Callable
import functools

import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import cpu

# The most tasks in a chunk, or what decides it, given the nest of all tasks.
# None: all tasks are one chunk.
ChunkSize = int | Callable[[types.NestedTensor], int | None] | None


def vmap_in_chunks(
  fn: Callable[[types.NestedTensor], types.NestedTensor],
  tasks: types.NestedTensor,
  chunk_size: ChunkSize = None,
) -> types.NestedTensor:
  """Vectorises `fn` over the leading axis, a chunk of tasks at a time.

  Args:
    fn: A function of one task's nest of tensors, without the leading axis.
    tasks: A nest of tensors [B, ...].
    chunk_size: See `map_chunks`.

  Returns:
    The results of `fn`, stacked: a nest of tensors [B, ...].
  """
  return map_chunks(functools.partial(tf.vectorized_map, fn), tasks, chunk_size)


def map_chunks(
  fn: Callable[[types.NestedTensor], types.NestedTensor],
  tasks: types.NestedTensor,
  chunk_size: ChunkSize = None,
) -> types.NestedTensor:
  """Applies `fn` to a chunk of tasks at a time.

  Chunks limit the memory: each processor works on one chunk at a time. A chunk
  that fits into a processor's cache is faster: see
  benchmarks/meta_gradient_cost.py. The result of a chunk does not depend on the
  number of chunks, so that dividing the tasks over replicas changes no bit.

  Args:
    fn: A function from a nest of tensors [chunk, ...] to another one.
    tasks: A nest of tensors [B, ...].
    chunk_size: The most tasks in a chunk. A chunk has as many tasks as the
      largest divisor of B up to this number. A function decides, given
      `tasks`. None: all tasks are one chunk.

  Returns:
    The results of `fn`, stacked: a nest of tensors [B, ...].
  """
  num_tasks = tf.nest.flatten(tasks)[0].shape[0]
  if callable(chunk_size):
    chunk_size = chunk_size(tasks)
  if num_tasks is None or chunk_size is None:
    return fn(tasks)
  # Use the loop for a single chunk too. Outside a loop, TensorFlow would fuse
  # its operations with others and round differently.
  chunk = chunk_of(num_tasks, chunk_size)
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
  # Map over indices rather than over the chunks: TensorFlow would copy all
  # chunks before working on the first.
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


def chunk_of(num_tasks: int, at_most: int) -> int:
  """Returns the tasks in a chunk: the largest divisor of B up to a number."""
  largest = min(at_most, num_tasks)
  return max(c for c in range(1, largest + 1) if num_tasks % c == 0)


def compile_for_frames(
  fn: Callable[..., types.NestedTensor], jit_compile: bool
) -> Callable[..., types.NestedTensor]:
  """Compiles a function of frames; XLA needs a known number of frames.

  The client of an exported model decides the number of frames. XLA cannot
  compile scans over such a number, so they run without it.

  Args:
    fn: A function whose first argument is a `Trajectory` or `Stage`, leaves
      [B, T, ...].
    jit_compile: Whether XLA compiles it.

  Returns:
    A function like `fn`.
  """
  for_known_length = tf.function(fn, autograph=False, jit_compile=jit_compile)
  for_any_length = tf.function(fn, autograph=False)

  def compiled(frames, *args):
    if frames.step_type.shape[1] is None:
      return for_any_length(frames, *args)
    return for_known_length(frames, *args)

  return compiled
