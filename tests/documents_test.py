"""The README's Python runs as it stands."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

_ROOT = pathlib.Path(__file__).parent.parent


def _run(arguments, directory):
  """Runs Python in a folder; returns its output."""
  done = subprocess.run(
    [sys.executable, *arguments],
    cwd=directory,
    env={**os.environ, 'PYTHONPATH': str(_ROOT)},
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  return done


def _block(section):
  """The Python of a section."""
  readme = (_ROOT / 'README.md').read_text(encoding='utf-8')
  text = readme.split(f'\n## {section}\n')[1].split('\n## ')[0]
  (block,) = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
  return block


def test_the_parts_train_and_print_nothing_else(tmp_path):
  done = _run(['-c', _block('Use the parts')], tmp_path)
  # Three iterations, each with the returns before and after adaptation.
  line = r'\[ *-?[\d.]+ +-?[\d.]+ *\] -?[\d.e-]+\n'
  assert re.fullmatch(f'({line}){{3}}', done.stdout)
  assert not done.stderr


def test_a_run_of_cheetah_adapts_to_gymnasium(cheetah_run, tmp_path):
  shutil.copytree(cheetah_run.root_dir, tmp_path / 'runs' / 'cheetah')
  done = _run(['-c', _block('Adapt')], tmp_path)
  assert re.fullmatch(
    r'\[ *-?[\d.]+ +-?[\d.]+ *\] \(AdaptationStep\(.*\),\)\n', done.stdout
  )
  assert not done.stderr
