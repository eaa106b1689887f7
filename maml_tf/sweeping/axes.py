"""An axis of a sweep: a setting and its values, --set 'X.y=1,2' or 'log(1,2)'.

A value is whatever a gin file may have after `=`. Commas divide values unless
they stand in brackets or quotes. A whole axis may be a range instead, which
random draws fill: `uniform(LOW, HIGH)`, `log(LOW, HIGH)`, whose logarithm is
uniform, or `integer(LOW, HIGH)`, both ends included.
"""

from collections.abc import Iterator
import math
import re
from typing import NamedTuple

import numpy as np

_NAME = re.compile(r'[A-Za-z_][\w./]*')
_RANGE = re.compile(r'(uniform|log|integer)\(([^,()]+),([^,()]+)\)')
_EXAMPLE = "--set 'InnerLoop.step_size=0.1,0.3'"
# Of numbers that are drawn, in decimal digits; the most that a number has.
_PRECISION, _MOST_DIGITS = 4, 17
_OPENING, _CLOSING, _QUOTES = '([{', ')]}', '\'"'


class Range(NamedTuple):
  """A range of numbers to draw from.

  Attributes:
    kind: 'uniform', 'log' or 'integer'.
    low: The lowest number.
    high: The highest number.
  """

  kind: str
  low: float
  high: float

  @property
  def count(self) -> float:
    """How many numbers it has; infinity if they are not integers."""
    is_finite = self.kind == 'integer'
    return int(self.high) - int(self.low) + 1 if is_finite else math.inf

  def draw(self, rng: np.random.Generator) -> str:
    """Returns a number as a gin file has it, with as few digits as fit in."""
    if self.kind == 'integer':
      return str(rng.integers(int(self.low), int(self.high), endpoint=True))
    if self.kind == 'log':
      number = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
    else:
      number = rng.uniform(self.low, self.high)
    number = min(max(number, self.low), self.high)
    texts = (f'{number:.{n}g}' for n in range(_PRECISION, _MOST_DIGITS + 1))
    return next(t for t in texts if self.low <= float(t) <= self.high)


class Axis(NamedTuple):
  """A setting and its values.

  Attributes:
    setting: Its name in gin files, such as 'InnerLoop.step_size'.
    values: Its values as gin files have them; empty if there is a range.
    range: Where its values are drawn from; None if they are listed.
  """

  setting: str
  values: tuple[str, ...]
  range: Range | None = None


def parse(text: str) -> Axis:
  """Parses an axis.

  Args:
    text: A setting, `=`, and values with commas between or a range.

  Raises:
    ValueError: It is none; the message says what is wrong.
  """
  setting, equals, listed = (part.strip() for part in text.partition('='))
  if not equals or not _NAME.fullmatch(setting):
    raise ValueError(f"--set '{text}' sets nothing: write {_EXAMPLE}")
  if setting.rpartition('.')[2] == 'seed' and 'train_eval' in setting:
    raise ValueError(f"--set '{text}': give --seeds instead")
  found = _RANGE.fullmatch(listed)
  if found:
    return Axis(setting, (), _range(text, *found.groups()))
  values = tuple(value.strip() for value in _divide(text, listed))
  if not all(values):
    raise ValueError(f"--set '{text}' has an empty value: write {_EXAMPLE}")
  if len(set(values)) < len(values):
    twice = next(v for v in values if values.count(v) > 1)
    raise ValueError(f"--set '{text}' has {twice} twice: leave one out")
  return Axis(setting, values)


def _range(text: str, kind: str, low: str, high: str) -> Range:
  """Returns a range.

  Raises:
    ValueError: Its ends are not such numbers.
  """
  try:
    ends = [int(x) if kind == 'integer' else float(x) for x in (low, high)]
  except ValueError:
    number = 'an integer' if kind == 'integer' else 'a number'
    raise ValueError(f"--set '{text}': give {number} at both ends") from None
  if not all(map(math.isfinite, ends)) or not ends[0] < ends[1]:
    raise ValueError(
      f"--set '{text}': give a low end below the high end, both finite"
    )
  if kind == 'log' and ends[0] <= 0:
    raise ValueError(f"--set '{text}': the low end of log must be above 0")
  return Range(kind, *ends)


def _divide(text: str, listed: str) -> Iterator[str]:
  """Yields the values of a list.

  Raises:
    ValueError: A bracket or quote has no end.
  """
  start, opened, quote = 0, [], ''
  for index, character in enumerate(listed):
    if quote:
      # A backslash takes the meaning of the quote after it.
      if character == quote and listed[index - 1] != '\\':
        quote = ''
    elif character in _QUOTES:
      quote = character
    elif character in _OPENING:
      opened.append(_CLOSING[_OPENING.index(character)])
    elif character in _CLOSING:
      if not opened or opened.pop() != character:
        raise ValueError(f"--set '{text}': nothing opens this {character}")
    elif character == ',' and not opened:
      yield listed[start:index]
      start = index + 1
  if quote or opened:
    raise ValueError(f"--set '{text}': {quote or opened[-1]} is missing")
  yield listed[start:]
