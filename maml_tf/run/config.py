"""Finds and parses gin files."""

from collections.abc import Sequence
import functools
import logging
import os

import gin

from maml_tf.core import errors
from maml_tf.run import config_references

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# In a wheel the configs are inside the package, in a checkout beside it.
CONFIG_DIRS = (
  os.path.join(_PACKAGE, 'gin_configs'),
  os.path.join(os.path.dirname(_PACKAGE), 'gin_configs'),
)
CONFIG_FILE = 'config.gin'
# What `--allow_config_change` changed.
CHANGES_FILE = 'config_changes.txt'


def shipped_configs() -> list[str]:
  """Returns the names of the gin files that come with the package."""
  return sorted(
    {
      name
      for directory in CONFIG_DIRS
      if os.path.isdir(directory)
      for name in os.listdir(directory)
      if name.endswith('.gin')
    }
  )


def parse(gin_files: Sequence[str], gin_bindings: Sequence[str]) -> None:
  """Parses gin files, then bindings.

  Args:
    gin_files: Paths, or names of files that come with the package.
    gin_bindings: Lines such as 'InnerLoop.step_size = 0.1'.

  Raises:
    errors.UsageError: A file does not exist or does not parse, or a name or
      parameter is unknown.
  """
  paths = [_find(name) for name in gin_files]
  _add_search_paths()
  disabled = logging.root.manager.disable
  # Gin logs an error for each folder that does not hold an included file.
  logging.disable(logging.ERROR)
  try:
    with errors.usage_errors():
      config_references.register(paths, gin_bindings, _find)
      gin.parse_config_files_and_bindings(paths, gin_bindings)
  finally:
    logging.disable(disabled)


@functools.cache
def _add_search_paths() -> None:
  """Lets `include` find the packaged files; once per process."""
  for directory in CONFIG_DIRS:
    gin.add_config_file_search_path(directory)


def _find(name: str) -> str:
  """Returns the path of a gin file."""
  for path in (name, *(os.path.join(d, name) for d in CONFIG_DIRS)):
    if os.path.isfile(path):
      return path
  raise errors.UsageError(
    f'{name} does not exist: give a path, or one of '
    + ', '.join(shipped_configs())
  )
