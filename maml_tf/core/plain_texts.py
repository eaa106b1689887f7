"""Texts in which NumPy's numbers are plain, as NumPy 1 wrote them.

NumPy 2 shows the float64 0.5 as `np.float64(0.5)`, alone in `repr` and inside a
list or tuple also in `str`. Messages would be harder to read, and gin and CSV
readers could not read such numbers back.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import functools
import threading
from typing import Any

import numpy as np

# NumPy 2's name of how NumPy 1.25 and 1.26 wrote scalars.
_AS_NUMPY_1: Any = '1.25'
# NumPy 2.0 has one set of options for all threads.
_LOCK = threading.RLock()


def of(value: Any) -> str:
  """Returns `repr` of a value: 0.5, whichever type of float it is."""
  with _plainly():
    return repr(value)


def line(value: Any) -> str:
  """Returns `str` of a value in one line; its items may be NumPy's numbers."""
  with _plainly():
    return ' '.join(str(value).split())


def writing(function: Callable) -> Callable:
  """Returns a function with plain numbers in all texts that it makes."""

  @functools.wraps(function)
  def write(*args, **kwargs):
    with _plainly():
      return function(*args, **kwargs)

  return write


@contextlib.contextmanager
def _plainly() -> Iterator[None]:
  if np.__version__.startswith('1.'):
    yield
    return
  with _LOCK, np.printoptions(legacy=_AS_NUMPY_1):
    yield
