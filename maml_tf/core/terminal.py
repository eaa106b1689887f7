"""Lines on stderr: what the command lines and a run report."""

import sys
import traceback


def log(line: str) -> None:
  """Prints a line to stderr at once."""
  print(line, file=sys.stderr, flush=True)


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
