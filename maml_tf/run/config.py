"""Finds and parses gin files."""

from collections.abc import Sequence
import difflib
import functools
import logging
import os
import tokenize
from typing import NamedTuple

import gin

from maml_tf.core import errors
from maml_tf.core import run_files
from maml_tf.core import shipped_configs as shipped
from maml_tf.run import config_faults
from maml_tf.run import config_references
from maml_tf.run import config_texts

CONFIG_DIRS = shipped.DIRECTORIES
CONFIG_FILE = run_files.CONFIG_FILE
CHANGES_FILE = run_files.CHANGES_FILE


class Parsed(NamedTuple):
  """What was parsed, in its order.

  Attributes:
    files: The paths of the gin files.
    texts: Their texts, those of the files that they include, and the bindings.
  """

  files: Sequence[str]
  texts: Sequence[config_texts.Text]


def shipped_configs() -> list[str]:
  """Returns the names of the gin files that come with the package."""
  return shipped.names()


def parse(gin_files: Sequence[str], gin_bindings: Sequence[str]) -> Parsed:
  """Parses gin files, then bindings.

  Args:
    gin_files: Paths, or names of files that come with the package.
    gin_bindings: Lines such as 'InnerLoop.step_size = 0.1'.

  Returns:
    What was parsed.

  Raises:
    errors.UsageError: A file does not exist or does not parse, or a name or
      parameter is unknown. The message names the file and line, or the binding.
  """
  paths = [_find(name) for name in gin_files]
  _add_search_paths()
  disabled = logging.root.manager.disable
  # Gin logs an error for each folder that does not hold an included file.
  logging.disable(logging.ERROR)
  try:
    with errors.usage_errors():
      texts = [
        *config_texts.read(paths, _find),
        *(config_texts.Text('', line) for line in gin_bindings),
      ]
      config_references.register(texts)
      _parse(paths, gin_bindings, texts)
  finally:
    logging.disable(disabled)
  return Parsed(paths, texts)


def _parse(paths, gin_bindings, texts):
  """Lets gin parse.

  Raises:
    errors.UsageError: A text is wrong.
  """
  try:
    with config_references.importing():
      gin.parse_config_files_and_bindings(paths, gin_bindings)
  except (
    ValueError,
    TypeError,
    OSError,
    SyntaxError,
    ImportError,
    tokenize.TokenError,
  ) as error:
    raise config_faults.describe(error, texts) from error


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
  if os.path.isdir(name):
    raise errors.UsageError(f'{name} is a folder: give a gin file')
  close = difflib.get_close_matches(
    os.path.basename(name), shipped.names(), 1, 0.75
  )
  meant = f' (did you mean {close[0]}?)' if close else ''
  raise errors.UsageError(
    f'{name} does not exist{meant}: give a path or {choices()}'
  )


def choices() -> str:
  """Returns the files of the package that a run can begin with, in a line."""
  groups = shipped.groups()
  return (
    f'an experiment ({", ".join(groups.experiments)}) and, if you like, an'
    f' algorithm after it ({", ".join(groups.algorithms)})'
  )
