"""The example with the stock Learner trains on two replicas and resumes."""

import re

import pytest
import tensorflow as tf

from tests.examples import example_process


def _run(root_dir, iterations):
  """Runs the example; returns the numbers of its iterations."""
  done = example_process.run(
    'learner_pipeline',
    [
      f'--root_dir={root_dir}',
      f'--iterations={iterations}',
      '--tasks=2',
      '--episodes=2',
      '--horizon=4',
      '--interval=2',
    ],
    root_dir,
  )
  assert not done.stderr
  line = r'iteration +(\d+)  return +-?[\d.]+ -> +-?[\d.]+  loss +-?[\d.]+\n'
  assert re.fullmatch(f'({line})+', done.stdout), done.stdout
  return [int(n) for n in re.findall(line, done.stdout)]


@pytest.mark.slow
def test_it_trains_and_saves(tmp_path):
  assert _run(tmp_path, 2) == [1, 2]
  assert (tmp_path / 'train' / 'checkpoints' / 'ckpt-2.index').exists()
  tags = {
    value.tag
    for file in (tmp_path / 'train').glob('events.out.tfevents.*')
    for event in tf.compat.v1.train.summary_iterator(str(file))
    for value in event.summary.value
  }
  assert 'RunTime/train_steps_per_sec' in tags
  # The policy's SavedModel, and a checkpoint of the trained policy.
  policies = tmp_path / 'policies'
  policy = tf.saved_model.load(str(policies / 'policy'))
  assert policy.get_initial_state(3)[0].shape[0] == 3
  trained = policies / 'checkpoints' / 'policy_checkpoint_0000000002'
  names = tf.train.list_variables(str(trained / 'variables' / 'variables'))
  assert any('train_step' in name for name, _ in names)


@pytest.mark.slow
def test_it_resumes(tmp_path):
  assert _run(tmp_path, 2) == [1, 2]
  assert _run(tmp_path, 3) == [3]


def test_tasks_that_replicas_cannot_share(tmp_path):
  done = example_process.run(
    'learner_pipeline',
    [f'--root_dir={tmp_path}', '--tasks=3'],
    tmp_path,
    returncode=2,
  )
  assert done.stderr.strip().endswith(
    '--tasks must be even: each of two replicas takes half'
  )
