"""What holds for all tests: two logical CPUs, no config left by another."""

import maml_tf  # noqa: F401  # isort: skip  Before TensorFlow, which it quiets.

import signal

import gin
import pytest
import tensorflow as tf

# A shell that starts the tests in the background has them ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Before TensorFlow starts, which the first operation does.
_CPU = tf.config.list_physical_devices('CPU')[0]
tf.config.set_logical_device_configuration(
  _CPU, [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(autouse=True)
def fresh_config():
  """Gives each test an empty gin config and Keras' usual float type."""
  gin.clear_config()
  yield
  gin.clear_config()
  tf.keras.backend.set_floatx('float32')


@pytest.fixture(scope='session')
def two_replicas():
  """The strategy of two replicas on this machine.

  All tests share it: a second one in the same process would use the numbers of
  the first one's collective operations, for other shapes.
  """
  return tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])
