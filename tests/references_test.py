"""`evaluate --references`: an oracle and a pretrained policy beside a run."""

import csv
import json
import pathlib
import re
import shutil

import gin
import numpy as np
import pytest

from maml_tf.run import config as run_config
from maml_tf.run import experiment
from maml_tf.run import references
from maml_tf.run import trained_run
from tests import command_lines
from tests import shared_runs
from tests.environments import labelled_corridors

NAMES = ('oracle', 'pretrained')


@pytest.fixture(name='trained', scope='module')
def train_with_references(tmp_path_factory):
  """A run that normalises observations, and its references: read only."""
  root_dir = tmp_path_factory.mktemp('references') / 'run'
  gin.clear_config()
  run_config.parse(
    ['point.gin'],
    [
      *shared_runs.TINY,
      shared_runs.NO_MODEL,
      'MamlAgent.normalize_observations = True',
      'create_actor_network.initial_stddev = 0.5',
    ],
  )
  experiment.train_eval(str(root_dir))
  for name in NAMES:
    # As the table says, but for more iterations.
    assert _train(root_dir, name, 'train_eval.num_iterations = 2') == 0
  return root_dir


@pytest.fixture(name='root_dir')
def copy_run(trained, tmp_path):
  return pathlib.Path(shutil.copytree(trained, tmp_path / 'run'))


def _train(root_dir, name, *bindings):
  gin.clear_config()
  return command_lines.call(
    'train',
    gin_file=[str(root_dir / 'config.gin'), f'{name}.gin'],
    gin_bindings=list(bindings),
    root_dir=str(root_dir / name),
  )


def _evaluate(root_dir, **values):
  values = {'num_tasks': 3, 'num_adaptation_steps': 2, **values}
  return command_lines.call('evaluate', root_dir=str(root_dir), **values)


def _policies(directory):
  text = (directory / 'evaluation.json').read_text(encoding='utf-8')
  return json.loads(text)['policies']


def _settings(directory):
  text = (directory / 'config.gin').read_text(encoding='utf-8')
  return dict(re.findall(r'(?m)^([\w.]+) = (.*)$', text))


def _refusal(capfd):
  """Returns the printed error, which must be one line."""
  out, err = capfd.readouterr()
  assert out == ''
  assert re.fullmatch(r'evaluate: [^\n]+\n', err), err
  return err


