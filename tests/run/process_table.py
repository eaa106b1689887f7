"""The processes of this machine, read from /proc."""

from collections.abc import Iterable
import pathlib
import time


def children(pid: int) -> set[int]:
  """Returns the running processes that a process has started."""
  return {child for child, (parent, _) in _table().items() if parent == pid}


def running(pids: Iterable[int]) -> set[int]:
  """Returns those that run; a zombie does not."""
  table = _table()
  return {pid for pid in pids if pid in table}


def wait_for_end(pids: Iterable[int], seconds: float) -> set[int]:
  """Waits for processes to end; returns those that still run."""
  deadline = time.monotonic() + seconds
  while running(pids) and time.monotonic() < deadline:
    time.sleep(0.05)
  return running(pids)


def _table():
  """The parent and state of every running process."""
  table = {}
  for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
    try:
      stat = path.read_text()
    except OSError:
      continue  # It has just ended.
    # pid (name) state parent ...: a name may contain anything.
    state, parent = stat.rpartition(')')[2].split()[:2]
    if state not in 'ZX':
      table[int(path.parent.name)] = (int(parent), state)
  return table
