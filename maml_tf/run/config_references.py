"""Lets gin files refer to anything in the modules that they import.

Gin knows only what has been registered with it. A user's environment need not
be: `import my_module` and `@my_module.MyEnv` suffice.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import contextlib
import importlib
import re
import sys
import traceback
import types
from typing import Any

import gin

from maml_tf.core import errors
from maml_tf.run import config_arguments

_IMPORT = re.compile(r'^\s*import\s+([\w.]+)', re.MULTILINE)
_FROM_IMPORT = re.compile(r'^\s*from\s+([\w.]+)\s+import\s+(\w+)', re.MULTILINE)
_INCLUDE = re.compile(r"""^\s*include\s+['"](.+?)['"]""", re.MULTILINE)
_REFERENCE = re.compile(r'@(?:\w+/)*([A-Za-z_][\w.]*)')
_BINDING = re.compile(r'^\s*(?:\w+/)*([A-Za-z_][\w.]*)\.\w+\s*=', re.MULTILINE)
_COMMENT = re.compile(r'#.*')


def register(
  gin_files: Sequence[str],
  gin_bindings: Sequence[str],
  find: Callable[[str], str],
) -> None:
  """Registers with gin what files and bindings refer to and gin lacks.

  Only names in modules that the files import are looked at; whatever is not
  found is left for gin to report.

  Args:
    gin_files: Paths.
    gin_bindings: Lines.
    find: Returns the path of an included file by its name.

  Raises:
    errors.UsageError: A module cannot be imported.
  """
  texts = [*_read(gin_files, find, set()), ('', '\n'.join(gin_bindings))]
  modules = _modules(texts)
  for _, text in texts:
    for selector in (*_REFERENCE.findall(text), *_BINDING.findall(text)):
      if not _is_known(selector):
        _register_from(modules, selector)


def _read(paths, find, seen) -> Iterable[tuple[str, str]]:
  """Yields paths and texts of files and of those that they include."""
  for path in paths:
    if path in seen:
      continue
    seen.add(path)
    with open(path, encoding='utf-8') as file:
      text = _COMMENT.sub('', file.read())
    yield path, text
    included = []
    for name in _INCLUDE.findall(text):
      # Gin reports a file that does not exist, and where it is included.
      with contextlib.suppress(errors.UsageError):
        included.append(find(name))
    yield from _read(included, find, seen)


def _modules(texts) -> dict[str, types.ModuleType]:
  """Imports what the texts import; returns modules by the name used there."""
  modules = {}
  for path, text in texts:
    for name in _IMPORT.findall(text):
      modules[name] = _import(name, path)
    for package, name in _FROM_IMPORT.findall(text):
      if package != '__gin__':
        modules[name] = _import(f'{package}.{name}', path)
  return modules


def _import(name: str, path: str) -> types.ModuleType:
  """Imports a module that a file refers to; path '': a binding does.

  Raises:
    errors.UsageError: It does not exist, or its code raises.
  """
  if name == config_arguments.script():
    # The program itself, which must not run a second time.
    sys.modules.setdefault(name, sys.modules['__main__'])
  try:
    return importlib.import_module(name)
  except Exception as error:
    # A module of the user's may itself lack another one.
    if isinstance(error, ModuleNotFoundError) and f'{name}.'.startswith(
      f'{error.name}.'
    ):
      where = f', which {path} imports' if path else ''
      raise errors.UsageError(
        f"No module named '{error.name}'{where}: start in the folder that holds"
        ' it, or add that folder to PYTHONPATH'
      ) from error
    line = f'import {name}: {type(error).__name__}: {error}'
    raise errors.UsageError(
      ' '.join(line.split()), traceback.format_exc()
    ) from error


def _is_known(selector: str) -> bool:
  try:
    gin.get_configurable(selector)
  except ValueError:
    return False
  return True


def _register_from(modules: dict[str, types.ModuleType], selector: str) -> None:
  """Registers what a selector means in one of the modules, if anything."""
  *module_name, name = selector.split('.')
  if module_name:
    candidates = [modules.get('.'.join(module_name))]
  else:
    candidates = list(modules.values())
  for module in candidates:
    found: Any = getattr(module, name, None)
    if callable(found) and not isinstance(found, types.ModuleType):
      gin.external_configurable(
        found, name, module='.'.join(module_name) or module.__name__
      )
      return
