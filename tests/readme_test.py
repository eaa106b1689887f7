"""Commands and Python of the README and of the pages run as they stand."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests import shared_runs

_ROOT = pathlib.Path(__file__).parent.parent
# Appended to commands that train, which would take minutes to hours.
_SMALL = [f'--gin_bindings={line}' for line in shared_runs.TINY]
_TRAINING = ('train', 'sweep')


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


def _text(page):
  return (_ROOT / page).read_text(encoding='utf-8')


def _blocks(text, language=''):
  """The fenced blocks of a language; without one, lines for a shell."""
  found = re.findall(r'(?ms)^```(\w*)\n(.*?)^```$', text)
  return [block for name, block in found if name == language]


def _section(page, title):
  return _text(page).split(f'\n## {title}\n')[1].split('\n## ')[0]


def _block(page, title):
  """The Python of a section."""
  (block,) = _blocks(_section(page, title), 'python')
  return block


def _commands():
  """The README's lines for a shell, in its order."""
  blocks = _blocks(_text('README.md'))
  return [line for block in blocks for line in block.splitlines()]


def _of_package():
  return [line for line in _commands() if line.startswith('maml_tf ')]


def test_the_readme_is_short():
  assert len(_text('README.md').splitlines()) <= 160


def test_other_commands_are_those_that_ci_runs():
  install, activate, test = (
    line for line in _commands() if not line.startswith('maml_tf ')
  )
  # .ci/run and tests/matrix.sh run both, each in a new environment.
  assert re.match(r'python3.*tf-agents==[\d.]+$', install)
  assert test == install.replace('install .', "install -e '.[test]'") + (
    ' && .venv/bin/python -m pytest'
  )
  assert activate == 'source .venv/bin/activate'


@pytest.mark.slow
def test_the_commands_of_the_package_run_in_their_order(tmp_path):
  for line in _of_package():
    _, name, *words = shlex.split(line)
    small = _SMALL if name in _TRAINING else []
    _run(['-m', 'maml_tf', name, *words, *small], tmp_path)
  (code,) = _blocks(_text('README.md'), 'python')
  assert re.fullmatch(r'\[[-\d. ]+\]\n', _run(['-c', code], tmp_path).stdout)
  for path in ('backward.gif', 'point_model/saved_model.pb'):
    assert (tmp_path / path).stat().st_size > 1000, path


def test_the_parts_train_and_print_nothing_else(tmp_path):
  code = _block('docs/tf_agents.md', 'Use the parts')
  done = _run(['-c', code], tmp_path)
  # Three iterations, each with the returns before and after adaptation.
  line = r'\[ *-?[\d.]+ +-?[\d.]+ *\] -?[\d.e-]+\n'
  assert re.fullmatch(f'({line}){{3}}', done.stdout)
  assert not done.stderr


def test_a_run_of_cheetah_adapts_to_gymnasium(cheetah_run, tmp_path):
  shutil.copytree(cheetah_run.root_dir, tmp_path / 'runs' / 'cheetah')
  code = _block('docs/evaluate.md', 'Adapt to your environment')
  done = _run(['-c', code], tmp_path)
  assert re.fullmatch(
    r'\[ *-?[\d.]+ +-?[\d.]+ *\] \(AdaptationStep\(.*\),\)\n', done.stdout
  )
  assert not done.stderr


def test_a_surrogate_of_the_users_trains(tmp_path):
  page, section = 'docs/own_algorithm.md', 'Code of your own'
  config, command = _blocks(_section(page, section))
  module = _block(page, section)
  (tmp_path / 'my_surrogates.py').write_text(module, encoding='utf-8')
  (tmp_path / 'my_surrogates.gin').write_text(config, encoding='utf-8')
  _, *words = shlex.split(command)
  _run([*words, *_SMALL, f'--gin_bindings={shared_runs.NO_MODEL}'], tmp_path)
  (run,) = (tmp_path / 'runs').iterdir()
  recorded = (run / 'config.gin').read_text(encoding='utf-8')
  assert 'InnerLoop.surrogate = @my_surrogates.clipped_advantage' in recorded
