"""Where a run learns and acts: on CPUs, GPUs or the cores of a TPU."""

import ctypes
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from maml_tf.core import lite_operations

CPU, GPU, TPU = 'CPU', 'GPU', 'TPU'

# Of the smallest core, that of a TPU v2. TensorFlow does not say what there is.
_TPU_BYTES = 8 * 2**30


class Accelerator(NamedTuple):
  """A GPU.

  Attributes:
    name: Its model, such as 'NVIDIA H200'; '' if it is unknown.
    num_bytes: The memory that TensorFlow may use; None if it is unknown.
  """

  name: str
  num_bytes: float | None


def gpus() -> list[Accelerator]:
  """Returns the GPUs that TensorFlow uses in this process."""
  found = []
  for index, gpu in enumerate(tf.config.get_visible_devices(GPU)):
    details = tf.config.experimental.get_device_details(gpu)
    logical = tf.config.get_logical_device_configuration(gpu) or []
    limits = [d.memory_limit for d in logical if d.memory_limit]
    # TensorFlow's limits are in MiB.
    num_bytes = min(limits) * 2**20 if limits else _total_bytes(index)
    found.append(Accelerator(details.get('device_name', ''), num_bytes))
  return found


def leave_gpus() -> None:
  """Keeps this process off the GPUs, whose memory other processes need.

  It has no effect after TensorFlow's first operation.
  """
  try:
    tf.config.set_visible_devices([], GPU)
  except RuntimeError:
    pass  # TensorFlow has started already.


def kind(strategy: tf.distribute.Strategy | None = None) -> str:
  """Returns the kind of the devices that a strategy computes on.

  Without a strategy, TensorFlow computes on a GPU if there is one. A
  `MirroredStrategy` of logical CPUs computes on the CPU.

  Args:
    strategy: The strategy. None: that of the scope.

  Returns:
    'CPU', 'GPU' or 'TPU'.
  """
  used: Any = tf.distribute.get_strategy() if strategy is None else strategy
  if isinstance(used, tf.distribute.TPUStrategy):
    return TPU
  try:
    first, *_ = used.extended.worker_devices
  except RuntimeError:  # The default strategy has none.
    return GPU if gpus() else CPU
  return tf.DeviceSpec.from_string(first).device_type or CPU


def num_bytes(kind_of_device: str) -> float | None:
  """Returns the memory of the smallest device of a kind.

  Args:
    kind_of_device: 'CPU', 'GPU' or 'TPU'.

  Returns:
    Bytes; None where they are unknown, as those of a CPU: its memory can be
    swapped, and is not what limits a run.
  """
  if kind_of_device == TPU:
    return _TPU_BYTES
  known = [g.num_bytes for g in gpus() if g.num_bytes is not None]
  return min(known) if kind_of_device == GPU and known else None


def has_float64() -> bool:
  """Returns whether functions that are traced now may compute in float64.

  A TPU computes float64 in software, if at all, and TFLite hardly knows it.
  Functions that may run there use `exact_sums`, and solve in float32.
  """
  if lite_operations.are_required():
    return False
  return not tf.config.list_logical_devices(TPU)


def acting_device() -> str | None:
  """Returns the device on which a policy acts in environments of Python.

  They step on the CPU. For some hundred observations, copying them to an
  accelerator and the actions back takes longer than the networks do.

  Returns:
    '/CPU:0'; None: TensorFlow's own choice, which is a GPU where there is one.
  """
  return '/CPU:0' if gpus() else None


def set_tf32(kind_of_device: str, is_allowed: bool) -> None:
  """Allows or forbids short products of float32 on accelerators.

  By default, TensorFlow rounds the factors of matrix products and convolutions
  to 10 bits on GPUs (TF32), and to 7 on TPUs (bfloat16). On one H200 that put
  the meta-gradient 6.2e-4 off, and the change after ten steps 6.1e-3; without
  it, the GPU agreed with the CPU to 2e-6. An update of 40 tasks took 0.0115 s
  with TF32, and 0.0201 s without. XLA obeys the same switch when it compiles.

  The switch is one for the whole process. On a CPU it has no effect, and this
  function leaves it alone.

  Args:
    kind_of_device: Where a run learns, see `kind`.
    is_allowed: Whether factors may be rounded.
  """
  if kind_of_device != CPU:
    tf.config.experimental.enable_tensor_float_32_execution(is_allowed)


def _total_bytes(index):
  """Returns the memory of a GPU, asked of its driver; None if that fails."""
  total = ctypes.c_size_t()
  device = ctypes.c_int()
  try:
    driver = ctypes.CDLL('libcuda.so.1')
    has_failed = (
      driver.cuInit(0)
      or driver.cuDeviceGet(ctypes.byref(device), index)
      or driver.cuDeviceTotalMem_v2(ctypes.byref(total), device)
    )
  except (OSError, AttributeError):  # No driver, or one without such calls.
    return None
  return None if has_failed else float(total.value)
