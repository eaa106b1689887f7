"""Switches off the clock that MuJoCo's Python package gives to the physics.

MuJoCo times the parts of every physics step, for `MjData.timer`. A half-cheetah
reads the clock so often that its steps take a sixth longer.
"""

import ctypes
import glob
import os

import mujoco


def switch_off() -> None:
  """Leaves `MjData.timer` at zero in this process; no state depends on it.

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
      continue  # Another library, or not the MuJoCo we know: it is slower.
    callback.value = None
