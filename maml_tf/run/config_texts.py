"""The texts of gin files and bindings, and what is wrong with one of them."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import io
import os
import re
import tokenize
from typing import NamedTuple

from maml_tf.core import errors

_INCLUDE = re.compile(r"""^\s*include\s+['"](.+?)['"]""", re.MULTILINE)
_STATEMENT = re.compile(r'\s*[A-Za-z_][\w./]*\s*=[^=]')
_BRACKETS = {'(': ')', '[': ']', '{': '}'}


class Text(NamedTuple):
  """The text of a file, or a binding of the command line.

  Attributes:
    path: The file; '' for a binding.
    content: Its text.
  """

  path: str
  content: str

  def where(self, line: int) -> str:
    """Returns the name of a line, counted from 1."""
    if self.path:
      return f'{self.path}, line {line}'
    content = self.content.splitlines()[line - 1] if self.content else ''
    return f"--gin_bindings='{content}'"


def read(
  paths: Sequence[str],
  find: Callable[[str], str],
  within: tuple[str, ...] = (),
) -> Iterator[Text]:
  """Yields the texts of files and of those that they include.

  Args:
    paths: The files.
    find: Returns the path of an included file by its name.
    within: The files that include these, from outside to inside.

  Raises:
    errors.UsageError: A file is not a text or includes itself.
  """
  for path in paths:
    known = [os.path.realpath(outer) for outer in within]
    if os.path.realpath(path) in known:
      start = known.index(os.path.realpath(path))
      chain = ' -> '.join([*within[start:], path])
      raise errors.UsageError(
        f'{path} includes itself ({chain}): remove one of these includes'
      )
    text = Text(path, _content(path))
    yield text
    included = []
    for name in _INCLUDE.findall(text.content):
      # Gin reports a file that does not exist, and where it is included.
      with contextlib.suppress(errors.UsageError):
        included.append(find(name))
    yield from read(included, find, (*within, path))


def fault(text: Text, line: int, reason: str) -> errors.UsageError:
  """Creates the error that names a line and what it lacks.

  Args:
    text: The text.
    line: The line at which gin stopped, from 1.
    reason: What gin says about it.
  """
  opened = _open_bracket(text.content, line)
  if opened:
    line, bracket = opened
    reason = f"this '{bracket}' is not closed: add its '{_BRACKETS[bracket]}'"
  lines = text.content.splitlines()
  shown = f' ({lines[line - 1].strip()})' if 0 < line <= len(lines) else ''
  if not text.path:
    shown = ''
  return errors.UsageError(f'{text.where(line)}{shown}: {reason}')


def broken_line(text: Text) -> int:
  """Returns the line from which on a text has no tokens; 0 if it has all."""
  try:
    list(tokenize.generate_tokens(io.StringIO(text.content).readline))
  except tokenize.TokenError as error:
    return error.args[1][0]
  except SyntaxError as error:
    return error.lineno or 1
  return 0


def _content(path: str) -> str:
  """Reads a file.

  Raises:
    errors.UsageError: It is not UTF-8.
  """
  with open(path, 'rb') as file:
    content = file.read()
  try:
    text = content.decode('utf-8')
  except UnicodeDecodeError as error:
    line = content[: error.start].count(b'\n') + 1
    raise errors.UsageError(
      f'{path}, line {line}: byte {content[error.start]:#x} is not UTF-8: save'
      ' the file as UTF-8'
    ) from error
  if text.startswith('\ufeff'):
    raise errors.UsageError(
      f'{path}, line 1: it begins with a byte order mark: save the file as'
      ' UTF-8 without one'
    )
  return text


def _open_bracket(content: str, last: int) -> tuple[int, str] | None:
  """Finds a bracket that is open where the next statement begins.

  Args:
    content: The text.
    last: The line at which gin stopped.

  Returns:
    The line and the bracket; None if there is none.
  """
  lines = content.splitlines()
  opened = []
  tokens = tokenize.generate_tokens(io.StringIO(content).readline)
  # A bracket that is still open at the end, and other faults, end the tokens.
  with contextlib.suppress(tokenize.TokenError, SyntaxError):
    for token in tokens:
      row = token.start[0]
      if opened and row > opened[-1][0] and _STATEMENT.match(lines[row - 1]):
        return opened[-1]
      if token.type == tokenize.OP and token.string in _BRACKETS:
        opened.append((row, token.string))
      elif token.type == tokenize.OP and token.string in _BRACKETS.values():
        opened = opened[:-1]
      if row > last and not opened:
        return None
  return opened[-1] if opened else None
