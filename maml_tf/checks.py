"""Checks of what users set and disks take: one line that says what to do."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import math
import numbers
import re

import tensorflow as tf

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
    # What comes of a part in the place of another, and of absurd sizes.
    AttributeError,
    MemoryError,
    OverflowError,
    tf.errors.OpError,
  ) as error:
    raise UsageError(_in_one_line(error)) from error
  except RecursionError as error:
    raise UsageError(
      'a setting is made of itself, such as InnerLoop.step_size = @InnerLoop()'
    ) from error


def _in_one_line(error):
  """An error's message without what gin adds to it."""
  message = getattr(error, 'message', None) or str(error)
  # A macro that is not set is followed by the whole config.
  message = message.partition(' in config string:')[0]
  lines = [line.strip() for line in message.splitlines()]
  added = ('In call to', 'No values supplied', 'Gin had', 'Caller supplied')
  line = ' '.join(line for line in lines if line and not line.startswith(added))
  owner = re.search(r"In call to configurable '([\w.]+)'", str(error))
  if owner and not isinstance(error, ValueError):
    # Other errors than ours do not say what the user named.
    line = f'{owner[1]}: {line}'
  return line


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
