"""Which of TensorFlow's errors mean that another worker has gone."""

import gc
import multiprocessing.pool

import pytest
import tensorflow as tf

from maml_tf.run import workers as worker_group

_RESET = (
  '\nThe error could be from a previous operation. Restart your program to'
  ' reset. [Op:CollectiveReduceV2] name: '
)
# As TensorFlow 2.15 has written them.
_LOST = {
  'killed': (
    tf.errors.UnavailableError,
    'Collective ops is aborted by: failed to connect to all addresses\n'
    'Additional GRPC error information from remote target'
    ' /job:worker/replica:0/task:1 while calling'
    f' /tensorflow.WorkerService/RecvBuf:\n:{{}}{_RESET}',
  ),
  'hangs': (
    tf.errors.UnavailableError,
    'Collective ops is aborted by: Error reported from /job:worker/task:1: Task'
    ' /job:worker/replica:0/task:1 heartbeat timeout. This indicates that the'
    f' remote task has failed, got preempted, or crashed unexpectedly.{_RESET}',
  ),
  'chief hangs': (
    tf.errors.DeadlineExceededError,
    'Collective ops is aborted by: Deadline Exceeded\nAdditional GRPC error'
    ' information from remote target /job:worker/replica:0/task:0 while calling'
    f' /tensorflow.CoordinationService/Heartbeat:\n:{{}}{_RESET}',
  ),
  'check fails': (
    tf.errors.InternalError,
    'Collective ops is aborted by: unexecpted exception in check alive: x',
  ),
  'connection breaks': (
    tf.errors.InternalError,
    'Collective ops is aborted by: Connection reset by peer',
  ),
  'restarted': (
    tf.errors.FailedPreconditionError,
    "/job:worker/replica:0/task:1/device:CPU:0 current incarnation doesn't"
    ' match with one in the group. This usually means this worker has restarted'
    " but the collective leader hasn't, or this worker connects to a wrong"
    ' cluster.',
  ),
}
_OTHERS = {
  'XLA': (tf.errors.InternalError, 'RET_CHECK failure (hlo_verifier.cc:1) x'),
  'CUDA': (
    tf.errors.InternalError,
    'Collective ops is aborted by: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal'
    ' memory access was encountered',
  ),
  'cuBLAS': (tf.errors.InternalError, 'Attempting to perform BLAS operation'),
  'table': (tf.errors.FailedPreconditionError, 'Table not initialized.'),
  'shapes': (tf.errors.InvalidArgumentError, 'Socket closed'),
  'memory': (tf.errors.ResourceExhaustedError, 'OOM when allocating tensor'),
}


def _group(num_workers):
  group = worker_group.WorkerGroup(tf.distribute.get_strategy())
  group._num_workers = num_workers
  return group


@pytest.mark.parametrize('name', _LOST)
def test_errors_of_a_lost_worker(name):
  type_, message = _LOST[name]
  with pytest.raises(worker_group.WorkerLost, match='another one is gone'):
    with _group(2).translate_errors():
      raise type_(None, None, message)
  with pytest.raises(type_), _group(1).translate_errors():
    raise type_(None, None, message)


@pytest.mark.parametrize('name', _OTHERS)
def test_other_errors_keep_their_cause(name):
  type_, message = _OTHERS[name]
  with pytest.raises(type_) as caught, _group(2).translate_errors():
    raise type_(None, None, message)
  assert caught.value.message == message


def _reduce():
  """Fails as `CollectiveAllReduce` does, which leaves its pool open."""
  pool = multiprocessing.pool.ThreadPool(1)
  pool.map(_fail, [0])
  pool.close()


def _fail(_):
  raise tf.errors.UnavailableError(None, None, 'Socket closed')


def test_a_pool_that_was_left_open_is_closed():
  with pytest.raises(worker_group.WorkerLost) as caught:
    with _group(2).translate_errors():
      _reduce()
  frame = caught.value.__cause__.__traceback__
  while frame.tb_frame.f_code.co_name != '_reduce':
    frame = frame.tb_next
  pool = frame.tb_frame.f_locals['pool']
  # It warns when it is collected, and fails at the interpreter's end, if open.
  assert pool._state == multiprocessing.pool.CLOSE
  pool.join()
  gc.collect()
