"""Says why TensorFlow does not use a GPU that this machine has."""

import ctypes
import glob
import os

import tensorflow as tf

# The versions in the files' names, by CUDA's own.
_VERSIONS = {
  12: {
    'cudart': 12,
    'cublas': 12,
    'cublasLt': 12,
    'cufft': 11,
    'cusolver': 11,
    'cusparse': 12,
    'nvJitLink': 12,
  },
  13: {
    'cudart': 13,
    'cublas': 13,
    'cublasLt': 13,
    'cufft': 12,
    'cusolver': 12,
    'cusparse': 12,
    'nvJitLink': 13,
  },
}
_DRIVER = 'libcuda.so.1'


def problem() -> str | None:
  """Finds out why TensorFlow does not use the GPU.

  Returns:
    What is missing, and what to install, as the end of a sentence. None: there
    is no NVIDIA GPU, or TensorFlow uses it, or CUDA_VISIBLE_DEVICES hides it.
  """
  hidden = os.environ.get('CUDA_VISIBLE_DEVICES') in ('', '-1')
  if hidden or not has_gpu() or tf.config.list_physical_devices('GPU'):
    return None
  install = f"pip install 'tensorflow[and-cuda]=={tf.__version__}'"
  if not tf.test.is_built_with_cuda():
    return f'this TensorFlow is built without CUDA: run {install}'
  if not loads(_DRIVER):
    return (
      f"the driver's {_DRIVER} is missing: install NVIDIA's driver, or give the"
      ' container the GPU, as docker run --gpus=all does'
    )
  missing = [name for name in _needed() if not loads(name)]
  if missing:
    are = 'are' if len(missing) > 1 else 'is'
    return f'{_listed(missing)} {are} missing: run {install}'
  return 'TF_CPP_MIN_LOG_LEVEL=0 shows why'


def has_gpu() -> bool:
  """Returns whether the kernel has an NVIDIA GPU, usable or not."""
  return os.path.exists('/dev/nvidia0') or bool(
    glob.glob('/proc/driver/nvidia/gpus/*')
  )


def loads(name: str) -> bool:
  """Returns whether TensorFlow finds a library.

  It looks into the packages of NVIDIA beside its own, and where the system's
  loader looks.

  Args:
    name: The name of its file.
  """
  packages = os.path.dirname(os.path.dirname(tf.__file__))
  if glob.glob(os.path.join(packages, 'nvidia', '*', 'lib', name)):
    return True
  try:
    ctypes.CDLL(name)
  except OSError:
    return False
  return True


def _needed():
  """Returns the files of libraries that this TensorFlow loads."""
  built = tf.sysconfig.get_build_info()
  cuda = _major(built.get('cuda_version'))
  names = [f'lib{n}.so.{v}' for n, v in _VERSIONS.get(cuda, {}).items()]
  cudnn = _major(built.get('cudnn_version'))
  return names + [f'libcudnn.so.{cudnn}'] * (cudnn > 0)


def _major(version):
  """Returns the first number of a version; 0 if there is none."""
  number = str(version).partition('.')[0]
  return int(number) if number.isdigit() else 0


def _listed(names):
  *first, last = names
  return f'{", ".join(first)} and {last}' if first else last
