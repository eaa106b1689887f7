"""Counter-based random streams, keyed by integers.

A stream's numbers depend only on its key. So a resumed run repeats an
uninterrupted one, and the division of tasks over workers changes no draw.
"""

import enum

import numpy as np

# The iteration of held-out tasks. Training counts iterations from 1, so it
# never draws from the streams of iteration 0.
HELD_OUT = 0


class Purpose(enum.IntEnum):
  """The use of a stream's numbers."""

  TASK = 0
  RESET = 1
  ACTION = 2


def key(
  seed: int, iteration: int, stage: int, task_index: int, purpose: Purpose
) -> tuple[int, ...]:
  """Returns the key of one stream.

  Args:
    seed: The run's seed, >= 0.
    iteration: The meta-iteration, >= 0.
    stage: The number of adaptation steps before this collection, >= 0.
    task_index: The task's index in the whole meta-batch, over all workers.
    purpose: The use of the numbers.

  Returns:
    A tuple of ints for `generator`, or for an environment's `seed`.
  """
  return (seed, iteration, stage, task_index, int(purpose))


def generator(stream_key: tuple[int, ...]) -> np.random.Generator:
  """Returns a generator at the beginning of the stream `stream_key`."""
  return np.random.Generator(
    np.random.Philox(np.random.SeedSequence(stream_key))
  )
