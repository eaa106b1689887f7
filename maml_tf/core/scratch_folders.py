"""Folders for what is not whole yet, known from those of processes that died.

Each holds a file that its process keeps locked as long as it lives.
"""

from collections.abc import Iterator
import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time

_LOCK_FILE = 'lock'
# What such a folder may hold; see `files.replace_directory`.
_CONTENT = frozenset((_LOCK_FILE, 'new', 'old'))
# A folder of a version that locked nothing is taken for abandoned after this
# time, in which it would have been written.
_OLD_SECONDS = 3600.0

# Locks are a process's: device and inode of the folders that this one writes.
_own: set[tuple[int, int]] = set()


@contextlib.contextmanager
def create(parent: str, prefix: str) -> Iterator[str]:
  """Creates a folder with a name of its own, and removes it after the block.

  Args:
    parent: The folder that it is in.
    prefix: The beginning of its name.

  Yields:
    Its path.
  """
  while True:
    path = tempfile.mkdtemp(prefix=prefix, dir=parent)
    with _locked(path):
      # Else another process saw it before the lock, and removed it.
      if os.path.exists(path):
        yield path
        return


@contextlib.contextmanager
def _locked(path):
  """Locks a folder for the block, and removes it after it."""
  identity = _identity(path)
  _own.add(identity)
  descriptor = None
  try:
    descriptor = os.open(
      os.path.join(path, _LOCK_FILE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    )
    # Another process holds it only for a moment, to test it. Where there are no
    # locks, only one process at a time may write.
    with contextlib.suppress(OSError):
      fcntl.lockf(descriptor, fcntl.LOCK_EX)
    yield
  finally:
    remove(path)
    if descriptor is not None:
      os.close(descriptor)
    _own.discard(identity)


def abandoned(parent: str, prefix: str) -> Iterator[str]:
  """Yields the folders of processes that have died, each locked meanwhile.

  Args:
    parent: As for `create`.
    prefix: As for `create`.
  """
  # The names that `tempfile` makes: a user's `.model-backup-1` is none.
  name = re.compile(re.escape(prefix) + '[a-z0-9_]{8}')
  for found in os.listdir(parent):
    path = os.path.join(parent, found)
    with contextlib.ExitStack() as stack:
      if name.fullmatch(found) and _is_abandoned(path, stack):
        yield path


def remove(path: str) -> None:
  """Removes a folder; if it is cut, the next process can go on."""
  with contextlib.suppress(OSError):
    for name in os.listdir(path):
      if name != _LOCK_FILE:
        shutil.rmtree(os.path.join(path, name), ignore_errors=True)
  shutil.rmtree(path, ignore_errors=True)


def _identity(path):
  status = os.stat(path)
  return status.st_dev, status.st_ino


def _is_abandoned(path, stack):
  """Returns whether its process has died; then the stack keeps it locked."""
  try:
    if not os.path.isdir(path) or _identity(path) in _own:
      return False
    if not _CONTENT.issuperset(os.listdir(path)):
      return False  # It is someone else's.
    descriptor = os.open(os.path.join(path, _LOCK_FILE), os.O_RDWR)
  except FileNotFoundError:
    with contextlib.suppress(OSError):
      return time.time() - os.stat(path).st_mtime > _OLD_SECONDS
    return False
  except OSError:
    return False
  stack.callback(os.close, descriptor)
  try:
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except OSError:
    return False
  return True
