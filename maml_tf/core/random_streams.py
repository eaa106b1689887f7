"""Counter-based random streams, keyed by who draws what.

A stream's numbers depend on its key alone, so a resumed run repeats an
uninterrupted one and how tasks are divided over workers changes no draw.
"""

from collections.abc import Iterable
import enum

import numpy as np

# Training's iterations count from 1: the streams of iteration 0, and so its
# tasks, are never trained on.
HELD_OUT = 0

Key = tuple[int, ...]


class Purpose(enum.IntEnum):
  """What a stream is drawn for."""

  TASK = 0
  RESET = 1
  ACTION = 2


def key(
  seed: int, iteration: int, stage: int, task_index: int, purpose: Purpose
) -> Key:
  """Names one stream.

  Args:
    seed: The run's seed, >= 0.
    iteration: The meta-iteration, >= 0.
    stage: Adaptation steps before this collection, >= 0.
    task_index: The task's index in the whole meta-batch, over all workers.
    purpose: What is drawn.

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
  """Names the streams of several tasks.

  Args:
    seed: As for `key`, like the others.
    iteration: The meta-iteration, >= 0.
    stage: Adaptation steps before this collection, >= 0.
    task_indices: The tasks' indices in the whole meta-batch.
    purpose: What is drawn.

  Returns:
    One key a task, e.g. for an environment's `seed`.
  """
  return [key(seed, iteration, stage, i, purpose) for i in task_indices]


def held_out_key(seed: int, stage: int, purpose: Purpose) -> Key:
  """Names a stream of the first held-out task.

  Args:
    seed: The run's seed, >= 0.
    stage: Adaptation steps before this collection, >= 0.
    purpose: What is drawn.
  """
  return key(seed, HELD_OUT, stage, 0, purpose)


def generator(stream_key: Key) -> np.random.Generator:
  """Returns a generator at the beginning of the stream `stream_key`."""
  return np.random.Generator(
    np.random.Philox(np.random.SeedSequence(stream_key))
  )
