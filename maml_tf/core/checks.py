"""Checks of settings, whose one-line errors say which values are valid."""

from collections.abc import Callable
from collections.abc import Sequence
import math
import numbers
from typing import Any

from maml_tf.core import plain_texts

# TensorFlow counts the elements of an axis in int32.
MAX_SIZE = 2**31 - 1
# Tracing a graph with more copies of a step would take too long.
MAX_UNROLLED_STEPS = 1000
# More of them take weeks.
MAX_ADAPTATION_STEPS = 100_000


def integer(
  name: str, value: int, minimum: int, maximum: float = math.inf
) -> int:
  """Returns `value` if it is an integer from `minimum` to `maximum`.

  Args:
    name: The setting's name.
    value: The setting's value.
    minimum: The smallest valid value.
    maximum: The largest valid value.

  Raises:
    ValueError: If it is not; the message names the setting.
  """
  is_integer = isinstance(value, numbers.Integral)
  if not is_integer or isinstance(value, bool) or value < minimum:
    raise ValueError(
      f'{name} is {plain_texts.of(value)}: give an integer of at least'
      f' {minimum}'
    )
  if value > maximum:
    raise ValueError(
      f'{name} is {plain_texts.of(value)}: give an integer of at most {maximum}'
    )
  return int(value)


def boolean(name: str, value: Any) -> bool:
  """Returns `value` if it is True or False. Other truth values are invalid.

  Args:
    name: The setting's name.
    value: The setting's value.

  Raises:
    ValueError: If it is not; the message names the setting.
  """
  if not isinstance(value, bool):
    raise ValueError(f'{name} is {plain_texts.of(value)}: give True or False')
  return value


def number(
  name: str,
  value: float,
  above: float = -math.inf,
  minimum: float = -math.inf,
  maximum: float = math.inf,
) -> float:
  """Returns `value` as a float if it is a finite number in the given range.

  Args:
    name: The setting's name.
    value: The setting's value.
    above: A lower bound that is itself invalid.
    minimum: The smallest valid value.
    maximum: The largest valid value.

  Raises:
    ValueError: If it is not; the message names the setting.
  """
  is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
  # NumPy warns if it compares a float32 with a bound that is larger.
  result = float(value) if is_number else math.nan
  if math.isfinite(result) and result > above and minimum <= result <= maximum:
    return result
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
  raise ValueError(f'{name} is {plain_texts.of(value)}: give {wanted}')


def interval(name: str, value: Sequence[float]) -> tuple[float, float]:
  """Returns `value` if it is two finite numbers, the lower one first.

  Args:
    name: The setting's name.
    value: The setting's value.

  Raises:
    ValueError: If it is not; the message names the setting.
  """
  try:
    low, high = value
    low, high = number(name, low), number(name, high)
    is_interval = low <= high
  except (TypeError, ValueError):
    is_interval = False
  if not is_interval:
    raise ValueError(
      f'{name} is {plain_texts.of(value)}: give two finite numbers, the lower'
      ' one first'
    )
  return low, high


def one_of(name: str, value: Any, choices: Sequence[str]) -> str:
  """Returns `value` if it is one of the choices.

  Args:
    name: The setting's name.
    value: The setting's value.
    choices: The valid values.

  Raises:
    ValueError: If it is not; the message lists the choices.
  """
  if value not in choices:
    given = plain_texts.of(value)
    raise ValueError(f'{name} is {given}: give ' + ' or '.join(choices))
  return value


def no_text(name: str, value: Any, call: str = '') -> None:
  """Refuses a text in place of what it names, as gin has it without @.

  Args:
    name: The setting's name.
    value: The setting's value.
    call: '()' if the setting is an object that gin creates.

  Raises:
    ValueError: It is a text; the message names the setting.
  """
  if isinstance(value, str):
    reference = (value.lstrip('@').removesuffix('()') or 'NAME') + call
    raise ValueError(
      f'{name} is the text {value!r}: give @{reference}, with the at sign and'
      ' without quotes'
    )


def function(name: str, value: Any, example: str) -> Callable[..., Any]:
  """Returns `value` if it is callable.

  Args:
    name: The setting's name.
    value: The setting's value.
    example: A valid value for the message.

  Raises:
    ValueError: If it is not; the message names the setting.
  """
  no_text(name, value)
  if not callable(value):
    raise ValueError(f'{name} is {value!r}: give a function, such as {example}')
  return value
