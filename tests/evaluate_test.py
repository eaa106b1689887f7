"""The command line of evaluation: output, exit codes and files."""

import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import gin
import numpy as np
import pytest

import maml_tf
from maml_tf.run import config as run_config
from maml_tf.run import experiment
from maml_tf.run import trained_run
from tests import command_lines
from tests import shared_runs

FILES = ('evaluation.csv', 'evaluation.json', 'evaluation.png')


@pytest.fixture(name='root_dir')
def copy_run(point_run, tmp_path):
  return pathlib.Path(shutil.copytree(point_run.root_dir, tmp_path / 'run'))


def _main(argv=(), **values):
  values = {k: v for k, v in values.items() if v is not None}
  return command_lines.call('evaluate', argv, **{'num_tasks': 3, **values})


def _files(directory):
  return {
    path: path.stat().st_mtime_ns for path in sorted(directory.rglob('*'))
  }


def _refusal(capfd):
  """Returns the printed error, which must be one line."""
  out, err = capfd.readouterr()
  assert out == ''
  assert re.fullmatch(r'evaluate: [^\n]+\n', err), err
  return err


def _json(directory):
  return json.loads((directory / 'evaluation.json').read_text(encoding='utf-8'))


def test_a_process_prints_a_table_and_writes_three_files(root_dir, tmp_path):
  # A user's environment: the package is on the path, and all is logged.
  environment = {
    name: value
    for name, value in os.environ.items()
    if name not in ('TF_CPP_MIN_LOG_LEVEL', 'PYTHONWARNINGS')
  }
  package = pathlib.Path(maml_tf.__file__).parents[1]
  process = subprocess.run(
    [sys.executable, '-m', 'maml_tf.evaluate', f'--root_dir={root_dir}']
    + ['--num_tasks=3', '--num_adaptation_steps=2', '--references']
    + ['--step_size_schedule=halve', '--episodes=4'],
    cwd=tmp_path,
    env={**environment, 'PYTHONPATH': str(package)},
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
  )
  assert process.returncode == 0, process.stderr
  lines = process.stdout.splitlines()
  assert lines[0] == (
    'Return on 3 held-out tasks, 4 episodes each a step, after 1 meta-iteration'
  )
  *rows, oracle, pretrained = lines[2:]
  for line, name in ((oracle, 'oracle'), (pretrained, 'pretrained')):
    assert line == (
      f'no {name} yet; to train it: python -m maml_tf.train'
      f' --gin_file={root_dir}/config.gin --gin_file={name}.gin'
      f' --root_dir={root_dir}/{name}'
    )
  assert [tuple(line.split()[:2]) for line in rows] == [
    *(('trained', str(step)) for step in range(3)),
    *(('initial', str(step)) for step in range(3)),
    ('random', '0'),
  ]
  *steps, last = process.stderr.splitlines()
  assert [re.sub(r': -\d+\.?\d*$', '', line) for line in steps] == [
    *(f'{name}, step {s}' for name in ('trained', 'initial') for s in range(3)),
    'random',
  ]
  assert last == (
    'evaluate: wrote evaluation.json, evaluation.csv, evaluation.png to'
    f' {root_dir}'
  )
  content = _json(root_dir)
  assert content['step_size_schedule'] == 'halve'
  assert (content['seed'], content['episodes_per_task']) == (7, 4)
  for line in rows:
    name, step, mean = line.split()[:3]
    found = content['policies'][name][int(step)]['mean']
    assert float(mean) == pytest.approx(found, abs=1e-3)
  assert (root_dir / 'evaluation.png').stat().st_size > 10_000


def test_its_tasks_are_those_that_training_ended_with(point_run, root_dir):
  assert _main(root_dir=str(root_dir), num_tasks=2) == 0
  content = _json(root_dir)
  assert content['num_adaptation_steps'] == 3
  expected = point_run.returns.mean(axis=(1, 2))
  means = [s['mean'] for s in content['policies']['trained']]
  np.testing.assert_allclose(means[:2], expected, rtol=1e-5)
  assert list(content['policies']) == ['trained']


