"""Checks of what users set and disks take: one line that says what to do."""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import math
import numbers

import tensorflow as tf


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


def one_of(name: str, value: str, choices: Sequence[str]) -> str:
  """Returns `value` if it is one of the choices.

  Raises:
    ValueError: It is not; the message names them.
  """
  if value not in choices:
    raise ValueError(f'{name} is {value!r}: give ' + ' or '.join(choices))
  return value


class UsageError(Exception):
  """What the user gave is wrong; the message is one line that says what."""


class RunError(Exception):
  """A run cannot go on; the message is one line that says why and what to do.

  What it had saved stays.
  """


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


@contextlib.contextmanager
def disk_errors(what: str) -> Iterator[None]:
  """Turns the errors of writing into one-line `RunError`s.

  Args:
    what: What is written.
  """
  try:
    yield
  except (OSError, tf.errors.OpError) as error:
    reason = getattr(error, 'strerror', None) or getattr(
      error, 'message', error
    )
    line = str(reason).partition('\n')[0]
    raise RunError(
      f'{what} cannot be written ({line}): make room, and the same command goes'
      ' on from the last checkpoint'
    ) from error
