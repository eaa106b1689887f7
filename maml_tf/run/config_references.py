"""Lets gin files refer to anything in the modules that they import.

Gin knows only what has been registered with it. A user's environment need not
be: `import my_module` and `@my_module.MyEnv` suffice. Imports of `keras` and of
`tf_keras` both mean legacy Keras, so that runs go on with another TensorFlow.
"""

import builtins
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import contextvars
import importlib
import re
import sys
import traceback
import types
from typing import Any

import gin
from gin import config as gin_config

from maml_tf.core import errors
from maml_tf.core import legacy_keras
from maml_tf.run import config_arguments
from maml_tf.run import config_texts

_IMPORT = re.compile(r'^[ \t]*import\s+([\w.]+)', re.MULTILINE)
_FROM_IMPORT = re.compile(
  r'^[ \t]*from\s+([\w.]+)\s+import\s+(\w+)', re.MULTILINE
)
_REFERENCE = re.compile(r'@(?:\w+/)*([A-Za-z_][\w.]*)')
_BINDING = re.compile(r'^\s*(?:\w+/)*([A-Za-z_][\w.]*)\.\w+\s*=', re.MULTILINE)
_COMMENT = re.compile(r'#.*')
_importing: contextvars.ContextVar[bool] = contextvars.ContextVar(
  'importing', default=False
)


def register(texts: Sequence[config_texts.Text]) -> None:
  """Registers with gin what files and bindings refer to and gin lacks.

  Only names in modules that the files import are looked at; whatever is not
  found is left for gin to report.

  Args:
    texts: All files and bindings.

  Raises:
    errors.UsageError: A module cannot be imported.
  """
  texts = [t._replace(content=_COMMENT.sub('', t.content)) for t in texts]
  modules = _modules(texts)
  for text in texts:
    for selector in (
      *_REFERENCE.findall(text.content),
      *_BINDING.findall(text.content),
    ):
      if not _is_known(selector):
        _register_from(modules, selector)


@contextlib.contextmanager
def importing() -> Iterator[None]:
  """Lets gin import what `register` does, for the block."""
  token = _importing.set(True)
  try:
    yield
  finally:
    _importing.reset(token)


def _import_for_gin(name: str, **kwargs: Any) -> types.ModuleType:
  """Imports a module of a gin file, or one that gin is about to record."""
  here = legacy_keras.module_name(name)
  if _importing.get():
    return builtins.__import__(here, **kwargs)
  try:
    return builtins.__import__(name, **kwargs)
  except ModuleNotFoundError:
    if here == name:
      raise
    return builtins.__import__(here, **kwargs)


# It hides the built-in function from gin's module alone.
vars(gin_config)['__import__'] = _import_for_gin


def _modules(
  texts: Sequence[config_texts.Text],
) -> dict[str, types.ModuleType]:
  """Imports what the texts import; returns modules by the name used there."""
  modules = {}
  for text in texts:
    for match in _IMPORT.finditer(text.content):
      modules[match[1]] = _import(match[1], text, match.start())
    for match in _FROM_IMPORT.finditer(text.content):
      package, name = match.groups()
      if package != '__gin__':
        modules[name] = _import(f'{package}.{name}', text, match.start())
  return modules


def _import(
  name: str, text: config_texts.Text, position: int
) -> types.ModuleType:
  """Imports a module that a text refers to, at a position.

  Raises:
    errors.UsageError: It does not exist, or its code raises or exits.
  """
  if name == config_arguments.script():
    # The program itself, which must not run a second time.
    sys.modules.setdefault(name, sys.modules['__main__'])
  name = legacy_keras.module_name(name)
  try:
    return importlib.import_module(name)
  except (Exception, SystemExit) as error:
    # A module of the user's may itself lack another one.
    if isinstance(error, ModuleNotFoundError) and f'{name}.'.startswith(
      f'{error.name}.'
    ):
      where = f', which {text.path} imports' if text.path else ''
      raise errors.UsageError(
        f"No module named '{error.name}'{where}: start in the folder that holds"
        ' it, or add that folder to PYTHONPATH'
      ) from error
    where = text.where(text.content.count('\n', 0, position) + 1)
    what = f'{type(error).__name__}: {error}'
    if isinstance(error, SystemExit):
      what = f'it ends Python, with exit code {error.code}'
    line = f'{where}: import {name}: {what}'
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
