"""Strategies of tf.distribute by name: they divide the tasks of a run."""

import json
import os

import tensorflow as tf

from maml_tf.core import checks
from maml_tf.core import errors

# Each replica traces a copy of the graph.
_MAX_VIRTUAL_CPUS = 256

NAMES = ('default', 'mirrored', 'multi_worker', 'tpu')


def create(
  name: str, num_virtual_cpus: int | None = None
) -> tf.distribute.Strategy:
  """Creates a strategy; call it before TensorFlow's first operation.

  Args:
    name: 'default': one replica. 'mirrored': one on each GPU of this machine.
      'multi_worker': this process is one of several, which TF_CONFIG names.
      'tpu': all cores of the TPU that this machine is attached to.
    num_virtual_cpus: For 'mirrored': the number of logical CPUs to use as
      replicas instead of GPUs.

  Raises:
    ValueError: The machine or its settings do not support the strategy.
    errors.RunError: Another worker did not start in time.
  """
  if num_virtual_cpus is not None and name != 'mirrored':
    raise ValueError(
      f'--num_virtual_cpus goes with --strategy=mirrored, not with {name}'
    )
  if name == 'mirrored':
    return _mirrored(num_virtual_cpus)
  if name == 'multi_worker':
    _check_tf_config(os.environ.get('TF_CONFIG', ''))
    try:
      return tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
      reason = error.message.partition('\n')[0]
      raise errors.RunError(
        f'the workers of TF_CONFIG do not find each other ({reason}): start all'
        ' again'
      ) from error
  if name == 'tpu':
    return _tpu()
  return tf.distribute.get_strategy()


def _mirrored(num_virtual_cpus: int | None) -> tf.distribute.MirroredStrategy:
  if num_virtual_cpus is None:
    if not tf.config.list_logical_devices('GPU'):
      raise ValueError(
        '--strategy=mirrored finds no GPU: give --num_virtual_cpus=2 to try it'
        ' on logical CPUs, or leave --strategy out'
      )
    return tf.distribute.MirroredStrategy()
  checks.integer('--num_virtual_cpus', num_virtual_cpus, 1, _MAX_VIRTUAL_CPUS)
  # Else what runs outside of the replicas would run on a GPU.
  tf.config.set_visible_devices([], 'GPU')
  tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices('CPU')[0],
    [tf.config.LogicalDeviceConfiguration()] * num_virtual_cpus,
  )
  return tf.distribute.MirroredStrategy(
    [f'CPU:{i}' for i in range(num_virtual_cpus)]
  )


def _check_tf_config(text: str) -> None:
  """Raises ValueError unless TF_CONFIG names the workers and this one."""
  try:
    config = json.loads(text)
    addresses = config['cluster'][config['task']['type']]
    addresses[int(config['task']['index'])].rpartition(':')
  except (ValueError, TypeError, KeyError, IndexError, AttributeError):
    raise ValueError(
      f'--strategy=multi_worker needs TF_CONFIG, which is {text!r}: set it in'
      ' each process to \'{"cluster": {"worker": ["host0:2222",'
      ' "host1:2222"]}, "task": {"type": "worker", "index": 0}}\' with its own'
      ' index'
    ) from None


def _tpu() -> tf.distribute.TPUStrategy:
  try:
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu='')
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
  except (ValueError, RuntimeError, tf.errors.OpError) as error:
    reason = str(error).partition('\n')[0]
    raise ValueError(f'--strategy=tpu finds no TPU: {reason}') from error
  return tf.distribute.TPUStrategy(resolver)
