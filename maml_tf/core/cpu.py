"""The number of processors, and TensorFlow's division of work over them."""

from collections.abc import Collection
from collections.abc import Iterator
import contextlib
import os

import numpy as np
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


def divide(num_parts: int) -> list[set[int]]:
  """Divides the processors that this process may use.

  Args:
    num_parts: How many parts.

  Returns:
    The numbers of the processors in each part. With more parts than processors,
    parts share one. Where the system cannot say which processors there are, the
    parts are empty.
  """
  if not hasattr(os, 'sched_getaffinity'):
    return [set() for _ in range(num_parts)]
  processors = sorted(os.sched_getaffinity(0))
  if num_parts >= len(processors):
    return [{processors[i % len(processors)]} for i in range(num_parts)]
  parts = np.array_split(processors, num_parts)
  return [{int(number) for number in part} for part in parts]


@contextlib.contextmanager
def restricted(processors: Collection[int]) -> Iterator[None]:
  """Lets this thread, and processes that it starts, use some processors only.

  Args:
    processors: Their numbers; empty: all stay.
  """
  if not processors:
    yield
    return
  before = os.sched_getaffinity(0)
  os.sched_setaffinity(0, processors)
  try:
    yield
  finally:
    os.sched_setaffinity(0, before)
