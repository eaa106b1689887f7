"""Texts in which NumPy's numbers are plain, as NumPy 1 wrote them.

NumPy 2 shows the float64 0.5 as `np.float64(0.5)`, alone in `repr` and inside a
list or tuple also in `str`. Messages would name numbers in a way that nobody
wrote, and files would not read back.
"""

from collections.abc import Callable
import functools
from typing import Any

import numpy as np

# NumPy 2's name of how NumPy 1.25 and 1.26 wrote scalars; None changes nothing.
_PLAIN: Any = None if np.__version__.startswith('1.') else '1.25'


def of(value: Any) -> str:
  """Returns `repr` of a value: 0.5, whichever type of float it is."""
  with np.printoptions(legacy=_PLAIN):
    return repr(value)


def line(value: Any) -> str:
  """Returns `str` of a value in one line; its items may be NumPy's numbers."""
  with np.printoptions(legacy=_PLAIN):
    return ' '.join(str(value).split())


def writing(function: Callable) -> Callable:
  """Returns a function with plain numbers in all texts that it makes."""

  @functools.wraps(function)
  def write(*args, **kwargs):
    with np.printoptions(legacy=_PLAIN):
      return function(*args, **kwargs)

  return write
