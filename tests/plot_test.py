"""The commands plot and compare, which need no TensorFlow."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import maml_tf
from maml_tf.comparison import live_view
from tests import command_lines
from tests.comparison import written_runs

_ROOT = str(pathlib.Path(maml_tf.__file__).parents[1])
_SETTINGS = {'train_eval.num_iterations': 3}


def _start(*words):
  return subprocess.Popen(
    [sys.executable, '-X', 'importtime', '-m', *words],
    env=os.environ | {'PYTHONPATH': _ROOT},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def _call(name, *words, **flags):
  """Calls a command in this process; returns the exit code."""
  command = command_lines.import_anew(name).COMMAND
  return command_lines.call_with_words(command, words, **flags)


@pytest.fixture(name='runs')
def fixture_runs(tmp_path):
  return [
    written_runs.write(
      tmp_path / f'run{seed}', [1, 2, 3], {'train_eval.seed': seed} | _SETTINGS
    )
    for seed in (0, 1)
  ]


@pytest.mark.parametrize(
  ('name', 'out', 'file'),
  [('plot', 'plot.svg', ''), ('compare', 'all', 'comparison.html')],
)
def test_neither_imports_tensorflow(name, out, file, runs, tmp_path):
  path = tmp_path / out
  process = _start(f'maml_tf.{name}', runs[0], f'--out={path}', runs[1])
  out, err = process.communicate(timeout=60)
  assert process.returncode == 0, err
  assert 'A  run0: run0, run1' in out
  assert 'maml_tf.comparison' in err
  assert not [line for line in err.splitlines() if 'tensorflow' in line]
  assert not [line for line in err.splitlines() if 'scipy' in line]
  assert '<svg' in (path / file).read_text(encoding='utf-8')


@pytest.mark.parametrize(
  ('name', 'flags', 'line'),
  [
    (
      'plot',
      {'metric': 'success'},
      'success is not a metric of all these runs',
    ),
    ('plot', {'mean_over': 0}, '--mean_over is 0: give an integer of at least'),
    ('plot', {'out': 'x.pdf'}, '--out is x.pdf: give a file that ends in .png'),
    ('compare', {'last_share': 0.0}, '--last_share is 0.0: give a finite'),
    ('compare', {'last_share': 1.5}, '--last_share is 1.5: give a finite'),
    ('compare', {'out': '/dev/null'}, '/dev/null is not a folder'),
  ],
)
def test_a_bad_flag_is_one_line(
  name, flags, line, runs, tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  assert _call(name, *runs, **flags) == 2
  out, err = capsys.readouterr()
  assert (out, err.count('\n')) == ('', 1)
  assert err.startswith(f'{name}: {line}')
  assert sorted(os.listdir(tmp_path)) == ['run0', 'run1']


@pytest.mark.parametrize('name', ['plot', 'compare'])
def test_what_is_no_run_is_one_line(name, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'file.txt').write_text('')
  (tmp_path / 'empty').mkdir()
  for path, line in (
    ('missing', 'missing does not exist: give the folder of a training run'),
    ('file.txt', 'file.txt is not a folder: give'),
    ('empty', 'empty has no metrics.csv with rows yet: give'),
  ):
    assert _call(name, path, out='new/x.png') == 2
    assert not (tmp_path / 'new').exists()
    err = capsys.readouterr().err
    assert err.startswith(f'{name}: {line}') and err.count('\n') == 1


def test_a_run_without_rows_is_left_out(runs, tmp_path, capsys):
  (tmp_path / 'new').mkdir()
  out = tmp_path / 'folder' / 'plot.PNG'
  assert _call('plot', *runs, str(tmp_path / 'new'), out=str(out)) == 0
  assert capsys.readouterr().err == (
    f'new has no metrics.csv with rows yet: it is left out\nplot: wrote {out}\n'
  )
  assert out.stat().st_size > 0


def test_a_run_is_followed_from_before_it_begins_to_its_end(tmp_path, capsys):
  folder = tmp_path / 'run'
  drawn = []

  def write(text):
    return lambda: written_runs.write_rows(
      folder, f'{written_runs.HEADER}{text}'
    )

  def begin():
    written_runs.write(folder, [], _SETTINGS)

  # It is killed after the second row, and starts anew.
  states = [
    begin,
    write('\n1,100,2,0,1\n2,20'),
    write('\n1,100,2,0,1\n2,200,4,0,2\n'),
    write('\n1,100,2,0,5\n'),
    write('\n1,100,2,0,5\n2,200,4,0,6\n3,300,6,0,7\n'),
  ]
  has_drawn = live_view.follow(
    [str(folder)],
    lambda runs: drawn.append(runs[0].table['return_step_1'].tolist()),
    0.0,
    wait=lambda _: states.pop(0)(),
  )
  assert has_drawn and not states
  assert drawn == [[1], [1, 2], [5], [5, 6, 7]]
  lines = capsys.readouterr().err.splitlines()
  assert lines[0] == 'waiting for the first row of run'
  assert lines[-1] == 'run: iteration 3 of 3, return 0.0 -> 6.0'


def test_a_run_that_ends_in_nan_and_lost_rows_is_drawn_once(tmp_path):
  folder = tmp_path / 'run'
  path = written_runs.write(folder, [], _SETTINGS)
  written_runs.write_rows(folder, f'{written_runs.HEADER}\n2,200,4,nan,nan\n')
  ends = [
    lambda: None,
    lambda: written_runs.write_rows(
      folder, f'{written_runs.HEADER}\n3,300,6,1,2\n'
    ),
  ]
  drawn = []
  live_view.follow([path], drawn.append, 0.0, lambda _: ends.pop(0)())
  assert len(drawn) == 2 and not ends


def test_two_runs_are_followed_while_one_of_them_waits(runs, tmp_path, capsys):
  def stop(seconds):
    raise KeyboardInterrupt

  drawn = []
  paths = [runs[0], str(tmp_path / 'later')]
  assert live_view.follow(paths, drawn.append, 1.0, stop)
  assert [[run.name for run in runs] for runs in drawn] == [['run0']]
  assert capsys.readouterr().err == (
    'last of 2 runs, run0: iteration 3 of 3, return 1.0 -> 2.0; waiting for the'
    ' first row of later\n'
  )


def test_following_ends_cleanly_on_ctrl_c(runs, tmp_path):
  out = tmp_path / 'plot.png'
  words = ['--follow', runs[0], str(tmp_path / 'later'), f'--out={out}']
  process = _start('maml_tf.plot', *words)
  deadline = time.monotonic() + 60
  while not out.exists() and time.monotonic() < deadline:
    time.sleep(0.05)
  process.send_signal(signal.SIGINT)
  _, err = process.communicate(timeout=60)
  assert process.returncode == 0, err
  assert err.endswith(f'\nplot: the last picture is {out}\n')
  assert sorted(os.listdir(tmp_path)) == ['plot.png', 'run0', 'run1']