def test_tasks_that_were_all_trained_on_have_a_row_each(
  cheetah_run, tmp_path, capfd
):
  code = _main(
    root_dir=str(cheetah_run.root_dir),
    out=str(tmp_path),
    num_tasks=3,
    num_adaptation_steps=1,
    references=True,
  )
  assert code == 0
  lines = capfd.readouterr().out.splitlines()
  assert lines[0].startswith('Return on 2 tasks in 2 copies each, 3 episodes')
  assert lines[1] == 'all 2 tasks were trained on: none is held out'
  policies = [('trained', 2), ('initial', 2), ('random', 1)]
  *table, oracle, pretrained = lines[3:]
  assert oracle.startswith('no oracle yet; to train it: ')
  assert pretrained.startswith('no pretrained yet; to train it: ')
  assert [tuple(line.split()[:3]) for line in table] == [
    (name, task, str(step))
    for name, num_steps in policies
    for task in ('-1', '1')
    for step in range(num_steps)
  ]
  content = _json(tmp_path)
  assert (content['held_out'], content['tasks']) == (False, ['-1', '1'])
  with open(tmp_path / 'evaluation.csv', newline='', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  assert [r['task_value_0'] for r in rows[::2][:4]] == ['-1.0', '1.0'] * 2


def test_another_seed_and_folder(root_dir, tmp_path):
  before = _files(root_dir)
  out = tmp_path / 'deep' / 'out'
  for seed in (1, None):
    assert _main(root_dir=str(root_dir), out=str(out), seed=seed) == 0
    with open(out / 'evaluation.csv', newline='', encoding='utf-8') as file:
      tasks = {r['task_value_0'] for r in csv.DictReader(file)}
    if seed == 1:
      others = tasks
  assert len(tasks) == len(others) == 3 and not tasks & others
  assert sorted(path.name for path in out.iterdir()) == list(FILES)
  assert _files(root_dir) == before


@pytest.mark.parametrize(
  ('values', 'message'),
  [
    ({'num_tasks': 0}, 'num_tasks is 0: give an integer of at least 1'),
    ({'episodes': 0}, 'episodes is 0: give an integer of at least 1'),
    ({'num_adaptation_steps': -1}, 'num_adaptation_steps is -1: give'),
    ({'num_adaptation_steps': 10**8}, 'give an integer of at most 100000'),
    ({'num_tasks': 30_000_000_000}, 'give an integer of at most 2147483647'),
    ({'num_tasks': 300_000_000}, 'parameters each need at least'),
    ({'episodes': 10**9}, 'steps each need at least'),
    ({'seed': -1}, 'seed is -1: give'),
    ({'step_size_schedule': 'third'}, "is 'third': give constant or halve"),
  ],
)
def test_impossible_flags_are_one_line(values, message, root_dir, capfd):
  before = _files(root_dir)
  out = root_dir / 'out'
  assert _main(root_dir=str(root_dir), out=str(out), **values) == 2
  assert message in _refusal(capfd)
  assert _files(root_dir) == before


def test_folders_without_a_run(tmp_path, capfd):
  assert _main() == 2
  assert '--root_dir is missing' in _refusal(capfd)
  assert _main(root_dir=str(tmp_path / 'nowhere')) == 2
  assert 'nowhere holds no run' in _refusal(capfd)
  assert not list(tmp_path.iterdir())


def test_an_out_that_cannot_be_written(root_dir, tmp_path, monkeypatch, capfd):
  monkeypatch.setattr(trained_run, 'load', _must_not_run)
  (tmp_path / 'file').write_text('content', encoding='utf-8')
  (tmp_path / 'evaluation.csv').mkdir()
  for out, message in (
    (str(tmp_path / 'file'), 'file is not a folder: give another --out'),
    ('/proc/x', '/proc cannot be written: give another path'),
    (str(tmp_path), 'evaluation.csv is a folder, where a file is written'),
  ):
    assert _main(root_dir=str(root_dir), out=out) == 2
    assert message in _refusal(capfd)


def _must_not_run(*_):
  raise AssertionError('it has run')


def test_an_argument_that_is_not_a_flag(root_dir, capfd):
  assert _main(['run'], root_dir=str(root_dir)) == 2
  assert 'run is not a flag' in _refusal(capfd)


@pytest.mark.slow
def test_learned_step_sizes_cannot_be_halved(tmp_path, capfd):
  bindings = [*shared_runs.TINY, shared_runs.NO_MODEL]
  run_config.parse(['point.gin', 'meta_sgd.gin'], bindings)
  experiment.train_eval(str(tmp_path))
  gin.clear_config()
  capfd.readouterr()
  assert _main(root_dir=str(tmp_path), step_size_schedule='halve') == 2
  assert "learned: give 'constant'" in _refusal(capfd)
