"""OpenGL without a display: EGL or OSMesa."""

import importlib
import os
import subprocess
import sys
from typing import Any

from maml_tf.core import errors

# The supported values of MUJOCO_GL, each with its Debian package.
_PACKAGES = {'egl': 'libegl1', 'osmesa': 'libosmesa6'}

# Set where a display can be reached.
_DISPLAYS = ('DISPLAY', 'WAYLAND_DISPLAY')

# An installed library may still fail to render, or crash the process. Besides,
# PyOpenGL chooses its library once per process. So a separate process tries it.
_TRIAL = """
import sys
import importlib
context = importlib.import_module('mujoco.' + sys.argv[1]).GLContext(8, 8)
context.make_current()
import mujoco
model = mujoco.MjModel.from_xml_string('<mujoco/>')
mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
"""


def create_context(width: int, height: int) -> Any:
  """Creates one of MuJoCo's OpenGL contexts and makes it current.

  MUJOCO_GL=egl or MUJOCO_GL=osmesa selects the library. Without it, EGL is
  tried first, then OSMesa.

  Args:
    width: The largest width of an image in pixels.
    height: The largest height of an image in pixels.

  Returns:
    A `GLContext` with `make_current` and `free`.

  Raises:
    errors.UsageError: No library works; the message names a package to install.
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
    f'MuJoCo cannot render with {" or ".join(names)}: install the Debian'
    f" package {packages}, e.g. 'apt install {_PACKAGES[names[-1]]}'"
  )


def choose_library() -> None:
  """Sets MUJOCO_GL for environments that render on their own.

  If there is neither a display nor a choice of the user, Gymnasium's renderer
  would take GLFW, which needs a display. If no library works, nothing is set:
  an environment may draw without OpenGL.
  """
  if any(os.environ.get(name) for name in ('MUJOCO_GL', *_DISPLAYS)):
    return
  for name in _PACKAGES:
    if works(name):
      os.environ['MUJOCO_GL'] = name
      return


def works(name: str) -> bool:
  """Returns whether a process can render with the library 'egl' or 'osmesa'."""
  done = subprocess.run(
    [sys.executable, '-c', _TRIAL, name],
    env={**os.environ, 'MUJOCO_GL': name},
    capture_output=True,
    check=False,
  )
  return done.returncode == 0
