"""A GPU that TensorFlow cannot use, on machines that are made up."""

import os
import types

import pytest
import tensorflow as tf

from maml_tf.core import gpu_libraries

INSTALL = f"run pip install 'tensorflow[and-cuda]=={tf.__version__}'"


class Machine:
  """A machine with a GPU, on which TensorFlow lists none.

  Attributes:
    missing: The libraries that it lacks.
    listed: The GPUs that TensorFlow lists.
    build: What this TensorFlow is built for.
  """

  def __init__(self):
    self.missing = set()
    self.listed = []
    self.build = {'cuda_version': '12.5.1', 'cudnn_version': '9'}
    self.is_built_with_cuda = True
    self.has_gpu = True


@pytest.fixture(name='machine')
def replace_machine(monkeypatch):
  machine = Machine()
  monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
  monkeypatch.setattr(gpu_libraries, 'has_gpu', lambda: machine.has_gpu)
  monkeypatch.setattr(
    gpu_libraries, 'loads', lambda name: name not in machine.missing
  )
  monkeypatch.setattr(
    tf.config, 'list_physical_devices', lambda kind: machine.listed
  )
  monkeypatch.setattr(
    tf.test, 'is_built_with_cuda', lambda: machine.is_built_with_cuda
  )
  monkeypatch.setattr(tf.sysconfig, 'get_build_info', lambda: machine.build)
  return machine


def test_missing_libraries_are_named_with_what_installs_them(machine):
  machine.missing = {'libcudnn.so.9'}
  assert gpu_libraries.problem() == f'libcudnn.so.9 is missing: {INSTALL}'
  machine.missing |= {'libcublas.so.12', 'libcufft.so.11'}
  assert gpu_libraries.problem() == (
    'libcublas.so.12, libcufft.so.11 and libcudnn.so.9 are missing: ' + INSTALL
  )


def test_the_versions_are_those_that_tensorflow_was_built_for(machine):
  machine.build = {'cuda_version': '13.0', 'cudnn_version': '9.1'}
  machine.missing = {'libcublas.so.12', 'libcublas.so.13', 'libcufft.so.11'}
  assert gpu_libraries.problem() == f'libcublas.so.13 is missing: {INSTALL}'


def test_the_driver_is_missing(machine):
  machine.missing = {'libcuda.so.1', 'libcudnn.so.9'}
  problem = gpu_libraries.problem()
  assert problem.startswith("the driver's libcuda.so.1 is missing")
  assert 'docker run --gpus=all' in problem


def test_a_tensorflow_for_cpus(machine):
  machine.is_built_with_cuda = False
  machine.build = {}
  assert gpu_libraries.problem() == (
    f'this TensorFlow is built without CUDA: {INSTALL}'
  )


def test_all_is_there_and_still_no_gpu(machine):
  for build in (machine.build, {'cuda_version': '99.0'}, {}):
    machine.build = build
    assert gpu_libraries.problem() == 'TF_CPP_MIN_LOG_LEVEL=0 shows why'


def test_there_is_no_problem(machine, monkeypatch):
  machine.missing = {'libcudnn.so.9'}
  for hidden in ('', '-1'):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', hidden)
    assert gpu_libraries.problem() is None
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '0')
  assert gpu_libraries.problem() is not None
  machine.listed = ['GPU']
  assert gpu_libraries.problem() is None
  machine.listed, machine.has_gpu = [], False
  assert gpu_libraries.problem() is None


def test_libraries_are_those_of_packages_and_of_the_system(
  tmp_path, monkeypatch
):
  assert gpu_libraries.loads('libc.so.6')
  assert not gpu_libraries.loads('libnothing.so.6')
  folder = tmp_path / 'nvidia' / 'nothing' / 'lib'
  folder.mkdir(parents=True)
  (folder / 'libnothing.so.6').touch()
  module = types.SimpleNamespace(__file__=str(tmp_path / 'tensorflow' / 'i.py'))
  monkeypatch.setattr(gpu_libraries, 'tf', module)
  assert gpu_libraries.loads('libnothing.so.6')


def test_the_kernel_says_whether_there_is_a_gpu(monkeypatch):
  found = {'/dev/nvidia0': False, '/proc/driver/nvidia/gpus/*': []}
  monkeypatch.setattr(os.path, 'exists', lambda path: found[path])
  monkeypatch.setattr(
    gpu_libraries.glob, 'glob', lambda pattern: found[pattern]
  )
  assert not gpu_libraries.has_gpu()
  found['/proc/driver/nvidia/gpus/*'] = ['0000:00:04.0']
  assert gpu_libraries.has_gpu()
