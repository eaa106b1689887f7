"""The line on a run's devices, which are made up."""

import types

import pytest

from maml_tf.core import cpu
from maml_tf.core import devices
from maml_tf.core import gpu_libraries
from maml_tf.learning import placement
from maml_tf.learning import task_memory
from maml_tf.run import device_report

H200 = devices.Accelerator('NVIDIA H200', 139.2 * 2**30)
UNKNOWN = devices.Accelerator('', None)


def _fitting(smallest):
  chunk = task_memory.FittingChunk(1.0, True, None)
  chunk.smallest = smallest
  return chunk


@pytest.fixture(name='line')
def make_line(monkeypatch):
  """Returns the line for a placement on 16 cores and the given GPUs."""

  def line(
    *placed,
    gpus=(),
    replicas=1,
    workers=1,
    cores=16,
    problem=None,
    tensors=None,
  ):
    monkeypatch.setattr(cpu, 'count', lambda: cores)
    monkeypatch.setattr(devices, 'gpus', lambda: list(gpus))
    monkeypatch.setattr(gpu_libraries, 'problem', lambda: problem)
    strategy = types.SimpleNamespace(num_replicas_in_sync=replicas * workers)
    group = types.SimpleNamespace(strategy=strategy, num_workers=workers)
    environment = types.SimpleNamespace(num_tasks=20, tensor_rows=tensors)
    return device_report.line(placement.Placement(*placed), group, environment)

  return line


def test_on_cpus(line):
  on_cpu = ('CPU', False, 1)
  assert line(*on_cpu, cores=2) == 'train: on 2 CPU cores'
  assert line(*on_cpu, cores=1) == 'train: on 1 CPU core'
  assert line(*on_cpu, replicas=4) == 'train: on 16 CPU cores, as 4 replicas'
  assert line(*on_cpu, workers=3, cores=2) == (
    'train: 3 workers, of which this one on 2 CPU cores'
  )


def test_on_a_gpu(line):
  assert line('GPU', True, _fitting(None), gpus=[H200]) == (
    'train: learns on 1 GPU (NVIDIA H200, 139 GiB) with XLA, all 20 tasks at'
    ' once; acts and simulates on 16 CPU cores'
  )
  assert line('GPU', False, 4, gpus=[UNKNOWN]) == (
    'train: learns on 1 GPU without XLA, 4 of the 20 tasks at once; acts and'
    ' simulates on 16 CPU cores'
  )


def test_memory_that_does_not_hold_all_tasks_is_said(line):
  assert '8 of the 20 tasks at once, which is what its memory holds;' in line(
    'GPU', True, _fitting(8), gpus=[H200]
  )
  # None and numbers above that of the tasks are all tasks.
  for chunk_size in (None, 20, 99):
    assert 'all 20 tasks at once;' in line('GPU', True, chunk_size, gpus=[H200])


def test_on_several_accelerators(line):
  assert line('GPU', True, _fitting(None), gpus=[H200] * 4, replicas=4) == (
    'train: learns on 4 GPUs (NVIDIA H200, 139 GiB each) with XLA, all 5 tasks'
    ' of each at once; acts and simulates on 16 CPU cores'
  )
  assert 'on 1 of 4 GPUs (NVIDIA H200, 139 GiB) with' in line(
    'GPU', True, None, gpus=[H200] * 4
  )
  assert 'learns on 4 TPU cores with XLA, all 5 tasks of each' in line(
    'TPU', True, _fitting(None), replicas=4
  )


def test_environments_in_the_graph_stay_on_the_accelerator(line):
  assert line('GPU', True, None, gpus=[H200], tensors=object()) == (
    'train: learns, acts and simulates on 1 GPU (NVIDIA H200, 139 GiB) with'
    ' XLA, all 20 tasks at once'
  )


def test_a_gpu_that_is_not_used_is_said(line):
  problem = 'libcudnn.so.9 is missing: run pip install it'
  assert line('CPU', False, 1, cores=2, problem=problem) == (
    'train: on 2 CPU cores: there is a GPU, but TensorFlow does not use it:'
    ' libcudnn.so.9 is missing: run pip install it; or set'
    " CUDA_VISIBLE_DEVICES='' to mean the CPU"
  )
  # Logical CPUs were asked for.
  assert 'GPU' not in line('CPU', False, 1, problem=problem, replicas=2)