@pytest.mark.parametrize('name', NAMES)
def test_a_reference_differs_from_its_run_in_nothing_else(name, trained):
  ours, theirs = _settings(trained), _settings(trained / name)
  changed = {k for k in ours | theirs if ours.get(k) != theirs.get(k)}
  assert changed == {
    'InnerLoop.num_steps',
    'train_eval.num_iterations',
    *(['train_eval.observe_task'] if name == 'oracle' else []),
  }
  assert theirs['InnerLoop.num_steps'] == '0'
  with open(trained / name / 'metrics.csv', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == 2
  assert [c for c in rows[0] if '_step_' in c] == [
    'return_step_0',
    'return_min_step_0',
    'return_max_step_0',
  ]
  assert all(np.isfinite(float(x)) for row in rows for x in row.values())


def test_both_are_evaluated_on_the_tasks_of_the_run(root_dir, tmp_path, capfd):
  alone = {}
  for name in NAMES:
    out = tmp_path / name
    assert _evaluate(root_dir / name, out=str(out)) == 0
    alone[name] = _policies(out)['trained']
  capfd.readouterr()
  assert _evaluate(root_dir, references=True, seed=7) == 0
  out, err = capfd.readouterr()
  rows = [tuple(line.split()[:2]) for line in out.splitlines()[2:]]
  assert rows == [
    *(('trained', str(step)) for step in range(3)),
    *(('initial', str(step)) for step in range(3)),
    ('random', '0'),
    *(('pretrained', str(step)) for step in range(3)),
    ('oracle', '0'),
  ]
  for name in NAMES:
    line = f'{name}: {root_dir / name}, after meta-iteration 2\n'
    assert line in err
  policies = _policies(root_dir)
  assert list(policies) == ['trained', 'initial', 'random', *NAMES[::-1]]
  # The same numbers as alone: its networks, its normaliser, the same noise.
  for name in NAMES:
    expected = alone[name][: len(policies[name])]
    for ours, theirs in zip(policies[name], expected, strict=True):
      assert ours['mean'] == pytest.approx(theirs['mean'], rel=1e-5)
  means = [policies[n][0]['mean'] for n in ('trained', 'initial', *NAMES)]
  assert len(set(means)) == 4
  with open(root_dir / 'evaluation.csv', encoding='utf-8') as file:
    by_policy = {}
    for row in csv.DictReader(file):
      task = (row['task'], row['task_value_0'], row['task_value_1'])
      by_policy.setdefault(row['policy'], set()).add(task)
  assert set(by_policy) == set(policies)
  assert all(tasks == by_policy['trained'] for tasks in by_policy.values())
  assert (root_dir / 'evaluation.png').stat().st_size > 10_000


def test_folders_may_be_elsewhere_and_one_may_be_missing(
  root_dir, tmp_path, capfd
):
  shutil.rmtree(root_dir / 'pretrained')
  moved = shutil.move(root_dir / 'oracle', tmp_path / 'moved')
  flags = {'references': True, 'oracle': str(moved), 'num_adaptation_steps': 0}
  assert _evaluate(root_dir, **flags) == 0
  *_, oracle, missing = capfd.readouterr().out.splitlines()
  assert oracle.startswith('oracle ')
  assert missing == (
    'no pretrained yet; to train it: python -m maml_tf.train'
    f' --gin_file={root_dir}/config.gin --gin_file=pretrained.gin'
    f' --root_dir={root_dir}/pretrained'
  )


@pytest.mark.parametrize(
  ('name', 'old', 'new', 'message'),
  [
    ('oracle', 'horizon = 6', 'horizon = 7', 'horizon = 7, not 6: train it by'),
    (
      'pretrained',
      'environment_class = @PointNavigation',
      'environment_class = @HalfCheetahDirection',
      'environment_class = @HalfCheetahDirection, not @PointNavigation: train',
    ),
  ],
)
def test_a_reference_of_another_run_is_one_line(
  name, old, new, message, root_dir, capfd
):
  config = root_dir / name / 'config.gin'
  text = config.read_text(encoding='utf-8')
  assert old in text
  config.write_text(text.replace(old, new), encoding='utf-8')
  assert _evaluate(root_dir, references=True) == 2
  assert message in _refusal(capfd)
  assert not (root_dir / 'evaluation.json').exists()


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    ({'oracle': 'pretrained'}, 'holds a run that does not observe the task: '),
    ({'pretrained': 'oracle'}, 'a run with other networks or observations: '),
    ({'pretrained': '.'}, 'holds a run with InnerLoop.num_steps = 1, not 0: '),
    ({'oracle': 'nowhere'}, 'nowhere holds no run (config.gin is missing): '),
    ({'oracle': 'oracle', 'references': False}, '--references is missing: '),
  ],
)
def test_impossible_folders_are_one_line(flags, message, root_dir, capfd):
  flags = {
    name: str(root_dir / value) if isinstance(value, str) else value
    for name, value in flags.items()
  }
  assert _evaluate(root_dir, **{'references': True, **flags}) == 2
  assert message in _refusal(capfd)
  assert not (root_dir / 'evaluation.json').exists()


def test_a_reference_without_a_checkpoint_is_one_line(root_dir, capfd):
  shutil.rmtree(root_dir / 'oracle' / 'checkpoints')
  assert _evaluate(root_dir, references=True) == 2
  assert 'oracle has no checkpoint yet' in _refusal(capfd)


def test_tasks_without_numbers_have_no_oracle():
  def create_environment(num_tasks, environments_per_task):
    return labelled_corridors.LabelledCorridors(
      num_tasks, environments_per_task
    )

  run = trained_run.TrainedRun(None, (), create_environment, 2, 0, 1, False, 5)
  oracle, pretrained = references.describe_missing('a run', {}, run)
  assert oracle == (
    'no oracle: the tasks are not numbers, or the observation is not a vector'
    ' of floats'
  )
  assert pretrained.endswith("--root_dir='a run/pretrained'")
  oracle, _ = references.describe_missing(
    'run', {}, run._replace(observe_task=True)
  )
  assert oracle == 'no oracle: this run itself observes the task'
