"""The README's Python runs as it stands."""

import os
import pathlib
import re
import subprocess
import sys

_ROOT = pathlib.Path(__file__).parent.parent


def test_the_python_block_trains_and_prints_nothing_else(tmp_path):
  readme = (_ROOT / 'README.md').read_text(encoding='utf-8')
  (block,) = re.findall(r'```python\n(.*?)```', readme, re.DOTALL)
  done = subprocess.run(
    [sys.executable, '-c', block],
    cwd=tmp_path,
    env={**os.environ, 'PYTHONPATH': str(_ROOT)},
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  # Three iterations, each with the returns before and after adaptation.
  line = r'\[ *-?[\d.]+ +-?[\d.]+ *\] -?[\d.e-]+\n'
  assert re.fullmatch(f'({line}){{3}}', done.stdout)
  assert not done.stderr
