"""A gin configuration that some calls see, and the rest of the process not.

Gin has one configuration per process. A run that is loaded brings another one:
its functions read it when they are called, which may be much later. Here gin's
tables become switches. Inside `PrivateGin.entered` they show a table of their
own, in this thread only; everywhere else they show gin's.
"""

import collections.abc
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import contextvars
import functools
import inspect
import threading
from typing import Any

import gin
from gin import config as gin_config
import tensorflow as tf

# Gin's tables of bindings, of what was used, of singletons and of imports.
# Constants and configurables belong to modules, which are imported once.
_TABLES = ('_CONFIG', '_OPERATIVE_CONFIG', '_SINGLETONS', '_IMPORTS')

_entered: contextvars.ContextVar['PrivateGin | None'] = contextvars.ContextVar(
  'private_gin', default=None
)
# Held while gin's lock against changes is open, which is one per process.
_PARSING = threading.RLock()


class _Switch:
  """A table of gin's, or that of the `PrivateGin` that has been entered."""

  def __init__(self, name: str, table: Any):
    self._name = name
    self._of_process = table

  @property
  def _table(self) -> Any:
    private = _entered.get()
    return self._of_process if private is None else private.tables[self._name]

  def __getattr__(self, name: str) -> Any:
    return getattr(self._table, name)

  def __getitem__(self, key: Any) -> Any:
    return self._table[key]

  def __setitem__(self, key: Any, value: Any) -> None:
    self._table[key] = value

  def __delitem__(self, key: Any) -> None:
    del self._table[key]

  def __contains__(self, key: Any) -> bool:
    return key in self._table

  def __iter__(self) -> Iterator[Any]:
    return iter(self._table)

  def __len__(self) -> int:
    return len(self._table)


# Gin walks through its bindings as through those of any mapping.
_mapping: Any = collections.abc.Mapping
_mapping.register(_Switch)


class PrivateGin:
  """A gin configuration of its own, empty at first.

  Attributes:
    tables: What stands in the place of gin's tables, by their names.
  """

  def __init__(self):
    _install()
    self.tables = {'_IMPORTS': set()}
    self.tables |= {n: {} for n in _TABLES if n not in self.tables}

  def entered(self) -> 'contextlib.AbstractContextManager[None]':
    """Returns a context in which this thread sees this configuration."""
    return _Entered(self)

  @contextlib.contextmanager
  def parsing(self) -> Iterator[None]:
    """Lets gin parse into this configuration, even if it is locked."""
    with _PARSING, self.entered():
      was_locked = gin.config_is_locked()
      gin_config._set_config_is_locked(False)
      try:
        yield
      finally:
        gin_config._set_config_is_locked(was_locked)

  def bind(self, *objects: Any) -> None:
    """Makes the public methods of objects see this configuration.

    Args:
      *objects: Their classes stay as they are.
    """
    for each in objects:
      for name in dir(type(each)):
        method = inspect.getattr_static(type(each), name)
        if not name.startswith('_') and inspect.isfunction(method):
          setattr(each, name, self.bound(getattr(each, name)))

  def bound(self, function: Callable) -> Callable:
    """Returns the function, which sees this configuration when it is called."""

    @functools.wraps(function)
    def call(*args, **kwargs):
      with _Entered(self):
        return function(*args, **kwargs)

    return call


class _Entered:
  """The context of `PrivateGin.entered`, which AutoGraph leaves as it is."""

  def __init__(self, private: PrivateGin):
    self._private = private

  @tf.autograph.experimental.do_not_convert
  def __enter__(self) -> None:
    self._token = _entered.set(self._private)
    # The run does not see the caller's scopes.
    self._scope = gin.config_scope(None)
    self._scope.__enter__()

  @tf.autograph.experimental.do_not_convert
  def __exit__(self, *error: Any) -> None:
    self._scope.__exit__(None, None, None)
    _entered.reset(self._token)


@functools.cache
def _install() -> None:
  """Replaces gin's tables by switches; once per process."""
  for name in _TABLES:
    setattr(gin_config, name, _Switch(name, getattr(gin_config, name)))
