"""OpenGL without a display: EGL or OSMesa."""

from collections.abc import Iterator
import contextlib
import importlib
import os
import subprocess
import sys
from typing import Any

from maml_tf.core import errors
from maml_tf.core import stack

# The supported values of MUJOCO_GL, each with its Debian package.
_PACKAGES = {'egl': 'libegl1', 'osmesa': 'libosmesa6'}

# Set where a display can be reached.
_DISPLAYS = ('DISPLAY', 'WAYLAND_DISPLAY')

# An installed library may still fail to render, or crash the process. Besides,
# PyOpenGL chooses its library once per process. So a separate process tries it.
_TRIAL = """
import sys
import importlib
for module in sys.argv[2:]:
  importlib.import_module(module)
context = importlib.import_module('mujoco.' + sys.argv[1]).GLContext(8, 8)
context.make_current()
import mujoco
model = mujoco.MjModel.from_xml_string('<mujoco/>')
context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
mujoco.mjr_rectangle(mujoco.MjrRect(0, 0, 8, 8), 1, 1, 1, 1)
mujoco.mjr_finish()
"""


def create_context(width: int, height: int) -> Any:
  """Creates one of MuJoCo's OpenGL contexts; `current` makes it current.

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
      return library.GLContext(width, height)
  if stack.exports_symbols() and any(map(_works_alone, names)):
    raise errors.UsageError(
      'MuJoCo cannot render beside TensorFlow, which was imported first: import'
      ' maml_tf before tensorflow'
    )
  packages = ' or '.join(_PACKAGES[name] for name in names)
  raise errors.UsageError(
    f'MuJoCo cannot render with {" or ".join(names)}: install the Debian'
    f" package {packages}, e.g. 'apt install {_PACKAGES[names[-1]]}'"
  )


@contextlib.contextmanager
def current(context: Any) -> Iterator[None]:
  """Makes a context current, and afterwards the one that was.

  Python may collect a renderer that nobody closed, at any time. MuJoCo then
  deletes what it had drawn with, by numbers, in the context that is current: in
  ours, spheres and capsules would be missing from all later images. Before
  MuJoCo 4, which can restore a context, ours stays current.

  Args:
    context: What `create_context` returned.
  """
  if hasattr(context, 'as_current'):
    with context.as_current():
      yield
  else:
    context.make_current()
    yield


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
  """Returns whether this process can render with 'egl' or 'osmesa'."""
  # TensorFlow's symbols may come between those of the library.
  return _works_beside(name, ['tensorflow'] * stack.exports_symbols())


def _works_alone(name: str) -> bool:
  return _works_beside(name, [])


def _works_beside(name: str, modules: list[str]) -> bool:
  """Returns whether a process that has imported modules can render."""
  done = subprocess.run(
    [sys.executable, '-c', _TRIAL, name, *modules],
    env={**os.environ, 'MUJOCO_GL': name},
    capture_output=True,
    check=False,
  )
  return done.returncode == 0
