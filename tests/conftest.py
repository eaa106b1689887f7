"""What holds for all tests: two CPUs, shared runs, rings, order."""

import maml_tf  # noqa: F401  # isort: skip  Before TensorFlow, which it quiets.

import os
import signal
from unittest import mock

import gin
import hypothesis
import pytest
import tensorflow as tf
from tf_agents.agents import tf_agent

from maml_tf.core import xla_cache
from tests import rings
from tests import shared_runs

# A shell that starts the tests in the background has them ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Runs that tests start compile anew, and leave the user's cache alone.
os.environ.setdefault(xla_cache.VARIABLE, '0')

# Before TensorFlow starts, which the first operation does.
_CPU = tf.config.list_physical_devices('CPU')[0]
tf.config.set_logical_device_configuration(
  _CPU, [tf.config.LogicalDeviceConfiguration()] * 2
)

# A few examples, the same each time; in `-m slow` hundreds of random ones.
hypothesis.settings.register_profile(
  'default',
  max_examples=3,
  deadline=None,
  derandomize=True,
  database=None,
  suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.register_profile(
  'slow',
  hypothesis.settings.get_profile('default'),
  max_examples=300,
  derandomize=False,
  print_blob=True,
)


def pytest_configure(config):
  """Chooses how many examples Hypothesis tries."""
  is_slow = rings.selects_slow(config.getoption('markexpr'))
  hypothesis.settings.load_profile('slow' if is_slow else 'default')


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
  """Puts tests into rings, and files that take long first."""
  is_slow = rings.selects_slow(config.getoption('markexpr'))
  for item in items:
    if rings.is_unit(item.path):
      item.add_marker('unit')
    if is_slow and item.get_closest_marker('fuzz'):
      item.add_marker('slow')
  items.sort(key=lambda item: rings.position(item.path))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
  """Fails a unit test that makes an agent."""
  if not item.get_closest_marker('unit'):
    return (yield)
  error = AssertionError('a unit test makes no agent: see tests/rings.py')
  with mock.patch.object(tf_agent.TFAgent, '__init__', side_effect=error):
    return (yield)


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


@pytest.fixture(scope='session')
def point_run(tmp_path_factory):
  """A run of point.gin of one iteration, with its SavedModel: read only."""
  return shared_runs.train_once(tmp_path_factory, 'point')


@pytest.fixture(scope='session')
def cheetah_run(tmp_path_factory):
  """A run of cheetah.gin of one iteration: read only."""
  return shared_runs.train_once(tmp_path_factory, 'cheetah')


@pytest.fixture(scope='session')
def learned_run(tmp_path_factory):
  """A run that has learned to reach goals: read only."""
  return shared_runs.train_once(tmp_path_factory, 'learned')
