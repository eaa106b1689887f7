"""What None decides, on devices that are made up."""

import pytest

from maml_tf.core import devices
from maml_tf.learning import placement
from tests.learning import recorded_batches
from tests.learning import small_agent

H200 = devices.Accelerator('NVIDIA H200', 139 * 2**30)


@pytest.fixture(name='on')
def be_on(monkeypatch):
  """Makes this process learn on a kind of device with some memory."""

  def set_device(kind, num_bytes=None):
    monkeypatch.setattr(devices, 'kind', lambda: kind)
    monkeypatch.setattr(devices, 'num_bytes', lambda kind: num_bytes)
    monkeypatch.setattr(devices, 'set_tf32', lambda *args: tf32.append(args))
    monkeypatch.setattr(devices, 'has_float64', lambda: kind != 'TPU')

  tf32 = []
  set_device.tf32 = tf32
  return set_device


def test_on_a_cpu_one_task_a_chunk_and_no_xla(on):
  on('CPU')
  agent = small_agent.create_agent()
  assert agent.placement == placement.Placement('CPU', False, 1)
  assert agent.jit_compile is False


@pytest.mark.parametrize('kind', ['GPU', 'TPU'])
def test_on_an_accelerator_all_tasks_and_xla(kind, on):
  on(kind, 139 * 2**30)
  agent = small_agent.create_agent()
  assert agent.placement[:2] == (kind, True)
  assert agent.jit_compile is True
  batch = recorded_batches.create(agent)
  assert agent.placement.chunk_size(batch) is None
  assert agent.placement.chunk_size.smallest is None


def test_what_is_given_is_taken_everywhere(on):
  for kind in ('CPU', 'GPU'):
    on(kind, 139 * 2**30)
    for given, expected in ((3, 3), ('all', None)):
      agent = small_agent.create_agent(task_chunk_size=given, jit_compile=False)
      assert agent.placement == placement.Placement(kind, False, expected)
  on('CPU')
  assert small_agent.create_agent(jit_compile=True).jit_compile is True


def test_short_products_are_off_unless_asked_for(on):
  on('GPU')
  small_agent.create_agent()
  small_agent.create_agent(allow_tf32=True)
  assert on.tf32 == [('GPU', False), ('GPU', True)]
