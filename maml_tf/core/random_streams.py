"""Counter-based random streams: who draws is named by integers.

A stream's numbers depend on its key alone, so a resumed run repeats an
uninterrupted one and how tasks are divided over workers changes no draw.
"""

import enum

import numpy as np

# Training's iterations count from 1: the streams of iteration 0, and so its
# tasks, are never trained on.
HELD_OUT = 0


class Purpose(enum.IntEnum):
  """What a stream is drawn for."""

  TASK = 0
  RESET = 1
  ACTION = 2


def key(
  seed: int, iteration: int, stage: int, task_index: int, purpose: Purpose
) -> tuple[int, ...]:
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


def generator(stream_key: tuple[int, ...]) -> np.random.Generator:
  """Returns a generator at the beginning of the stream `stream_key`."""
  return np.random.Generator(
    np.random.Philox(np.random.SeedSequence(stream_key))
  )
