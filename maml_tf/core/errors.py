"""Errors whose one-line message ends a program and says what to do."""

from collections.abc import Iterator
import contextlib
import errno
import os
import re
import sys

from maml_tf.core import user_code

# Of a disk that is full, or whose files or folders cannot be written.
_DISK_FAULTS = (
  errno.ENOSPC,
  errno.EDQUOT,
  errno.EFBIG,
  errno.EROFS,
  errno.EACCES,
  errno.EIO,
)


class UsageError(Exception):
  """The user's input is wrong. The message is one line: fault and remedy.

  Attributes:
    traceback: Where the user's own code raised; '' if it did not.
  """

  def __init__(self, line: str, traceback: str = ''):
    super().__init__(line)
    self.traceback = user_code.shorten(traceback)


class RunError(Exception):
  """A run cannot continue. The message is one line: the reason and the remedy.

  Saved checkpoints remain intact.

  Attributes:
    traceback: Where the user's own code raised; '' if it did not.
  """

  def __init__(self, line: str, traceback: str = ''):
    super().__init__(line)
    self.traceback = user_code.shorten(traceback)


# Their messages say all: they are about an argument or its type.
_ABOUT_ARGUMENTS = (
  ValueError,
  TypeError,
  OSError,
  SyntaxError,
  ImportError,
  # Misplaced parts and absurd sizes raise these.
  AttributeError,
  MemoryError,
  OverflowError,
)


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
  """Translates errors of parsing and building into one-line `UsageError`s.

  Whatever the user's own code raises is translated, too, and has a traceback.
  """
  try:
    yield
  except (UsageError, RunError):
    raise
  except Exception as error:
    of_user = user_code.traceback_of(error)
    if of_user:
      raise UsageError(of_user_code(error), of_user) from error
    if isinstance(error, RecursionError):
      raise UsageError(
        'a setting refers to itself, such as InnerLoop.step_size = @InnerLoop()'
      ) from error
    if not isinstance(error, (*_ABOUT_ARGUMENTS, *_op_errors())):
      raise
    raise UsageError(_in_one_line(error)) from error


@contextlib.contextmanager
def run_errors() -> Iterator[None]:
  """Translates what the user's own code raises into one-line `RunError`s."""
  try:
    yield
  except (UsageError, RunError):
    raise
  except Exception as error:
    of_user = user_code.traceback_of(error)
    if not of_user:
      raise
    raise RunError(of_user_code(error), of_user) from error


def of_user_code(error: Exception) -> str:
  """Returns one line about an error that the user's own code has raised."""
  # Of these the message is enough, and its author has chosen it.
  is_converted = hasattr(error, 'ag_error_metadata')
  if isinstance(error, ValueError) and str(error) and not is_converted:
    return _in_one_line(error)
  return user_code.describe(error)


def _in_one_line(error: Exception) -> str:
  """Returns an error's message without gin's additions."""
  message = getattr(error, 'message', None) or str(error)
  # After the name of an unset macro, gin prints the whole config.
  message = message.partition(' in config string:')[0]
  lines = [line.strip() for line in message.splitlines()]
  added = ('In call to', 'No values supplied', 'Gin had', 'Caller supplied')
  line = ' '.join(line for line in lines if line and not line.startswith(added))
  owner = re.search(r"In call to configurable '([\w.]+)'", str(error))
  if owner and not isinstance(error, ValueError):
    # Errors of libraries do not name the setting; ours are `ValueError`s and
    # do.
    line = f'{owner[1]}: {line}'
  return line


@contextlib.contextmanager
def disk_errors(what: str) -> Iterator[None]:
  """Translates errors of writing into one-line `RunError`s.

  Args:
    what: The subject of the message, such as 'the checkpoint'.
  """
  try:
    yield
  except (OSError, *_op_errors()) as error:
    raise RunError(
      f'{what} cannot be written ({_disk_fault(error)}): make room, and the'
      ' same command goes on from the last checkpoint'
    ) from error


def _op_errors() -> tuple[type[Exception], ...]:
  """Returns TensorFlow's errors; none before something has imported it."""
  tensorflow = sys.modules.get('tensorflow')
  errors = getattr(tensorflow, 'errors', None)
  return () if errors is None else (errors.OpError,)


def _disk_fault(error: Exception) -> str:
  """Returns the system's own words for an error of writing, if it has them."""
  if isinstance(error, OSError) and error.strerror:
    return error.strerror
  message = getattr(error, 'message', None) or str(error)
  # TensorFlow puts names of nodes and of scratch files around them.
  for number in _DISK_FAULTS:
    if os.strerror(number) in message:
      return os.strerror(number)
  return message.partition('\n')[0]
