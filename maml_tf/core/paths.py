"""Paths that can be written and read again, checked before anything is."""

from collections.abc import Sequence
import errno
import os
import re
import tempfile

from maml_tf.core import files

# The names of files inside the folder of a run or a model are shorter.
_LONGEST_INSIDE = 160

_URL = re.compile(r'[A-Za-z][A-Za-z0-9+.-]*://')
# TensorFlow looks for checkpoints by a pattern: these do not match themselves.
_PATTERN = re.compile(r'\\|\[[^/]+\]')


def check_folder(name: str, path: str | os.PathLike, longer: int = 0) -> str:
  """Checks the path of a folder that TensorFlow writes or reads.

  The folder need not exist. Nothing is written.

  Args:
    name: What the path is, such as '--root_dir'.
    path: The path, as the user gave it.
    longer: By how much the name of what is written beside it is longer.

  Returns:
    The path as a string.

  Raises:
    ValueError: It cannot be such a folder; the message says how to mend that.
  """
  path = check(name, path)
  found = _PATTERN.search(path)
  if found:
    raise ValueError(
      f'{name} is {path!r}: TensorFlow takes {found[0]!r} for a pattern and'
      ' would not find its files again; give it a name without'
      ' brackets and backslashes'
    )
  try:
    path.encode()
  except UnicodeEncodeError:
    raise ValueError(
      f'{name} is {path!r}: TensorFlow needs a path in UTF-8; give another name'
    ) from None
  folder = _nearest(path)
  if not os.path.isdir(folder):
    raise ValueError(f'{folder} is not a folder: give another {name}')
  names = os.path.relpath(os.path.abspath(path), folder).split(os.sep)
  longest = max(len(os.fsencode(part)) for part in names)
  if longest + longer > os.pathconf(folder, 'PC_NAME_MAX'):
    raise ValueError(_too_long(name, path))
  return path


def check(name: str, path: str | os.PathLike) -> str:
  """Checks the path of a file or folder that need not exist.

  Args:
    name: What the path is, such as '--out'.
    path: The path, as the user gave it.

  Returns:
    The path as a string.

  Raises:
    ValueError: There can be no such file; the message says how to mend that.
  """
  try:
    path = os.fspath(path)
  except TypeError:
    pass
  if not isinstance(path, str):
    raise ValueError(f'{name} is not a path: give a string')
  if not path:
    raise ValueError(f'{name} is empty: give a path')
  if '\0' in path:
    raise ValueError(f'{name} is {path!r}: a path has no null character')
  if _URL.match(path):
    raise ValueError(
      f'{name} is {path}: give a folder of this machine, and copy or mount what'
      ' is elsewhere'
    )
  limit = os.pathconf('/', 'PC_PATH_MAX')
  if len(os.fsencode(os.path.abspath(path))) + _LONGEST_INSIDE > limit:
    raise ValueError(_too_long(name, path))
  _check_links(name, path)
  return path


def check_writable(folder: str) -> None:
  """Checks that files can be made in a folder, which need not exist.

  Raises:
    ValueError: It, or the folder that it would be in, cannot be written.
  """
  nearest = _nearest(folder)
  fault = ValueError(
    f'{nearest} cannot be written: give another path, or make it writable'
  )
  if not os.access(nearest, os.W_OK | os.X_OK):
    raise fault
  try:
    # Its permissions do not tell of file systems such as /proc.
    tempfile.TemporaryFile(dir=nearest).close()
  except OSError as error:
    if error.errno != errno.ENOSPC:
      raise fault from None


def check_output_file(name: str, path: str) -> None:
  """Checks that a file can be written into a folder that exists.

  Args:
    name: What the path is, such as '--out'.
    path: The path, as the user gave it.

  Raises:
    ValueError: It cannot; the message says how to mend that.
  """
  check(name, files.scratch_file(path))
  folder = os.path.dirname(path) or '.'
  if not os.path.isdir(folder):
    raise ValueError(
      f'{folder} is not a folder: create it, or give another path'
    )
  check_writable(folder)


def check_output_folder(
  name: str, folder: str, files: Sequence[str] = ()
) -> None:
  """Checks that files can be written into a folder, which need not exist.

  Args:
    name: What the path is, such as '--out'.
    folder: The path, as the user gave it.
    files: The names of the files.

  Raises:
    ValueError: They cannot; the message says how to mend that.
  """
  check(name, folder)
  nearest = _nearest(folder)
  if not os.path.isdir(nearest):
    raise ValueError(f'{nearest} is not a folder: give another {name}')
  check_writable(folder)
  for file in files:
    path = os.path.join(folder, file)
    if os.path.isdir(path):
      raise ValueError(
        f'{path} is a folder, where a file is written: move it away, or give'
        f' another {name}'
      )


def printable(text: str) -> str:
  """Returns a text, such as a name that is not UTF-8, as one that can be."""
  return os.fsencode(text).decode(errors='backslashreplace')


def _check_links(name, path):
  """Raises ValueError for symbolic links that lead nowhere, and long names."""
  try:
    os.stat(path)
    return
  except OSError as error:
    if error.errno == errno.ENAMETOOLONG:
      raise ValueError(_too_long(name, path)) from None
    if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
      raise ValueError(
        f'{name} is {path}, which cannot be reached ({error.strerror}): give'
        ' another path'
      ) from None
  while path and path != os.path.dirname(path):
    if os.path.islink(path) and not os.path.exists(path):
      raise ValueError(
        f'{name}: {path} is a symbolic link to {os.readlink(path)}, which does'
        ' not exist or leads back to it: give another path'
      )
    path = os.path.dirname(path)


def _nearest(path):
  """Returns the path itself or the nearest folder above it that exists."""
  path = os.path.abspath(path)
  while not os.path.exists(path):
    path = os.path.dirname(path)
  return path


def _too_long(name, path):
  return f'{name} is too long ({path[:40]}...): give a shorter path'
