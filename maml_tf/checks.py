"""Checks of numbers that users set: one line that says what to give."""

from collections.abc import Iterator
import contextlib
import math
import numbers


def integer(name: str, value: int, minimum: int) -> int:
  """Returns `value` if it is an integer of at least `minimum`.

  Raises:
    ValueError: It is not; the message names it.
  """
  is_integer = isinstance(value, numbers.Integral)
  if not is_integer or isinstance(value, bool) or value < minimum:
    raise ValueError(
      f'{name} is {value!r}: give an integer of at least {minimum}'
    )
  return int(value)


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


class UsageError(Exception):
  """What the user gave is wrong; the message is one line that says what."""


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
  """Turns the errors of parsing and building into one-line `UsageError`s."""
  try:
    yield
  except (
    ValueError,
    TypeError,
    OSError,
    SyntaxError,
    ImportError,
  ) as error:
    lines = [line.strip() for line in str(error).splitlines()]
    # Gin appends where in its call stack it was.
    raise UsageError(
      ' '.join(line for line in lines if line and 'In call to' not in line)
    ) from error
