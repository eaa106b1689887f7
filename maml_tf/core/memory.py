"""Whether what settings ask for fits into this machine's memory."""

import os
import re

_CGROUP_LIMITS = (
  '/sys/fs/cgroup/memory.max',
  '/sys/fs/cgroup/memory/memory.limit_in_bytes',
)


def check(what: str, num_bytes: float, remedy: str) -> None:
  """Refuses what cannot fit, before the system ends the process for it.

  Args:
    what: The subject of the message, in the plural.
    num_bytes: The least memory that it takes, in bytes.
    remedy: What to give instead.

  Raises:
    ValueError: This machine has less memory.
  """
  total = total_bytes()
  if num_bytes > total:
    raise ValueError(
      f'{what} need at least {_gigabytes(num_bytes)} of memory, and this'
      f' machine has {_gigabytes(total)}: {remedy}'
    )


def total_bytes() -> float:
  """Returns the memory that this process can have, swap included, in bytes."""
  total = float(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE'))
  for path in _CGROUP_LIMITS:
    text = _read(path).strip()
    if text.isdigit():
      total = min(total, float(text))
  swap = re.search(r'SwapTotal:\s*(\d+) kB', _read('/proc/meminfo'))
  return total + 1024 * int(swap[1]) if swap else total


def _read(path):
  try:
    with open(path, encoding='ascii') as file:
      return file.read()
  except OSError:
    return ''


def _gigabytes(num_bytes):
  return f'{num_bytes / 1e9:,.0f} GB'
