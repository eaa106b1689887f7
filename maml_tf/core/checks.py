"""Checks of the values that users set: one line that says what to give."""

from collections.abc import Callable
from collections.abc import Sequence
import math
import numbers

# TensorFlow counts elements of an axis in int32.
MAX_SIZE = 2**31 - 1
# A graph that holds more copies of a step is not made in any useful time.
MAX_UNROLLED_STEPS = 1000


def integer(
  name: str, value: int, minimum: int, maximum: float = math.inf
) -> int:
  """Returns `value` if it is an integer from `minimum` to `maximum`.

  Raises:
    ValueError: It is not; the message names it.
  """
  is_integer = isinstance(value, numbers.Integral)
  if not is_integer or isinstance(value, bool) or value < minimum:
    raise ValueError(
      f'{name} is {value!r}: give an integer of at least {minimum}'
    )
  if value > maximum:
    raise ValueError(
      f'{name} is {value!r}: give an integer of at most {maximum}'
    )
  return int(value)


def boolean(name: str, value: bool) -> bool:
  """Returns `value` if it is True or False, not merely true or false.

  Raises:
    ValueError: It is not; the message names it.
  """
  if not isinstance(value, bool):
    raise ValueError(f'{name} is {value!r}: give True or False')
  return value


def number(
  name: str,
  value: float,
  above: float = -math.inf,
  minimum: float = -math.inf,
  maximum: float = math.inf,
) -> float:
  """Returns `value` if it is a finite number in the given range.

  Args:
    name: What the user calls it.
    value: What the user gave.
    above: It must be greater than this.
    minimum: It must be at least this.
    maximum: It must be at most this.

  Raises:
    ValueError: It is not; the message names it.
  """
  is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
  if (
    is_number
    and math.isfinite(value)
    and value > above
    and minimum <= value <= maximum
  ):
    return float(value)
  bounds = [
    text
    for text, bound in (
      (f'above {above}', above),
      (f'of at least {minimum}', minimum),
      (f'of at most {maximum}', maximum),
    )
    if math.isfinite(bound)
  ]
  wanted = ' '.join(['a finite number', ' and '.join(bounds)]).strip()
  raise ValueError(f'{name} is {value!r}: give {wanted}')


def one_of(name: str, value: str, choices: Sequence[str]) -> str:
  """Returns `value` if it is one of the choices.

  Raises:
    ValueError: It is not; the message names them.
  """
  if value not in choices:
    raise ValueError(f'{name} is {value!r}: give ' + ' or '.join(choices))
  return value


def function(name: str, value: Callable, example: str) -> Callable:
  """Returns `value` if it can be called.

  Args:
    name: What the user calls it.
    value: What the user gave.
    example: What the user might give.

  Raises:
    ValueError: It cannot; the message names it.
  """
  if not callable(value):
    raise ValueError(f'{name} is {value!r}: give a function, such as {example}')
  return value
