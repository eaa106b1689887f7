"""The collection of a meta-iteration, shared by all workers.

Workers exchange numbers, the same count each time: a signal to stop, the
counts, a message as character codes, the places of tasks in the family's list
and the returns. Meta-batches stay where they were collected.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from maml_tf.collection import meta_collector
from maml_tf.core import meta_batch as meta_batch_lib
from maml_tf.run import workers as worker_group

# The fields of `Collected` that add up over workers. Each becomes a metric, and
# so do its `other_counts`.
COUNTS = ('env_steps', 'unstable_episodes')

_MESSAGE_LENGTH = 200


class Collection(NamedTuple):
  """The collection of one worker, or of all workers together.

  Attributes:
    meta_batch: The `MetaBatch` of this worker's tasks. None: nothing to learn
      from, because of `problem` or `stop_signal`.
    returns: A float64 array [X + 1, B, E]; NaN without a meta-batch.
    counts: The numbers named in `COUNTS` and the `other_counts`; 0 without a
      meta-batch.
    problem: One line that says what is not finite; '' if everything is.
    stop_signal: The signal that cut the collection; 0 if none did.
    task_places: B integers, the places of the tasks among the family's few; -1:
      not among them. Empty without a meta-batch.
  """

  meta_batch: meta_batch_lib.MetaBatch | None
  returns: np.ndarray
  counts: Mapping[str, int]
  problem: str = ''
  stop_signal: int = 0
  task_places: Sequence[int] = ()


def of_worker(collected: meta_collector.Collected) -> Collection:
  """Returns what this worker has to share of its collection."""
  counts = {name: getattr(collected, name) for name in COUNTS}
  counts.update(collected.other_counts)
  return Collection(
    collected.meta_batch,
    collected.returns,
    counts,
    task_places=collected.task_places.tolist(),
  )


def nothing(
  returns_shape: tuple[int, int, int],
  count_names: Sequence[str] = COUNTS,
  problem: str = '',
  stop_signal: int = 0,
) -> Collection:
  """Returns a collection without a meta-batch; see `Collection`."""
  counts = dict.fromkeys(count_names, 0)
  returns = np.full(returns_shape, np.nan)
  return Collection(None, returns, counts, problem, stop_signal)


def exchange(
  collection: Collection, workers: worker_group.WorkerGroup
) -> Collection:
  """Shares a collection with all workers; each of them gets the same result.

  If one worker has a problem, nothing that the others collected counts.

  Args:
    collection: This worker's.
    workers: The workers, each of which calls this.

  Returns:
    A `Collection` of all tasks; its meta-batch is this worker's own.
  """
  shape = collection.returns.shape
  names = tuple(collection.counts)
  gathered = workers.exchange(
    [
      collection.stop_signal,
      *collection.counts.values(),
      *_to_numbers(collection.problem),
      *(collection.task_places or [-1] * shape[1]),
      *collection.returns.ravel(),
    ]
  )
  signals, counts, messages, places, returns = np.split(
    gathered, np.cumsum([1, len(names), _MESSAGE_LENGTH, shape[1]]), axis=1
  )
  problem = next(filter(None, map(_to_text, messages)), '')
  stop_signal = int(signals.max())
  if problem or stop_signal:
    num_steps, num_tasks, num_episodes = shape
    all_tasks = (num_steps, num_tasks * len(gathered), num_episodes)
    return nothing(all_tasks, names, problem, stop_signal)
  totals = (int(total) for total in counts.sum(axis=0))
  return Collection(
    collection.meta_batch,
    join_returns(returns, shape),
    dict(zip(names, totals)),
    task_places=[int(place) for place in places.ravel()],
  )


def join_returns(
  gathered: np.ndarray, shape: tuple[int, int, int]
) -> np.ndarray:
  """Joins the workers' returns along the tasks.

  Args:
    gathered: An array [workers, (X + 1) * B * E].
    shape: (X + 1, B, E), of one worker.

  Returns:
    An array [X + 1, workers * B, E].
  """
  return np.concatenate(list(gathered.reshape(-1, *shape)), axis=1)


def _to_numbers(text):
  codes = [ord(character) for character in text[:_MESSAGE_LENGTH]]
  return codes + [0] * (_MESSAGE_LENGTH - len(codes))


def _to_text(numbers):
  return ''.join(chr(int(number)) for number in numbers if number)
