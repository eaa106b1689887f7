"""Where a run learns and acts, on lists of devices that are made up."""

import types

import pytest
import tensorflow as tf

from maml_tf.core import devices

H200 = devices.Accelerator('NVIDIA H200', 139 * 2**30)
OLD = devices.Accelerator('NVIDIA T4', 15 * 2**30)
UNKNOWN = devices.Accelerator('', None)


class FakeTpuStrategy:
  """Stands for a TPUStrategy, which exists only beside a TPU."""


@pytest.fixture(name='has')
def have_gpus(monkeypatch):
  """Makes a list of GPUs that of this process."""
  return lambda *gpus: monkeypatch.setattr(devices, 'gpus', lambda: list(gpus))


def test_this_machine_has_what_tensorflow_lists():
  assert len(devices.gpus()) == len(tf.config.list_physical_devices('GPU'))


@pytest.mark.parametrize(
  ('gpus', 'expected'), [((), 'CPU'), ((H200,), 'GPU'), ((H200, OLD), 'GPU')]
)
def test_without_a_strategy_a_gpu_is_used_if_there_is_one(gpus, expected, has):
  has(*gpus)
  assert devices.kind() == expected
  assert devices.acting_device() == {'CPU': None, 'GPU': '/CPU:0'}[expected]
  # Environments in the graph act where they are.


def test_a_strategy_of_logical_cpus_is_on_the_cpu(has, two_replicas):
  has(H200)
  assert devices.kind(two_replicas) == 'CPU'
  with two_replicas.scope():
    assert devices.kind() == 'CPU'
  assert devices.kind(tf.distribute.OneDeviceStrategy('CPU:0')) == 'CPU'


def test_a_strategy_of_gpus():
  devices_of = ('/job:worker/replica:0/task:1/device:GPU:0',)
  extended = types.SimpleNamespace(worker_devices=devices_of)
  assert devices.kind(types.SimpleNamespace(extended=extended)) == 'GPU'


def test_a_strategy_of_a_tpu(monkeypatch):
  monkeypatch.setattr(tf.distribute, 'TPUStrategy', FakeTpuStrategy)
  assert devices.kind(FakeTpuStrategy()) == 'TPU'


def test_memory_is_that_of_the_smallest_device(has):
  has(H200, OLD, UNKNOWN)
  assert devices.num_bytes('GPU') == 15 * 2**30
  assert devices.num_bytes('CPU') is None
  assert devices.num_bytes('TPU') == 8 * 2**30
  has(UNKNOWN)
  assert devices.num_bytes('GPU') is None


def test_a_limit_of_tensorflow_is_the_memory(monkeypatch):
  gpu = tf.config.PhysicalDevice('/physical_device:GPU:0', 'GPU')
  limit = tf.config.LogicalDeviceConfiguration(memory_limit=1024)
  for name, value in {
    'get_visible_devices': lambda kind: [gpu],
    'get_logical_device_configuration': lambda gpu: [limit],
  }.items():
    monkeypatch.setattr(tf.config, name, value)
  monkeypatch.setattr(
    tf.config.experimental,
    'get_device_details',
    lambda gpu: {'device_name': 'NVIDIA H200'},
  )
  assert devices.gpus() == [devices.Accelerator('NVIDIA H200', 2**30)]


def test_short_products_are_one_switch_that_the_cpu_leaves_alone(monkeypatch):
  switched = []
  monkeypatch.setattr(
    tf.config.experimental,
    'enable_tensor_float_32_execution',
    switched.append,
  )
  devices.set_tf32('CPU', False)
  assert not switched
  devices.set_tf32('GPU', False)
  devices.set_tf32('TPU', True)
  assert switched == [False, True]


def test_float64_is_there_unless_a_tpu_is(monkeypatch):
  assert devices.has_float64()
  monkeypatch.setattr(tf.config, 'list_logical_devices', lambda kind: [kind])
  assert not devices.has_float64()
