"""Formulas for graphs that TFLite runs on small devices.

TFLite has builtin kernels for few of TensorFlow's operations, and hardly any
for float64. Most of this package's code converts as it is. Where it does not,
it asks `are_required` while it is traced, and computes the same numbers by
other operations, up to rounding errors.
"""

from collections.abc import Iterator
import contextlib
import contextvars

_required: contextvars.ContextVar[bool] = contextvars.ContextVar(
  'lite_operations', default=False
)


@contextlib.contextmanager
def required() -> Iterator[None]:
  """Restricts the functions that this thread traces meanwhile."""
  token = _required.set(True)
  try:
    yield
  finally:
    _required.reset(token)


def are_required() -> bool:
  """Returns whether functions that are traced now must convert to TFLite."""
  return _required.get()
