"""The processors of this machine, and how TensorFlow divides work over them."""

import os

import tensorflow as tf


def count() -> int:
  """Returns how many processors this process may use."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def one_thread_an_operation() -> None:
  """Keeps TensorFlow from dividing single operations over threads.

  What is parallel then are the tasks of `task_map`, one a processor: their
  operations are too small to be worth dividing, and a meta-gradient takes a
  quarter less time. For programs, not for libraries: it concerns the whole
  process, and only before TensorFlow's first operation.
  """
  try:
    tf.config.threading.set_intra_op_parallelism_threads(1)
  except RuntimeError:
    pass  # TensorFlow runs already: slower, and nothing else.
