"""Programs end with one line on stderr and an exit code."""

import io
import os
import pty
import subprocess
import sys

import pytest
import tqdm

from maml_tf.core import terminal
from tests.core import core_alone


def test_errors_are_one_line_and_a_code(capsys):
  assert terminal.print_error('train', ValueError('no\n  In call to x')) == 2
  assert terminal.print_error('export', 'stopped', 130) == 130
  terminal.log('a line')
  assert capsys.readouterr() == ('', 'train: no\nexport: stopped\na line\n')


class _DeadPipe(io.TextIOBase):
  """Its reader has gone."""

  def write(self, text):
    raise BrokenPipeError

  def flush(self):
    raise BrokenPipeError


@pytest.mark.parametrize('stream', [None, _DeadPipe(), open(os.devnull)])
def test_lines_that_nobody_can_read_are_dropped(stream, monkeypatch):
  monkeypatch.setattr(sys, 'stderr', stream)
  monkeypatch.setattr(sys, 'stdout', stream)
  terminal.log('a line')
  terminal.show('a result')
  assert terminal.print_error('train', 'no') == 2
  assert not terminal.stderr().isatty()
  patient = terminal.stderr()
  with tqdm.tqdm(total=2, **terminal.bar_settings(patient)) as bar:
    bar.update()
    tqdm.tqdm.write('a line', file=patient)


def test_letters_that_a_terminal_lacks_are_escaped():
  written = io.TextIOWrapper(io.BytesIO(), encoding='ascii')
  stream = terminal.PatientStream(written)
  print('\u00b1 1', file=stream, flush=True)
  assert written.buffer.getvalue() == b'\\xb1 1\n'


_PRINTS = f"""
{core_alone.PREAMBLE}
import warnings
from maml_tf.core import terminal
terminal.protect()
with open(sys.argv[1], 'w') as file:
  for _ in range(2):
    terminal.log('a line')
    print('a result', flush=True)
    warnings.warn('of a library')
    print('an error', file=sys.stderr, flush=True)
  file.write('done')
"""


@pytest.mark.parametrize(
  'redirection', ['>/dev/full 2>&1', '>&- 2>&-', '<&- 2>&-', '2>&1 | true']
)
def test_a_process_outlives_its_output(redirection, tmp_path):
  process = subprocess.run(
    [
      *('bash', '-c'),
      f'sleep 0.1; "$0" -c "$1" "$2" {redirection}; exit "${{PIPESTATUS[0]}}"',
      *(sys.executable, _PRINTS, str(tmp_path / 'file')),
    ],
    capture_output=True,
    text=True,
    timeout=60,
  )
  assert process.returncode == 0, process.stderr
  # Nothing else went into the first file that was opened.
  assert (tmp_path / 'file').read_text() == 'done'


def test_a_terminal_without_a_size_shows_a_bar(monkeypatch):
  parent, child = pty.openpty()
  with open(child, 'w', encoding='utf-8') as stream:
    assert os.get_terminal_size(child).columns == 0
    monkeypatch.setattr(sys, 'stderr', stream)
    settings = terminal.bar_settings(terminal.stderr())
    with tqdm.tqdm(total=2, **settings) as bar:
      bar.set_postfix_str('compiling ...')
    with terminal.passing_line('wait'):
      pass
    shown = os.read(parent, 10**5).decode()
  os.close(parent)
  assert '0/2' in shown and 'compiling ...' in shown
  assert shown.endswith('wait\r    \r')
