"""Runs an example the way its reader does, in a process of its own."""

from collections.abc import Sequence
import os
import pathlib
import subprocess
import sys

_ROOT = pathlib.Path(__file__).parent.parent.parent


def run(
  name: str,
  flags: Sequence[str],
  directory: pathlib.Path,
  returncode: int = 0,
) -> subprocess.CompletedProcess:
  """Runs `examples/<name>.py` in a directory; it must end as expected."""
  done = subprocess.run(
    [sys.executable, str(_ROOT / 'examples' / f'{name}.py'), *flags],
    cwd=directory,
    env={**os.environ, 'PYTHONPATH': str(_ROOT)},
    capture_output=True,
    text=True,
    timeout=500,
    check=False,
  )
  assert done.returncode == returncode, done.stderr
  return done
