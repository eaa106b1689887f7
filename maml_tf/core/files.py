"""Files and folders replaced in one piece: written beside, then renamed.

What is new is on the disk, and not only in the system's memory, before it
replaces what is old.
"""

from collections.abc import Iterator
import contextlib
import ctypes
import errno
import os

from maml_tf.core import scratch_folders

# Of renameat2: the two paths change places at once.
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
# Ends the stems of files that are being written.
_PART = '.part'


@contextlib.contextmanager
def replace_file(path: str) -> Iterator[str]:
  """Replaces a file once all of its new content is written.

    with files.replace_file('config.gin') as scratch:
      with open(scratch, 'w', encoding='utf-8') as file:
        file.write(text)

  If the block raises, the old file stays as it was and the new one is removed.
  A process that is killed may leave `scratch_file(path)`, which the next one
  overwrites.

  Args:
    path: The file to replace or create. Its folder exists.

  Yields:
    The path to write to: in the same folder, with the same extension.

  Raises:
    OSError: The new file cannot be put in place.
  """
  scratch = scratch_file(path)
  try:
    yield scratch
    sync(scratch)
    os.replace(scratch, path)
    sync(os.path.dirname(path) or '.')
  except BaseException:
    with contextlib.suppress(OSError):
      os.remove(scratch)
    raise


def scratch_file(path: str) -> str:
  """Returns where `replace_file` writes the new content of a file."""
  stem, extension = os.path.splitext(path)
  return f'{stem}{_PART}{extension}'


def is_scratch_file(path: str) -> bool:
  """Returns whether a file has the name of one that is being written."""
  return os.path.splitext(path)[0].endswith(_PART)


@contextlib.contextmanager
def replace_directory(directory: str) -> Iterator[str]:
  """Replaces a directory once all of its new content is written.

  If the block raises, the old directory stays as it was. At every moment, the
  old or the new one is in place, whatever signal ends the process; on file
  systems that cannot exchange two folders, `recover_directory` puts the old one
  back. A process that is killed may leave a folder named `.<name>-*` beside it,
  which the next one removes.

  Args:
    directory: The directory to replace or create. Its parent is created if it
      does not exist.

  Yields:
    The path of the new directory, which the block creates.

  Raises:
    OSError: The new directory cannot be put in place.
  """
  parent, name = os.path.split(os.path.abspath(directory))
  os.makedirs(parent, exist_ok=True)
  recover_directory(directory)
  with scratch_folders.create(parent, f'.{name}-') as scratch:
    new, old = os.path.join(scratch, 'new'), os.path.join(scratch, 'old')
    yield new
    sync_tree(new)
    if not os.path.exists(directory):
      os.rename(new, directory)
    elif not _exchange(new, directory):
      _swap(new, directory, old)
    sync(parent)


def keep_beside(path: str) -> str:
  """Renames a file to the first free of PATH.1, PATH.2, ...; returns that."""
  number = 1
  while os.path.lexists(f'{path}.{number}'):
    number += 1
  os.rename(path, f'{path}.{number}')
  return f'{path}.{number}'


def recover_directory(directory: str) -> None:
  """Cleans up after processes that were killed while they replaced a directory.

  What they left is removed. If the directory is missing, since one ended just
  before it put the new one in place, the old one returns. What a live process
  is writing stays.

  Args:
    directory: As for `replace_directory`.
  """
  parent, name = os.path.split(os.path.abspath(directory))
  for scratch in scratch_folders.abandoned(parent, f'.{name}-'):
    old = os.path.join(scratch, 'old')
    if os.path.isdir(old) and not os.path.lexists(directory):
      os.rename(old, directory)
    scratch_folders.remove(scratch)


def sync_tree(directory: str) -> None:
  """Writes all files and folders of a directory through to the disk."""
  for folder, _, names in os.walk(directory):
    for file in names:
      sync(os.path.join(folder, file))
    sync(folder)


def sync(path: str) -> None:
  """Writes a file, or a folder's list of names, through to the disk."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  except OSError as error:
    # Some file systems cannot do that for folders.
    if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
      raise
  finally:
    os.close(descriptor)


def _exchange(one: str, other: str) -> bool:
  """Lets two paths change places at once; returns False if that is impossible.

  Raises:
    OSError: A path does not exist, or must not be changed.
  """
  library = ctypes.CDLL(None, use_errno=True)
  if not hasattr(library, 'renameat2'):
    return False
  failed = library.renameat2(
    _AT_FDCWD,
    os.fsencode(one),
    _AT_FDCWD,
    os.fsencode(other),
    _RENAME_EXCHANGE,
  )
  if not failed:
    return True
  number = ctypes.get_errno()
  if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
    return False
  raise OSError(number, os.strerror(number), other)


def _swap(new: str, directory: str, old: str) -> None:
  """Moves a directory away and puts another in its place, in two steps."""
  try:
    os.rename(directory, old)
    os.rename(new, directory)
  except BaseException:
    # A signal may come between the steps.
    if os.path.exists(old) and not os.path.exists(directory):
      os.rename(old, directory)
    raise
