"""How the user started this process, so that lines repeat what was typed.

| typed | form |
|---|---|
| `python -m maml_tf.train --gin_file=point.gin` | a module of the package |
| `python -m maml_tf train --gin_file=point.gin` | the package |
| `maml_tf train --gin_file=point.gin` | the script |
"""

import itertools
import os
import shlex
import shutil
import sys

_NAME = 'maml_tf'
# Where flags are defined that are not those of the module maml_tf.NAME:
# `maml_tf.adapt` is a function.
_MODULES = {'adapt': 'maml_tf.commands.adapt_flags'}


def module_name(command: str) -> str:
  """Returns the name of the module that defines a command's flags.

  Args:
    command: Its name, such as 'train'.
  """
  return _MODULES.get(command, f'{_NAME}.{command}')


def start(command: str) -> str:
  """Returns how a command begins that repeats the form that the user typed.

  Args:
    command: As for `module_name`.
  """
  if is_script():
    return f'{shlex.quote(_script())} {command}'
  return f'{shlex.join(interpreter())} -m {_module(command)}'


def example(command: str) -> str:
  """As `start`, for a reader: without the path of Python or of the script."""
  if is_script():
    return f'{_NAME} {command}'
  return f'python -m {_module(command)}'


def program() -> str:
  """Returns what is typed before a command's name, for a reader."""
  return _NAME if is_script() else f'python -m {_NAME}'


def is_script() -> bool:
  """Returns whether this process is the installed script `maml_tf`."""
  return os.path.basename(sys.argv[0]) == _NAME


def interpreter() -> list[str]:
  """Returns Python and its options, as they were typed if possible."""
  typed, *arguments = sys.orig_argv
  found = shutil.which(typed)
  if found is None or os.path.abspath(found) != sys.executable:
    typed = sys.executable
  # Options such as -u stand before the module.
  options = list(itertools.takewhile(lambda word: word != '-m', arguments))
  module = _NAME if _is_package() else f'{_NAME}.{_started()}'
  is_ours = arguments[len(options) + 1 :][:1] == [module]
  return [typed, *options] if is_ours else [typed]


def _script() -> str:
  """Returns the script's name if the shell finds it, or else its path."""
  script, found = sys.argv[0], shutil.which(_NAME)
  if found and os.path.realpath(found) == os.path.realpath(script):
    return _NAME
  return script


def _module(command: str) -> str:
  """Returns what stands after -m."""
  is_argument = _is_package() or command in _MODULES
  return f'{_NAME}{" " if is_argument else "."}{command}'


def _is_package() -> bool:
  """Returns whether Python has started the package, not a module of it."""
  folder = os.path.basename(os.path.dirname(sys.argv[0]))
  return (folder, _started()) == (_NAME, '__main__')


def _started() -> str:
  """Returns the name of the module that Python has started."""
  return os.path.splitext(os.path.basename(sys.argv[0]))[0]
