"""Texts in which NumPy's numbers are plain, as NumPy 1 wrote them.

NumPy 2 shows the float64 0.5 as `np.float64(0.5)`, alone in `repr` and inside a
list or tuple also in `str`. Messages would name numbers in a way that nobody
wrote, and files would not read back.
"""

from collections.abc import Callable
import contextlib
import functools
from typing import Any

import numpy as np

_IS_NEEDED = int(np.__version__.partition('.')[0]) >= 2
# NumPy 2's name of how NumPy 1.25 and 1.26 wrote scalars.
_AS_NUMPY_1: Any = '1.25'


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
  if not _IS_NEEDED:
    return function

  @functools.wraps(function)
  def write(*args, **kwargs):
    with _plainly():
      return function(*args, **kwargs)

  return write


def _plainly() -> 'contextlib.AbstractContextManager[Any]':
  if _IS_NEEDED:
    return np.printoptions(legacy=_AS_NUMPY_1)
  return contextlib.nullcontext()
