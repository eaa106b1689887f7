"""What is set for MuJoCo once in a process: its warnings and its clock."""

import ctypes
import glob
import os

from absl import logging
import mujoco


def prepare() -> None:
  """Routes the warnings and switches off the clock."""
  route_warnings()
  switch_off_clock()


def route_warnings() -> None:
  """Sends MuJoCo's warnings to absl's log, unless they have a handler already.

  Without a handler, MuJoCo writes them to MUJOCO_LOG.TXT in the working
  directory.
  """
  if mujoco.get_mju_user_warning() is None:
    mujoco.set_mju_user_warning(_log_warning)


def _log_warning(message):
  # Gymnasium's model files use this deprecated attribute; users cannot fix
  # them.
  if 'settotalmass' not in message:
    # Each row of an unstable simulation warns at each step.
    logging.log_every_n_seconds(logging.WARNING, 'MuJoCo: %s', 1, message)


def switch_off_clock() -> None:
  """Takes from the physics the clock that MuJoCo's Python package gives it.

  MuJoCo times the parts of every physics step, for `MjData.timer`. A
  half-cheetah reads the clock so often that its steps take a sixth longer. Then
  `MjData.timer` stays at zero in this process. No state depends on it.

  A clock that the program has set with `mujoco.set_mjcb_time`, or sets later,
  stays. `set_mjcb_time` itself cannot remove the package's own clock.
  """
  if mujoco.get_mjcb_time() is not None:
    return
  folder = os.path.dirname(mujoco.__file__)
  for library in glob.glob(os.path.join(folder, '*mujoco*.[sd]*')):
    try:
      callback = ctypes.c_void_p.in_dll(ctypes.CDLL(library), 'mjcb_time')
    except (OSError, ValueError):
      continue  # It keeps its clock, and is slower.
    callback.value = None
