"""What gin knows, has been told and has used: its own tables, read only.

gin has no public functions for these.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Set
import inspect
from typing import Any

from gin import config as gin_config

# gin's names of a configurable are `maml_tf.learning.surrogates.dice`.
_OWN_NAMES = ('gin.', 'tf_agents.')
MACRO = 'gin.macro'


def configurables() -> dict[str, Callable]:
  """Returns what can be configured by its full name, without TF-Agents' own."""
  registry = gin_config._REGISTRY
  return {
    name: found.wrapped
    for name, found in sorted(registry.items())
    if not name.startswith(_OWN_NAMES)
  }


def names() -> list[str]:
  """Returns the short names of all that can be configured."""
  return sorted({name.rpartition('.')[2] for name in configurables()})


def full_name(selector: str) -> str | None:
  """Returns the full name of what a config calls by its last parts."""
  try:
    found = gin_config._REGISTRY.get_match(selector)
  except KeyError:  # Several have these last parts.
    return None
  return found.selector if found else None


def name_of(function: Callable) -> str | None:
  """Returns the full name of a function or class that can be configured."""
  for name, found in gin_config._REGISTRY.items():
    if function in (found.wrapper, found.wrapped):
      return name
  return None


def settings_of(selector: str) -> list[str]:
  """Returns the parameters of a configurable that a config may set."""
  name = full_name(selector)
  if name is None:
    return []
  found = gin_config._REGISTRY[name]
  return [
    parameter
    for parameter in parameters(found.wrapped)
    if parameter not in (found.denylist or ())
    and parameter in (found.allowlist or [parameter])
  ]


def parameters(function: Callable) -> Mapping[str, inspect.Parameter]:
  """Returns the parameters of a function or class that have a name."""
  try:
    found = inspect.signature(function).parameters
  except (TypeError, ValueError):  # Written in C.
    return {}
  return {
    name: parameter
    for name, parameter in found.items()
    if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
  }


def bound() -> Mapping[tuple[str, str], Mapping[str, Any]]:
  """Returns all bindings: (scope, full name) -> parameter -> value."""
  return gin_config._CONFIG


def used() -> Mapping[tuple[str, str], Mapping[str, Any]]:
  """Returns the same of what calls have used so far."""
  return gin_config._OPERATIVE_CONFIG


def referred(value: Any) -> Iterator[tuple[str, str]]:
  """Yields (scope, full name) of the references and macros in a value."""
  if isinstance(value, gin_config.ConfigurableReference):
    yield value.config_key
  elif isinstance(value, Mapping):
    for item in (*value.keys(), *value.values()):
      yield from referred(item)
  elif isinstance(value, list | tuple | Set):
    for item in value:
      yield from referred(item)
