"""Arguments of `train_eval` as gin would bind them, so that runs record them.

Gin records what it supplies. What a program gives, as an argument or by
`gin.bind_parameter`, is written here as the lines of a gin file.
"""

import ast
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import contextvars
import functools
import inspect
import os
import sys
import types
from typing import Any
from typing import NamedTuple

import gin
import numpy as np

from maml_tf.core import errors
from maml_tf.core import plain_texts
from maml_tf.run import config_registry


class Binding(NamedTuple):
  """A value as gin reads it.

  Attributes:
    text: The value, such as '5' or '@my_module.MyTasks'.
    modules: The modules that it refers to.
  """

  text: str
  modules: tuple[str, ...] = ()


_given: contextvars.ContextVar[Mapping[str, Binding]] = contextvars.ContextVar(
  'given', default=types.MappingProxyType({})
)


def given() -> Mapping[str, Binding]:
  """Returns what Python gave to the function that is running, by full name."""
  return _given.get()


def recorded(*left_out: str) -> Callable[[Callable], Callable]:
  """Decorates a configurable: `given` has its arguments while it runs.

  Args:
    *left_out: The arguments that are no settings.
  """

  def decorate(function):
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args, **kwargs):
      arguments = dict(
        gin.get_bindings(function.__name__, resolve_references=False)
      )
      # Gin records these itself.
      arguments = {n: v for n, v in arguments.items() if _is_function(v)}
      arguments.update(signature.bind_partial(*args, **kwargs).arguments)
      bindings = {
        f'{function.__name__}.{name}': _binding(name, value)
        for name, value in arguments.items()
        if name not in left_out
      }
      with _giving(bindings):
        return function(*args, **kwargs)

    return run

  return decorate


@contextlib.contextmanager
def _giving(bindings: Mapping[str, Binding]) -> Iterator[None]:
  token = _given.set(bindings)
  try:
    yield
  finally:
    _given.reset(token)


def script() -> str | None:
  """Returns the name by which other programs import this one's script."""
  main = sys.modules['__main__']
  if getattr(main, '__spec__', None) is not None:
    return main.__spec__.name
  name = os.path.splitext(os.path.basename(getattr(main, '__file__', '')))[0]
  return name if name.isidentifier() else None


def _is_function(value):
  """Returns whether a value is code, and not a reference of gin's."""
  if isinstance(value, (list, tuple)):
    return any(map(_is_function, value))
  return callable(value)


def _binding(name: str, value: Any) -> Binding:
  """Returns an argument as gin would bind it.

  Raises:
    errors.UsageError: Gin has no name for it.
  """
  if isinstance(value, (list, tuple)) and _is_function(value):
    parts = [_binding(name, part) for part in value]
    text = ', '.join(part.text for part in parts)
    modules = [module for part in parts for module in part.modules]
    return Binding(f'[{text}]', tuple(dict.fromkeys(modules)))
  if isinstance(value, np.generic):
    value = value.item()
  if callable(value):
    module = _module(value)
    if module:
      return Binding(f'@{module}.{value.__name__}', (module,))
    name_in_gin = config_registry.name_of(value)
    if name_in_gin and value.__module__ != '__main__':
      return Binding(f'@{name_in_gin}', (value.__module__,))
    if getattr(value, '__module__', None) == '__main__' and script() is None:
      raise errors.UsageError(
        f'{name} is {value!r}, which the run cannot record, since it is in no'
        ' file: move it into a module, and import that'
      )
  elif _is_literal(value):
    return Binding(plain_texts.of(value))
  shown = ' '.join(plain_texts.of(value).split())
  raise errors.UsageError(
    f'{name} is {shown}, which the run cannot record:'
    ' give a function or class at the top of a module, and bind its other'
    " arguments by gin, such as gin.bind_parameter('MamlAgent.discount', 0.9)"
  )


def _module(function):
  """Returns the module to import a function from; None if it is in none."""
  module = getattr(function, '__module__', None)
  name = getattr(function, '__qualname__', None)
  if name is None or getattr(sys.modules.get(module), name, None) != function:
    return None
  return script() if module == '__main__' else module


def _is_literal(value):
  try:
    return ast.literal_eval(plain_texts.of(value)) == value
  except (ValueError, SyntaxError):
    return False
