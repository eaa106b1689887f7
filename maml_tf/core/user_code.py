"""Finds the user's own code in the traceback of an error.

Environments, networks, surrogates, loggers: what a user has written is called
by this package and its libraries. If it raises, the user wants to see the lines
of that code, and none of the others.
"""

from collections.abc import Iterable
import os
import re
import sysconfig
import traceback
from typing import Any

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_STANDARD_LIBRARY = tuple(
  {os.path.realpath(sysconfig.get_path(n)) for n in ('stdlib', 'platstdlib')}
)
_SITES = re.compile(r'[/\\](?:site|dist)-packages[/\\]')
# Whatever else is installed counts as the user's, such as a task family.
_LIBRARIES = frozenset(
  (
    'PIL',
    'absl',
    'cloudpickle',
    'decorator',
    'gin',
    'gymnasium',
    'imageio',
    'keras',
    'matplotlib',
    'mujoco',
    'numpy',
    'scipy',
    'tensorboard',
    'tensorflow',
    'tensorflow_probability',
    'tf_agents',
    'tf_keras',
    'tqdm',
    'tree',
    'wrapt',
  )
)
_GENERATED = '__autograph_generated_file'
# TensorFlow reports Python code that it calls, or that made an operation, in
# the text of an error.
_REPORTED = re.compile(r'^\s*File "([^"]+)", line ([0-9]+), in (\S+)', re.M)


def is_of_user(path: str) -> bool:
  """Returns whether a file is neither the package's nor one of its libraries.

  Args:
    path: The file's name in a traceback.
  """
  if path.startswith('<'):
    return path.startswith(('<stdin>', '<ipython'))
  if _is_ours(path) or _GENERATED in path:
    return False
  *_, inside = _SITES.split(path)
  if inside != path:
    top = re.split(r'[/\\]', inside)[0]
    return top.removesuffix('.py') not in _LIBRARIES
  return not os.path.realpath(path).startswith(
    tuple(folder + os.sep for folder in _STANDARD_LIBRARY)
  )


def frames(error: BaseException) -> list[traceback.FrameSummary]:
  """Returns the frames of the user's code that raised an error.

  They are below the last frame of the package: what the user calls with an
  argument that it refuses has not raised in this sense, and neither has code
  that only calls the package.

  Args:
    error: An error that was raised.

  Returns:
    The frames, outermost first; none if other code raised.
  """
  found = []
  is_called = False
  for frame in _all_frames(error):
    if _is_ours(frame.filename):
      # What catches errors for others is on the way of all of them.
      is_called = is_called or os.path.dirname(frame.filename) != os.path.join(
        _PACKAGE, 'core'
      )
      found = []
    elif is_called and is_of_user(frame.filename):
      found.append(frame)
  if isinstance(error, SyntaxError) and not found:
    path = error.filename or ''
    if is_called and os.path.isfile(path) and is_of_user(path):
      found.append(_frame(path, error.lineno or 1, '<module>'))
  return found


def traceback_of(error: BaseException) -> str:
  """Returns the traceback of the user's code; '' if other code raised.

  Args:
    error: An error that was raised.
  """
  found = frames(error)
  if not found:
    return ''
  lines = [
    'Traceback (most recent call last):\n',
    *traceback.format_list(found),
    *_last_lines(error),
  ]
  cause = error.__cause__
  if cause is None and not error.__suppress_context__:
    cause = error.__context__
  if cause is not None and cause is not error:
    own = [f for f in _all_frames(cause) if is_of_user(f.filename)]
    if own:
      lines = [
        'Traceback (most recent call last):\n',
        *traceback.format_list(own),
        *_last_lines(cause),
        '\nThis error was handled when the next one was raised:\n\n',
        *lines,
      ]
  return ''.join(lines)


def shorten(text: str) -> str:
  """Returns a traceback's text without the frames of the package.

  Where the user's frames are among the others, these are left out, too.

  Args:
    text: A traceback as Python prints it, perhaps with causes.
  """
  blocks = []
  for line in text.splitlines(keepends=True):
    is_frame = _REPORTED.match(line)
    if is_frame or not (
      blocks and blocks[-1][0] and line.startswith(('    ', '  ['))
    ):
      blocks.append([is_frame and is_frame[1], ''])
    blocks[-1][1] += line
  paths = {path for path, _ in blocks if path}
  kept = {path for path in paths if is_of_user(path)}
  kept = kept or {path for path in paths if not _is_ours(path)}
  return ''.join(text for path, text in blocks if not path or path in kept)


def describe(error: BaseException) -> str:
  """Returns in one line where the user's code raised what; '' if other did.

  Args:
    error: An error that was raised.
  """
  found = frames(error)
  if not found:
    return ''
  last = found[-1]
  what = ' '.join(''.join(_last_lines(error)).split())
  if isinstance(error, SyntaxError):
    what = f'{type(error).__name__}: {error.msg}'
  return (
    f'{last.name} in {os.path.basename(last.filename)}, line {last.lineno},'
    f' raised {what}'
  )


def is_ours(error: BaseException) -> bool:
  """Returns whether the package itself raised an error."""
  found = _all_frames(error)
  return bool(found) and _is_ours(found[-1].filename)


def _is_ours(path: str) -> bool:
  return os.path.abspath(path).startswith(_PACKAGE + os.sep)


def _all_frames(error: BaseException) -> list[traceback.FrameSummary]:
  """Returns all frames of an error, of code that AutoGraph converted too."""
  found = list(traceback.extract_tb(error.__traceback__))
  converted = getattr(error, 'ag_error_metadata', None)
  if converted is not None:
    found += [
      _frame(f.filename, f.lineno, f.function_name)
      for f in reversed(converted.translated_stack)
    ]
  elif hasattr(error, 'node_def'):  # An error of an operation.
    reported = [
      _frame(path, int(line), name)
      for path, line, name in _REPORTED.findall(str(error))
    ]
    # The text may report other frames below the user's.
    found += [f for f in reported if is_of_user(f.filename)]
  return found


def _frame(path: str, line: int, name: str) -> traceback.FrameSummary:
  return traceback.FrameSummary(path, line, name)


def _last_lines(error: BaseException) -> Iterable[str]:
  """Returns what a traceback ends with: the type and the message."""
  converted: Any = getattr(error, 'ag_error_metadata', None)
  if converted is not None:
    return [f'{converted.cause_message}\n']
  if isinstance(error, SystemExit):
    return [f'SystemExit: {error.code}\n']
  if hasattr(error, 'node_def') and _REPORTED.search(str(error)):
    return [f'{type(error).__name__}: {_reason(str(error))}\n']
  text = ''.join(traceback.format_exception_only(error))
  # Gin adds where in its calls an error passed.
  return [text.partition('\n  In call to configurable')[0].rstrip() + '\n']


def _reason(message: str) -> str:
  """Returns what an operation says, without where it was made."""
  *_, last = _REPORTED.finditer(message)
  lines = [line.strip() for line in message[last.end() :].splitlines()]
  return ' '.join(x for x in lines if x and not x.startswith('[[{{node'))
