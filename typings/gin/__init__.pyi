# Gin's decorators return what they decorate, which its own code does not tell.
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import TypeVar
from typing import overload

_T = TypeVar('_T', bound=Callable[..., Any])

@overload
def configurable(name_or_fn: _T) -> _T: ...
@overload
def configurable(
  name_or_fn: str | None = None,
  module: str | None = None,
  allowlist: Sequence[str] | None = None,
  denylist: Sequence[str] | None = None,
) -> Callable[[_T], _T]: ...
@overload
def register(name_or_fn: _T) -> _T: ...
@overload
def register(
  name_or_fn: str | None = None,
  module: str | None = None,
  allowlist: Sequence[str] | None = None,
  denylist: Sequence[str] | None = None,
) -> Callable[[_T], _T]: ...
def __getattr__(name: str) -> Any: ...
