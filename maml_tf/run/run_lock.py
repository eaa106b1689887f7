"""The lock of a run's folder: one process at a time trains the run there.

The system frees the lock when its process ends in whatever way, so that a lock
file which remains means nothing. Processes that a trainer has forked do not
hold it.
"""

from collections.abc import Iterator
import contextlib
import datetime
import errno
import fcntl
import os
import socket
import threading

from maml_tf.core import errors
from maml_tf.core import terminal

LOCK_FILE = '.maml_tf.lock'

# What file systems without locks answer.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)

# Locks are a process's, not a thread's: the folders that this one trains in.
_held: dict[tuple[int, int], str] = {}
_guard = threading.Lock()


@contextlib.contextmanager
def hold(root_dir: str) -> Iterator[None]:
  """Holds the lock of a run's folder during the block.

  The folder is made if it does not exist, and removed after the block if it is
  still empty.

  Args:
    root_dir: The run's folder.

  Raises:
    errors.UsageError: Another process, or another thread, trains there;
      or the folder cannot be written.
  """
  made = _missing(root_dir)
  with contextlib.ExitStack() as stack:
    stack.callback(_remove_empty, made)
    try:
      os.makedirs(root_dir, exist_ok=True)
      folder = os.stat(root_dir)
      stack.enter_context(_in_this_process(root_dir, folder))
      descriptor = _open(root_dir)
    except OSError as error:
      raise errors.UsageError(
        f'{root_dir} cannot be written ({error.strerror}): give another'
        ' --root_dir'
      ) from error
    stack.callback(os.close, descriptor)
    # Before it is closed: nobody else can have locked this file.
    stack.callback(_remove, os.path.join(root_dir, LOCK_FILE))
    yield


@contextlib.contextmanager
def _in_this_process(root_dir, folder):
  """Marks a folder as one that this process trains in."""
  key = folder.st_dev, folder.st_ino
  with _guard:
    if key in _held:
      raise _is_being_trained(root_dir, _held[key])
    _held[key] = _holder()
  try:
    yield
  finally:
    with _guard:
      del _held[key]


def _open(root_dir):
  """Opens and locks the lock file; returns its descriptor."""
  path = os.path.join(root_dir, LOCK_FILE)
  while True:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
      _lock(descriptor, root_dir)
      if _is_same(descriptor, path):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _holder().encode(), 0)
        return descriptor
    except BaseException:
      os.close(descriptor)
      raise
    # Its holder ended, and removed it, between our opening and locking it.
    os.close(descriptor)


def _lock(descriptor, root_dir):
  """Locks an open file.

  Raises:
    errors.UsageError: Another process has locked it.
  """
  try:
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except OSError as error:
    if error.errno in _NO_LOCKS:
      terminal.log(
        f'{root_dir} is on a file system without locks: do not train it twice'
        ' at a time'
      )
      return
    if error.errno not in (errno.EACCES, errno.EAGAIN):
      raise
    holder = os.pread(descriptor, 1000, 0).decode(errors='replace')
    raise _is_being_trained(root_dir, holder) from None


def _is_same(descriptor, path):
  """Returns whether the open file is still the one under its name."""
  try:
    named = os.stat(path)
  except FileNotFoundError:
    return False
  return os.path.samestat(os.fstat(descriptor), named)


def _is_being_trained(root_dir, holder):
  return errors.UsageError(
    f'{root_dir} is being trained by {holder or "another process"}: wait, stop'
    ' it, or give another --root_dir'
  )


def _holder():
  time = datetime.datetime.now().strftime('%Y-%m-%d %H:%M:%S')
  return f'process {os.getpid()} on host {socket.gethostname()} since {time}'


def _missing(root_dir):
  """Returns the folders that making root_dir will make, the lowest first."""
  missing, path = [], os.path.abspath(root_dir)
  while not os.path.exists(path):
    missing.append(path)
    path = os.path.dirname(path)
  return missing


def _remove_empty(folders):
  with contextlib.suppress(OSError):
    for folder in folders:
      os.rmdir(folder)


def _remove(path):
  with contextlib.suppress(OSError):
    os.remove(path)
