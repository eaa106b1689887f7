"""Silences the messages that TensorFlow and TF-Agents print when imported.

It is enough to import this module before those libraries, and
`maml_tf/__init__.py` does. From TensorFlow 2.17 on `import_tensorflow` is
needed, too.
"""

from collections.abc import Iterator
import contextlib
import importlib
import os
import subprocess
import sys
from typing import Any

# By default, the native code of TensorFlow 2.15 prints about ten lines during
# its import. On every machine, three of them are errors ("Unable to register
# cuDNN factory"), so only level 3 silences them. TensorFlow reads the level
# once per process. Failing operations still raise Python exceptions, and fatal
# native errors are still printed. But a GPU that fails to start is ignored
# silently: to see why, set TF_CPP_MIN_LOG_LEVEL=0. A level that is already set
# is respected.
_SILENT = '3'
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', _SILENT)

# Newer TensorFlow prints such lines before it reads the level:
#   WARNING: All log messages before absl::InitializeLog() is called are ...
#   I0000 00:00:1795751639.890318   24651 port.cc:153] oneDNN custom ...
# Fatal ones begin with F.
BEFORE_LEVEL = (
  r'^WARNING: All log messages before absl::InitializeLog'
  r'|^[IWE][0-9]{4} [^ ]+ +[0-9]+ [^ ]+:[0-9]+\] '
)

# Filters that may still run. Python would warn of a lost reference to one.
_FILTERS = []

# TF-Agents imports gym. From this table of announcements, gym prints that
# Gymnasium supersedes it. Users of this package cannot act on that: its own
# environments use Gymnasium already.
try:
  from gym_notices import notices
except ImportError:
  pass  # This version of gym has no announcements.
else:
  notices.notices.clear()


def import_tensorflow() -> None:
  """Imports TensorFlow without the lines that ignore the level.

  They come from native code, so no filter of Python's sees them. Whatever else
  is written to stderr meanwhile is passed on when the import ends, even if a
  native error ends the process.
  """
  is_silent = os.environ.get('TF_CPP_MIN_LOG_LEVEL') == _SILENT
  if 'tensorflow' in sys.modules or not is_silent:
    importlib.import_module('tensorflow')
    return
  with _filtered_stderr(BEFORE_LEVEL):
    importlib.import_module('tensorflow')


@contextlib.contextmanager
def _filtered_stderr(dropped: str) -> Iterator[None]:
  """Drops lines that match a pattern from what the process writes to stderr.

  A process of its own filters: native code holds Python's lock while it
  prints, and what it prints last may be why it dies.
  """
  with contextlib.ExitStack() as stack:
    try:
      stderr = os.dup(2)
      stack.callback(os.close, stderr)
      process = _start_filter(dropped, stderr)
    except OSError:  # stderr is closed, or no process can be started.
      yield
      return
    os.dup2(process.stdin.fileno(), 2)
    process.stdin.close()
    try:
      yield
    finally:
      os.dup2(stderr, 2)
      _FILTERS.append(process)
      # The filter ends once its input is closed everywhere. A process that was
      # started meanwhile may keep it open.
      with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=1)


def _start_filter(dropped: str, output: int) -> Any:
  """Starts a process that passes on all lines but those of a pattern.

  Raises:
    OSError: It cannot be started.
  """
  return subprocess.Popen(
    # Any bytes count as text.
    ['grep', '-a', '--line-buffered', '-v', '-E', dropped],
    stdin=subprocess.PIPE,
    stdout=output,
    stderr=subprocess.DEVNULL,
    # Ctrl-C must not end it first.
    start_new_session=True,
  )
