"""How a check reports: errors and warnings of one line."""

from typing import NoReturn
import warnings


def require(condition: bool, name: str, what: str, remedy: str) -> None:
  """Raises the error of `fail` unless a condition holds."""
  if not condition:
    fail(name, what, remedy)


def fail(name: str, what: str, remedy: str) -> NoReturn:
  """Raises an AssertionError.

  Args:
    name: The name of the environment's class.
    what: What is wrong.
    remedy: How to mend it.
  """
  raise AssertionError(f'{name}: {what}: {remedy}')


def warn(name: str, what: str, remedy: str) -> None:
  """Warns of what may be wrong; see `fail` for the arguments."""
  warnings.warn(f'{name}: {what}: {remedy}'.rstrip(': '), stacklevel=2)
