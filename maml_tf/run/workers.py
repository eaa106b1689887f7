"""The worker processes that share one run: their tasks and their exchange."""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import multiprocessing.pool
import re
import traceback

import numpy as np
import tensorflow as tf

from maml_tf.core import errors

# TensorFlow raises these in one worker when another has gone.
_LOST = (
  tf.errors.UnavailableError,
  tf.errors.AbortedError,
  tf.errors.CancelledError,
  tf.errors.DeadlineExceededError,
)
# These too, but also for other reasons, such as an error of XLA or CUDA.
_PERHAPS_LOST = (
  tf.errors.FailedPreconditionError,
  tf.errors.InternalError,
  tf.errors.UnknownError,
)
# Their messages when a worker has gone: heartbeats are missing, connections
# break, or the other one has started again.
_LOST_MESSAGES = re.compile(
  'check alive'
  '|heartbeat|Heartbeat'
  '|[Cc]oordination ?[Ss]ervice'
  '|Error reported from /job:'
  '|Additional GRPC error information'
  '|failed to connect to all addresses|Failed to connect to remote host'
  '|Socket closed|Connection reset by peer|Broken pipe|Stream removed'
  '|just restarted|was probably restarted|task has restarted'
  "|incarnation doesn't match|Incarnation ID mismatch"
)


class WorkerLost(errors.RunError):
  """Another worker has stopped; this one cannot go on alone."""


class WorkerGroup:
  """The processes of a strategy, each of which collects a share of the tasks.

  Only under `MultiWorkerMirroredStrategy` are there several. A single process
  is the chief and exchanges nothing.
  """

  def __init__(self, strategy: tf.distribute.Strategy):
    """Finds this process among the others.

    Args:
      strategy: The strategy of the run.

    Raises:
      ValueError: TF_CONFIG gives this process a role that does not train.
    """
    self._strategy = strategy
    self._num_workers, self._index = 1, 0
    resolver = strategy.cluster_resolver
    if (
      isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
      and resolver.cluster_spec().jobs
    ):
      jobs = resolver.cluster_spec().as_dict()
      if resolver.task_type not in ('chief', 'worker'):
        raise ValueError(
          f'TF_CONFIG makes this process a {resolver.task_type!r}: give it the'
          " type 'worker' (or 'chief')"
        )
      num_chiefs = len(jobs.get('chief', ()))
      self._num_workers = num_chiefs + len(jobs.get('worker', ()))
      is_after_chief = resolver.task_type == 'worker'
      self._index = resolver.task_id + num_chiefs * is_after_chief

  @property
  def strategy(self) -> tf.distribute.Strategy:
    """The strategy that the processes share."""
    return self._strategy

  @property
  def num_workers(self) -> int:
    """The number of processes."""
    return self._num_workers

  @property
  def index(self) -> int:
    """The number of this process, from 0."""
    return self._index

  @property
  def is_chief(self) -> bool:
    """Whether this process writes files; only one does."""
    return self._index == 0

  def tasks(self, num_tasks: int) -> range:
    """Returns the tasks that this process collects: an equal share of B.

    Args:
      num_tasks: B, the number of tasks of all processes.

    Raises:
      ValueError: B is not a multiple of the number of processes.
    """
    if num_tasks % self._num_workers:
      raise ValueError(
        f'{num_tasks} tasks cannot be divided over {self._num_workers} workers:'
        f' give a multiple of {self._num_workers}'
      )
    share = num_tasks // self._num_workers
    return range(self._index * share, (self._index + 1) * share)

  def exchange(self, values: Sequence[float]) -> np.ndarray:
    """Sends numbers to all processes and waits for theirs.

    Args:
      values: n numbers; every process gives the same count.

    Returns:
      A float64 array [processes, n].
    """
    values = np.asarray(values, np.float64)
    if self._num_workers == 1:
      return values[np.newaxis]
    gathered = np.zeros((self._num_workers, len(values)))
    gathered[self._index] = values
    return self._sum(gathered).numpy()

  def broadcast_from_chief(self, variables: Sequence[tf.Variable]) -> None:
    """Assigns to variables the values that they have in the chief."""
    if self._num_workers == 1:
      return
    for variable in variables:
      value = variable.numpy()
      # A reduction between hosts cannot take tensors without elements.
      if not value.size:
        continue
      gathered = value if self.is_chief else np.zeros_like(value)
      variable.assign(self._sum(gathered))

  @contextlib.contextmanager
  def translate_errors(self) -> Iterator[None]:
    """Turns TensorFlow's errors about a lost worker into `WorkerLost`.

    TensorFlow notices within seconds: a connection breaks, or a heartbeat is
    missing. Its other errors pass.
    """
    try:
      yield
    except tf.errors.OpError as error:
      _close_pools(error)
      if self._num_workers == 1 or not is_of_lost_worker(error):
        raise
      raise WorkerLost(
        f'worker {self._index} of {self._num_workers} stops, since another one'
        ' is gone: start all again with the same commands, and the run goes on'
        ' from its last checkpoint'
      ) from error

  def _sum(self, gathered: np.ndarray) -> tf.Tensor:
    """The sum over processes, each of which counts once."""
    replicas = self._strategy.num_replicas_in_sync // self._num_workers

    def value_fn(context):
      is_first = context.replica_id_in_sync_group % replicas == 0
      return tf.constant(gathered if is_first else np.zeros_like(gathered))

    values = self._strategy.experimental_distribute_values_from_function(
      value_fn
    )
    return self._strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)


def is_of_lost_worker(error: tf.errors.OpError) -> bool:
  """Returns whether an error says that another worker cannot be reached."""
  if isinstance(error, _LOST):
    return True
  if not isinstance(error, _PERHAPS_LOST):
    return False
  return _LOST_MESSAGES.search(error.message or '') is not None


def _close_pools(error: BaseException) -> None:
  """Closes the thread pools that an error has left open.

  A collective operation that fails leaves one to its traceback, and such a pool
  prints an exception when it is collected after the interpreter's end.
  """
  for frame, _ in traceback.walk_tb(error.__traceback__):
    for value in list(frame.f_locals.values()):
      if isinstance(value, multiprocessing.pool.Pool):
        value.close()
