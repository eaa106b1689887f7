"""`maml_tf.sweep` refuses bad input before a run starts; real tiny sweeps."""

import csv
import os
import pathlib
import signal
import subprocess
import sys
import time

import gin
import pytest

import maml_tf
from maml_tf.sweeping import sweep
from tests import command_lines

_TINY = (
  'train_eval.num_tasks = 2',
  'train_eval.episodes_per_task = 2',
  'train_eval.horizon = 5',
  'train_eval.checkpoint_interval = 1',
  'train_eval.export_saved_model = False',
  'create_actor_network.fc_layer_params = (4,)',
  'GradientUpdate.num_steps = 1',
)


@pytest.fixture(autouse=True)
def clear_gin():
  yield
  gin.clear_config()


@pytest.mark.parametrize(
  ('flags', 'part'),
  [
    ({'set': ['InnerLoop.step_sice=1,2']}, 'did you mean step_size'),
    ({'set': ['InnerLoop.step_size=1,-2']}, 'step_size'),
    ({'set': ['InnerLoop.num_steps=1,1.5']}, 'num_steps'),
    ({'set': ['InnerLoop.step_size=1,x y']}, "'InnerLoop.step_size = x y'"),
    ({'set': ['InnerLoop.step_size=log(1,2)']}, 'give --random=N'),
    ({'set': ['train_eval.num_tasks=2,0']}, 'num_tasks'),
    ({'set': ['lonely=1']}, 'a macro that nothing reads'),
    ({'set': ['InnerLoop.step_size']}, 'sets nothing'),
    ({'gin_file': ['no.gin']}, 'no.gin does not exist'),
    ({'gin_file': []}, 'environment_class'),
    ({'seeds': 0}, '--seeds is 0'),
    ({'jobs': 0}, '--jobs is 0'),
    ({'random': 0}, '--random is 0'),
    ({'seeds': 10000, 'set': ['InnerLoop.step_size=1,2']}, 'number of runs'),
    (
      {'set': [f'f.{n}={",".join(map(str, range(999)))}' for n in 'abcd']},
      'number of runs',
    ),
  ],
)
def test_bad_input_ends_in_one_line_before_a_run(flags, part, tmp_path, capsys):
  root_dir = tmp_path / 'sweep'
  flags = {'gin_file': ['point.gin'], 'root_dir': str(root_dir)} | flags
  assert command_lines.call('sweep', **flags) == 2
  err = capsys.readouterr().err
  (line,) = err.splitlines()
  assert line.startswith('sweep: ') and part in line
  assert not root_dir.exists()


def test_an_edited_gin_file_is_refused(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(sweep.Sweep, 'run', lambda self, num_at_once: None)
  config = tmp_path / 'my.gin'

  def call(*lines, values='0.1'):
    config.write_text("include 'point.gin'\n" + '\n'.join(lines))
    gin.clear_config()
    code = command_lines.call(
      'sweep',
      gin_file=[str(config)],
      gin_bindings=_TINY,
      set=[f'InnerLoop.step_size={values}'],
      root_dir=str(tmp_path / 'sweep'),
    )
    return code, capsys.readouterr().err

  # 1: no run is finished.
  assert call('MamlAgent.gae_lambda = 0.9')[0] == 1
  more = 'train_eval.num_iterations = 7'
  assert call('MamlAgent.gae_lambda = 0.9', more, values='0.2,0.1')[0] == 1
  code, err = call('MamlAgent.gae_lambda = 0.8', values='0.2,0.1')
  assert code == 2
  assert '(MamlAgent.gae_lambda = 0.8 is in one of them only)' in err


def _start(root_dir, *arguments):
  package = str(pathlib.Path(maml_tf.__file__).parents[1])
  return subprocess.Popen(
    [
      *(sys.executable, '-m', 'maml_tf.sweep', '--gin_file=point.gin'),
      *(f'--gin_bindings={binding}' for binding in _TINY),
      *(f'--root_dir={root_dir}', *arguments),
    ],
    env=os.environ | {'PYTHONPATH': package},
    stderr=subprocess.PIPE,
    text=True,
  )


def _finish(process):
  _, err = process.communicate(timeout=500)
  return process.returncode, err


def _rows(root_dir):
  with open(root_dir / 'sweep.csv', newline='', encoding='utf-8') as file:
    return {row['run']: row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_a_sweep_is_stopped_resumed_and_extended(tmp_path):
  root_dir = tmp_path / 'sweep'
  many = ('--gin_bindings=train_eval.num_iterations = 1000000',)
  few = ('--gin_bindings=train_eval.num_iterations = 3',)
  values = '--set=InnerLoop.step_size=0.1,0.3'
  names = ['step_size=0.1,seed=0', 'step_size=0.3,seed=0']

  process = _start(root_dir, *many, values, '--jobs=2')
  while not all((root_dir / n / 'metrics.csv').exists() for n in names):
    assert process.poll() is None
    time.sleep(0.1)
  process.send_signal(signal.SIGTERM)
  code, err = _finish(process)
  assert code == 143
  assert 'sweep: stopped; to resume: ' in err
  rows = _rows(root_dir)
  assert [rows[name]['status'] for name in names] == ['stopped'] * 2
  done = [int(rows[name]['iterations']) for name in names]
  assert min(done) >= 1

  # Fewer iterations than they have: they end at once.
  code, err = _finish(_start(root_dir, *few, values))
  assert code == 0, err
  assert f'started   {names[0]}, which has {done[0]} iterations' in err
  assert [_rows(root_dir)[name]['status'] for name in names] == ['finished'] * 2

  code, err = _finish(_start(root_dir, *few, values + ',0.2', '--seeds=1'))
  assert code == 0, err
  assert '3 runs' in err and '2 are finished' in err
  assert err.count('started ') == 1
  assert 'wrote sweep.csv and comparison.html to' in err
  page = (root_dir / 'comparison.html').read_text(encoding='utf-8')
  assert 'InnerLoop.step_size = 0.2' in page
  row = _rows(root_dir)['step_size=0.2,seed=0']
  assert row['status'] == 'finished' and row['iterations'] == '3'
  assert float(row['return_after']) < 0

  # A file in the way fails one run, which the other survives.
  (root_dir / 'step_size=0.3,seed=1').mkdir()
  (root_dir / 'step_size=0.3,seed=1' / 'metrics.csv').mkdir()
  code, err = _finish(_start(root_dir, *few, values + ',0.2', '--seeds=2'))
  assert code == 1
  assert 'step_size=0.3,seed=1 failed: exit code 2: train: ' in err
  assert _rows(root_dir)['step_size=0.2,seed=1']['status'] == 'finished'
  code, err = _finish(_start(root_dir, *few, '--set=InnerLoop.step_size=0.1'))
  assert code == 2 and 'which this one lacks' in err
