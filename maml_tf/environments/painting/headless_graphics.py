"""OpenGL without a display, on the processor: EGL or OSMesa."""

import importlib
import os
import subprocess
import sys

from maml_tf.core import errors

# What MUJOCO_GL may be, and Debian's package of each.
_PACKAGES = {'egl': 'libegl1', 'osmesa': 'libosmesa6'}

# A library that is there may still draw nothing, or end the process that asks.
# So another process tries; PyOpenGL decides once per process, too.
_TRIAL = """
import sys
import importlib
context = importlib.import_module('mujoco.' + sys.argv[1]).GLContext(8, 8)
context.make_current()
import mujoco
model = mujoco.MjModel.from_xml_string('<mujoco/>')
mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
"""


def create_context(width: int, height: int):
  """Makes an OpenGL context of MuJoCo's and makes it current.

  MUJOCO_GL=egl or osmesa decides; without it, EGL is tried, then OSMesa.

  Args:
    width: The most pixels of a picture, from left to right.
    height: The most pixels of a picture, from above to below.

  Returns:
    A `GLContext` with `make_current` and `free`.

  Raises:
    errors.UsageError: Nothing can draw; the message says what to install.
  """
  wanted = os.environ.get('MUJOCO_GL', '').lower().strip()
  names = [wanted] if wanted in _PACKAGES else list(_PACKAGES)
  for name in names:
    if works(name):
      library = importlib.import_module(f'mujoco.{name}')
      context = library.GLContext(width, height)
      context.make_current()
      return context
  packages = ' or '.join(_PACKAGES[name] for name in names)
  raise errors.UsageError(
    f'MuJoCo can draw with none of {", ".join(names)} here: install {packages},'
    f" as Debian calls it, e.g. 'apt install {_PACKAGES[names[-1]]}'"
  )


def works(name):
  """Whether a process can draw with EGL or OSMesa."""
  done = subprocess.run(
    [sys.executable, '-c', _TRIAL, name],
    env={**os.environ, 'MUJOCO_GL': name},
    capture_output=True,
    check=False,
  )
  return done.returncode == 0
