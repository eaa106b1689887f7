"""Counter-based random streams, keyed by who draws what.

A stream's numbers depend on its key alone: a resumed run repeats an
uninterrupted one, and the division of tasks over workers changes no draw.
"""

from collections.abc import Iterable
import enum
import numbers
from typing import Any

import numpy as np

from maml_tf.core import plain_texts

# Training's iterations count from 1: the streams of iteration 0, and with them
# the held-out tasks, are never used in training.
HELD_OUT = 0

Key = tuple[int, ...]


class Purpose(enum.IntEnum):
  """What a stream's numbers are used for."""

  TASK = 0
  RESET = 1
  ACTION = 2


def key(
  seed: int, iteration: int, stage: int, task_index: int, purpose: Purpose
) -> Key:
  """Returns the key of one stream.

  Args:
    seed: The run's seed, >= 0.
    iteration: The meta-iteration, >= 0.
    stage: Adaptation steps before this collection, >= 0.
    task_index: The task's index in the whole meta-batch, over all workers.
    purpose: What the numbers are used for.

  Returns:
    A tuple of ints for `generator`, or for an environment's `seed`.
  """
  return (seed, iteration, stage, task_index, int(purpose))


def task_keys(
  seed: int,
  iteration: int,
  stage: int,
  task_indices: Iterable[int],
  purpose: Purpose,
) -> list[Key]:
  """Returns the keys of several tasks' streams.

  Args:
    seed: The run's seed, >= 0.
    iteration: The meta-iteration, >= 0.
    stage: Adaptation steps before this collection, >= 0.
    task_indices: The tasks' indices in the whole meta-batch.
    purpose: What the numbers are used for.

  Returns:
    One key for each task, e.g. for an environment's `seed`.
  """
  return [key(seed, iteration, stage, i, purpose) for i in task_indices]


def held_out_key(seed: int, stage: int, purpose: Purpose) -> Key:
  """Returns the key of a stream of the first held-out task.

  Args:
    seed: The run's seed, >= 0.
    stage: Adaptation steps before this collection, >= 0.
    purpose: What the numbers are used for.
  """
  return key(seed, HELD_OUT, stage, 0, purpose)


def generator(stream_key: Key) -> np.random.Generator:
  """Returns a generator at the beginning of the stream `stream_key`."""
  return np.random.Generator(
    np.random.Philox(np.random.SeedSequence(stream_key))
  )


def keys_of_seed(seed: Any, num_tasks: int) -> list[Key]:
  """Returns a key for each task of an environment.

  Args:
    seed: A sequence of B keys, one a task. A key is a non-negative int or a
      tuple of them. An int s stands for the keys (s, 0), ..., (s, B - 1).
    num_tasks: B.

  Raises:
    ValueError: If there are not B keys, or a key holds anything but
      non-negative ints.
  """
  if isinstance(seed, numbers.Integral):
    keys: list[Any] = [(seed, b) for b in range(num_tasks)]
  else:
    keys = list(seed) if np.iterable(seed) else [seed]
  if len(keys) != num_tasks:
    raise ValueError(
      f'seed has {len(keys)} keys for {num_tasks} tasks: give one int, '
      'or one key for each task'
    )
  return [_checked_key(key) for key in keys]


def _checked_key(key):
  """Returns a random stream's key as a tuple of non-negative ints."""
  words = tuple(key) if np.iterable(key) else (key,)
  for word in words:
    if not isinstance(word, numbers.Integral) or word < 0:
      raise ValueError(
        f'seed {plain_texts.of(key)}: give non-negative integers'
      )
  return words
