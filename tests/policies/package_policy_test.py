"""A trained policy of the package is made from a run, or nothing is changed."""

import json
import os
import pathlib
import shutil

import pytest

from benchmarks import package_policy
from maml_tf.core import shipped_policies
from maml_tf.run import trained_run


@pytest.fixture(name='run')
def evaluated_run(point_run, tmp_path):
  """A run, and what its evaluation says that is read."""
  run = pathlib.Path(shutil.copytree(point_run.root_dir, tmp_path / 'run'))
  _write_evaluation(run, iteration=1)
  return run


def _write_evaluation(run, **facts):
  evaluation = {
    'held_out': True,
    'tasks': ['0.1, 0.2', '0.3, 0.4'],
    'seed': 7,
    'episodes_per_task': 3,
    'policies': {'trained': [{'mean': -1.26}, {'mean': 2.0}]},
    **facts,
  }
  (run / 'evaluation.json').write_text(json.dumps(evaluation))


def _package(run, out):
  package_policy.main(
    [
      f'--run={run}',
      f'--out={out}',
      '--task=a point finds a goal',
      '--example_task=0.3,-0.2',
      '--command=maml_tf train --gin_file=point.gin',
      '--commit=365bcf0',
    ]
  )


def _files(folder):
  return {str(p): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def test_it_is_a_small_run_with_facts(run, tmp_path):
  out = tmp_path / 'policies' / 'point'
  before = _files(run)
  for _ in range(2):  # The second replaces the first.
    _package(run, out)
  facts = json.loads((out / shipped_policies.FACTS_FILE).read_text())
  assert shipped_policies.Facts(**facts).returns == [-1.3, 2.0]
  # 2 stages, 2 tasks, 3 episodes, 6 steps.
  assert (facts['iteration'], facts['env_steps']) == (1, 72)
  assert facts['tasks'] == '2 held-out tasks, seed 7, 3 episodes a step'
  assert len(_files(out)) == 4 and os.listdir(out.parent) == ['point']
  assert trained_run.load(str(out)).iteration == 1
  assert _files(run) == before


@pytest.mark.parametrize(
  ('lacks', 'line'),
  [
    ('checkpoints', 'has no checkpoint'),
    ('evaluation.json', 'evaluation.json'),
    ('metrics.csv', 'metrics.csv'),
    ('the row', 'metrics.csv has no row of iteration 1'),
    ('the end', 'the evaluation is of iteration 2, the newest checkpoint of 1'),
  ],
)
def test_what_lacks_something_replaces_nothing(
  run, lacks, line, tmp_path, capsys
):
  out = tmp_path / 'point'
  _package(run, out)
  before = _files(out)
  if lacks == 'the row':
    (run / 'metrics.csv').write_text('iteration,env_steps\n2,72\n')
  elif lacks == 'the end':
    _write_evaluation(run, iteration=2)
  elif lacks == 'checkpoints':
    shutil.rmtree(run / lacks)
  else:
    (run / lacks).unlink()
  capsys.readouterr()
  with pytest.raises(SystemExit, match='2'):
    _package(run, out)
  assert line in capsys.readouterr().err.splitlines()[-1]
  assert _files(out) == before


def test_a_folder_that_is_not_a_policy_stays(run, tmp_path, capsys):
  thesis = tmp_path / 'thesis'
  thesis.mkdir()
  (thesis / 'text').write_text('Years of work.')
  for out in (thesis, run):
    before = _files(out)
    with pytest.raises(SystemExit, match='2'):
      _package(run, out)
    assert 'is not a trained policy: give another --out' in (
      capsys.readouterr().err
    )
    assert _files(out) == before
