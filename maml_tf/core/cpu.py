"""The number of processors, and TensorFlow's division of work over them."""

import os

import tensorflow as tf


def count() -> int:
  """Returns the number of processors that this process may use."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def one_thread_an_operation() -> None:
  """Makes TensorFlow execute each operation on a single thread.

  `task_map` already runs tasks in parallel, one on each processor. Their
  operations are too small for a further division; without it, a meta-gradient
  takes a quarter less time. The setting affects the whole process, so programs
  should call this function and libraries should not. It has no effect after
  TensorFlow's first operation.
  """
  try:
    tf.config.threading.set_intra_op_parallelism_threads(1)
  except RuntimeError:
    pass  # TensorFlow has started already: updates are slower, but correct.
