"""Silences what TensorFlow, TF-Agents and MuJoCo print about themselves.

It is enough to import this module before those libraries, and
`maml_tf/__init__.py` does.
"""

from importlib import abc
from importlib import machinery
import os
import sys

from absl import logging

# By default, the native code of TensorFlow 2.15 prints about ten lines during
# its import. On every machine, three of them are errors ("Unable to register
# cuDNN factory"), so only level 3 silences them. TensorFlow reads the level
# once per process. Failing operations still raise Python exceptions, and fatal
# native errors are still printed. But a GPU that fails to start is ignored
# silently: to see why, set TF_CPP_MIN_LOG_LEVEL=0. A level that is already set
# is respected.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

# TF-Agents imports gym. From this table of announcements, gym prints that
# Gymnasium supersedes it. Users of this package cannot act on that: its own
# environments use Gymnasium already.
try:
  from gym_notices import notices
except ImportError:
  pass  # This version of gym has no announcements.
else:
  notices.notices.clear()


class _MujocoFinder(abc.MetaPathFinder, abc.Loader):
  """Routes MuJoCo's warnings as soon as it is imported."""

  def find_spec(self, fullname, path=None, target=None):
    if fullname != 'mujoco':
      return None
    spec = machinery.PathFinder.find_spec(fullname, path)
    if spec is not None:
      self._loader, spec.loader = spec.loader, self
    return spec

  def create_module(self, spec):
    return self._loader.create_module(spec)

  def exec_module(self, module):
    sys.meta_path.remove(self)
    module.__spec__.loader = module.__loader__ = self._loader
    self._loader.exec_module(module)
    route_warnings(module)


def route_warnings(mujoco) -> None:
  """Sends MuJoCo's warnings to absl's log, unless they have a handler already.

  Without a handler, MuJoCo writes them to MUJOCO_LOG.TXT in the working
  directory.

  Args:
    mujoco: The module.
  """
  if mujoco.get_mju_user_warning() is None:
    mujoco.set_mju_user_warning(_log_warning)


def _log_warning(message):
  # Gymnasium's model files use this deprecated attribute; users cannot fix
  # them.
  if 'settotalmass' not in message:
    # Each row of an unstable simulation warns at each step.
    logging.log_every_n_seconds(logging.WARNING, 'MuJoCo: %s', 1, message)


if 'mujoco' in sys.modules:
  route_warnings(sys.modules['mujoco'])
else:
  sys.meta_path.insert(0, _MujocoFinder())
