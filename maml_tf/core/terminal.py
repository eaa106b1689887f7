"""Lines on stderr and stdout: what the command lines and a run report.

A program goes on without its terminal: lines that cannot be written, because a
pipe is closed or a disk is full, are dropped.
"""

from collections.abc import Iterator
import contextlib
import os
import shutil
import sys
import traceback
from typing import Any
from typing import TextIO

# Of a terminal that has no size.
_WIDTH = 80


class PatientStream:
  """A text stream that drops what it cannot write."""

  def __init__(self, stream: TextIO | None):
    """Stores the stream; None, as Python has for a closed one, drops all."""
    self._stream: Any = stream

  def write(self, text: str) -> int:
    """Writes, if possible; returns the number of characters of the text."""
    try:
      return self._stream.write(text)
    except UnicodeEncodeError:
      encoding = self._stream.encoding or 'ascii'
      return self.write(
        text.encode(encoding, 'backslashreplace').decode(encoding)
      )
    # Also: it is closed; a signal's handler writes while its line is written.
    except (OSError, ValueError, AttributeError, RuntimeError):
      return len(text)

  def writelines(self, lines) -> None:
    """Writes each of the lines."""
    for line in lines:
      self.write(line)

  def flush(self) -> None:
    """Flushes, if possible."""
    try:
      self._stream.flush()
    except (OSError, ValueError, AttributeError, RuntimeError):
      pass

  def isatty(self) -> bool:
    """Returns whether it is a terminal."""
    try:
      return self._stream.isatty()
    except (OSError, ValueError, AttributeError):
      return False

  def __getattr__(self, name: str) -> Any:
    return getattr(self._stream, name)


def stderr() -> PatientStream:
  """Returns the present stderr as a stream that drops what it cannot write."""
  stream = sys.stderr
  return stream if isinstance(stream, PatientStream) else PatientStream(stream)


def bar_settings(stream: PatientStream) -> dict[str, Any]:
  """Returns the arguments of a `tqdm` bar: where it is, and how wide.

  Args:
    stream: The stream of the bar, and of the lines to print above it.
  """
  try:
    columns = os.get_terminal_size(stream.fileno()).columns
  except (OSError, ValueError, AttributeError):
    columns = None  # Not a terminal.
  # Terminals of `script` and `docker run -t` do not know their width.
  width = {'ncols': _WIDTH} if columns == 0 else {'dynamic_ncols': True}
  return {'file': stream, **width}


@contextlib.contextmanager
def passing_line(line: str) -> Iterator[None]:
  """Shows a line on a terminal while the block lasts."""
  stream = stderr()
  if not stream.isatty():
    yield
    return
  stream.write(line)
  stream.flush()
  try:
    yield
  finally:
    stream.write(f'\r{" " * len(line)}\r')
    stream.flush()


class StatusLine:
  """A line that takes the place of the one before it on a terminal.

  Elsewhere, such as in a file, each new line is printed once.
  """

  def __init__(self):
    self._shown = ''

  def show(self, line: str) -> None:
    """Shows a line."""
    stream = stderr()
    if not stream.isatty():
      if line != self._shown:
        log(line)
    else:
      width = shutil.get_terminal_size((_WIDTH, 24)).columns - 1
      stream.write(f'\r{line[:width]:{len(self._shown[:width])}}')
      stream.flush()
    self._shown = line

  def close(self) -> None:
    """Lets the next line stand below."""
    stream = stderr()
    if self._shown and stream.isatty():
      stream.write('\n')


def protect() -> None:
  """Makes this process independent of its terminal, with all that it prints.

  Warnings, other libraries and the interpreter's last flush count, too. Call it
  before the first file is opened.
  """
  # Otherwise the next file that is opened becomes stderr.
  for descriptor in (0, 1, 2):
    try:
      os.fstat(descriptor)
    except OSError:
      os.open(os.devnull, os.O_RDWR)
  for name in ('stdout', 'stderr'):
    stream = getattr(sys, name)
    if not isinstance(stream, PatientStream):
      if stream is None:
        stream = open(os.devnull, 'w', encoding='utf-8')
      setattr(sys, name, PatientStream(stream))


def log(line: str) -> None:
  """Prints a line to stderr at once."""
  print(line, file=stderr(), flush=True)


def show(text: str) -> None:
  """Prints results to stdout at once."""
  print(text, file=PatientStream(sys.stdout), flush=True)


def print_error(
  program: str,
  error: Exception | str,
  exit_code: int = 2,
  debug: bool = False,
) -> int:
  """Prints why a program ends, in one line; returns the exit code.

  If the user's own code raised, its traceback follows.

  Args:
    program: The command line's name, which begins the line.
    error: The error or message. Only its first line is printed: gin appends
      lines about where in its call stack an error passed.
    exit_code: What the program returns. 2: bad input.
    debug: Whether to print the error's own traceback, too.
  """
  line = str(error).partition('\n')[0]
  log(f'{program}: {line}')
  of_user = getattr(error, 'traceback', '')
  if of_user:
    log(f'\n{of_user.rstrip()}')
  if debug and isinstance(error, Exception):
    log('\n' + ''.join(traceback.format_exception(error)).rstrip())
  return exit_code
