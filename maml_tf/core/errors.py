"""Errors that end a program with one line: the cause and the remedy."""

from collections.abc import Iterator
import contextlib
import re

import tensorflow as tf


class UsageError(Exception):
  """Bad input; the message is one line that names it and the remedy."""


class RunError(Exception):
  """A run cannot continue; the message is one line: the cause and the remedy.

  Its saved files stay.
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
    # Raised for a part in the place of another, and for absurd sizes.
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


def _in_one_line(error: Exception) -> str:
  """Returns an error's message without the lines that gin adds."""
  message = getattr(error, 'message', None) or str(error)
  # After an unset macro gin appends the whole config.
  message = message.partition(' in config string:')[0]
  lines = [line.strip() for line in message.splitlines()]
  added = ('In call to', 'No values supplied', 'Gin had', 'Caller supplied')
  line = ' '.join(line for line in lines if line and not line.startswith(added))
  owner = re.search(r"In call to configurable '([\w.]+)'", str(error))
  if owner and not isinstance(error, ValueError):
    # Only our own errors name the setting.
    line = f'{owner[1]}: {line}'
  return line


@contextlib.contextmanager
def disk_errors(what: str) -> Iterator[None]:
  """Turns errors of writing into one-line `RunError`s.

  Args:
    what: The file or thing that is written.
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
