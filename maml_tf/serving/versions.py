"""Numbered versions of a SavedModel in one folder, as TensorFlow Serving reads.

A server watches the folder and loads the version with the largest number. It
ignores all names that are not numbers.
"""

from collections.abc import Callable
import errno
import os
import re

import tensorflow as tf

from maml_tf.core import files
from maml_tf.core import paths
from maml_tf.core import scratch_folders

# The number after the largest one.
NEXT = 'next'
Version = int | str

_PREFIX = '.version-'
# TensorFlow Serving reads numbers of 64 bits.
_LARGEST = 2**63 - 1
_EXISTS = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


def parse(text: str, name: str = 'version') -> Version:
  """Reads a version.

  Args:
    text: 'next' or a number.
    name: What the text is, such as '--model_version'.

  Raises:
    ValueError: It is neither.
  """
  if text == NEXT:
    return text
  if not re.fullmatch('[0-9]{1,19}', text) or not 1 <= int(text) <= _LARGEST:
    raise ValueError(
      f'{name} is {text!r}: give {NEXT}, or an integer of at least 1'
    )
  return int(text)


def next_number(folder: str) -> int:
  """Returns the number after the largest one in a folder, 1 for the first."""
  names = os.listdir(folder) if os.path.isdir(folder) else []
  numbers = [int(name) for name in names if re.fullmatch('[0-9]{1,19}', name)]
  return max(numbers, default=0) + 1


def check_folder(
  folder: str, version: Version, name: str = 'directory'
) -> None:
  """Checks that a version can be added to a folder, and read there.

  Args:
    folder: It need not exist.
    version: `NEXT`, or a number that is free.
    name: What the path is, such as '--export_dir'.

  Raises:
    ValueError: The folder is a SavedModel or no folder at all, has this version
      already, cannot be written, or TensorFlow cannot read from it.
  """
  paths.check_folder(name, folder)
  if tf.saved_model.contains_saved_model(folder):
    raise ValueError(
      f'{folder} is a SavedModel, not a folder of versions: give another {name}'
    )
  if version != NEXT and os.path.lexists(_path(folder, version)):
    raise ValueError(_fault(folder, version))
  paths.check_writable(os.path.abspath(folder))


def add(folder: str, version: Version, write: Callable[[str], object]) -> str:
  """Adds a version, which appears only when it is complete.

  If two processes add the next version at once, each gets a number of its own.

  Args:
    folder: The folder of versions, which is created if it does not exist.
    version: As for `check_folder`.
    write: Writes the SavedModel to a path.

  Returns:
    The path of the version.

  Raises:
    ValueError: The folder has this version.
    OSError: The version cannot be written.
  """
  os.makedirs(folder, exist_ok=True)
  for scratch in scratch_folders.abandoned(folder, _PREFIX):
    scratch_folders.remove(scratch)
  with scratch_folders.create(folder, _PREFIX) as scratch:
    new = os.path.join(scratch, 'new')
    write(new)
    files.sync_tree(new)
    while True:
      number = next_number(folder) if version == NEXT else version
      try:
        # It never replaces a folder that is not empty.
        os.rename(new, _path(folder, number))
      except OSError as error:
        if error.errno not in _EXISTS:
          raise
        if version != NEXT:
          raise ValueError(_fault(folder, version)) from error
      else:
        files.sync(folder)
        return _path(folder, number)


def _path(folder, number):
  return os.path.join(folder, str(number))


def _fault(folder, version):
  return (
    f'{_path(folder, version)} exists: give the version {NEXT}, which is'
    f' {next_number(folder)}'
  )
