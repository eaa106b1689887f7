"""The command line of the export, run as processes."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import maml_tf
from maml_tf.run import trained_run

_ROOT = str(pathlib.Path(maml_tf.__file__).parents[1])
# Runs several commands in one process: imports take longer than the commands.
_COMMANDS = """
import ast
import sys
from absl import flags
from maml_tf import export
for line in sys.stdin:
  flags.FLAGS.unparse_flags()
  for flag in flags.FLAGS.get_key_flags_for_module(export):
    flag.unparse()
  code = export.main(flags.FLAGS(['export', *ast.literal_eval(line)]))
  print(code, flush=True)
"""


@pytest.fixture(name='root_dir')
def point_run_dir(point_run):
  return str(point_run.root_dir)


def _process(arguments, stdin=None):
  return subprocess.run(
    [sys.executable, *arguments],
    input=stdin,
    env={
      name: value
      for name, value in os.environ.items()
      if name not in ('TF_CPP_MIN_LOG_LEVEL', 'PYTHONWARNINGS')
    }
    | {'PYTHONPATH': _ROOT},
    capture_output=True,
    text=True,
    timeout=300,
  )


def _variables(model_dir):
  """The values of a model's variables, by shape."""
  model = tf.saved_model.load(str(model_dir))
  return [v.numpy() for v in model.model_variables]


def test_training_leaves_a_model_that_adapts(root_dir):
  model = tf.saved_model.load(root_dir + '/saved_model')
  assert {'adapt', 'act_adapted', 'initial_state', 'serving_default'} == set(
    model.signatures
  )
  state = model.signatures['initial_state'](batch_size=tf.constant(1))
  parameters = trained_run.load(root_dir).agent.meta_parameters
  for number, parameter in enumerate(parameters):
    np.testing.assert_array_equal(state[f'state_{number}'][0], parameter)
  assert model.get_train_step().numpy() == 1


def test_a_process_exports_a_model_that_adapts(root_dir, tmp_path):
  out = tmp_path / 'deep' / 'model'
  flags = [f'--root_dir={root_dir}', f'--export_dir={out}']
  process = _process(['-m', 'maml_tf.export', *flags])
  assert process.returncode == 0, process.stderr
  assert process.stdout == ''
  assert process.stderr.startswith(
    f'export: {out} acts and adapts, after 1 iterations; '
  )
  assert process.stderr.count('\n') == 1
  trained = pathlib.Path(root_dir, 'saved_model')
  names = {path.name for path in trained.iterdir()}
  assert {path.name for path in out.iterdir()} == names
  for ours, theirs in zip(_variables(out), _variables(trained), strict=True):
    np.testing.assert_array_equal(ours, theirs)


def test_exports_for_one_task_and_refusals(root_dir, tmp_path):
  agent = trained_run.load(root_dir).agent
  state = str(tmp_path / 'state.npz')
  adapted = [v.numpy() + 1 for v in agent.meta_parameters]
  np.savez(state, *adapted)
  (tmp_path / 'thesis').mkdir()
  (tmp_path / 'thesis' / 'text').write_text('Years of work.')
  run = f'--root_dir={root_dir}'
  out = f'--export_dir={tmp_path / "out"}'
  versions = f'--export_dir={tmp_path / "versions"}'
  lite = f'--export_dir={tmp_path / "lite"}'
  commands = (
    ([run, out, f'--state={state}', '--deterministic'], 0, 'acts for one task'),
    ([run, lite, f'--state={state}', '--lite'], 0, 'acts for one task'),
    ([run, lite, '--lite', '--episodes=0'], 2, 'at least 1'),
    ([run, lite, '--horizon=5'], 2, '--horizon needs --lite'),
    ([run, lite, '--lite', '--deterministic'], 2, 'noise of zeros'),
    ([out], 2, '--root_dir is missing: give'),
    ([run], 2, 'give --export_dir'),
    ([run, out, 'more'], 2, 'more is not a flag'),
    ([run, out, '--deterministic'], 2, '--deterministic needs a --state'),
    ([f'--root_dir={tmp_path}', out], 2, 'holds no run'),
    ([run, out, '--state=nothing.npz'], 2, 'nothing.npz'),
    ([run, out, f'--state={root_dir}/config.gin'], 2, 'is not an .npz file'),
    (
      [run, f'--export_dir={tmp_path / "thesis"}'],
      2,
      'exists and is not a SavedModel',
    ),
    ([run, f'--export_dir={state}/model'], 2, 'state.npz'),
    ([run, versions, '--model_version=next'], 0, 'versions/1 acts and adapts'),
    ([run, versions, '--model_version=7'], 0, 'versions/7 acts and adapts'),
    ([run, versions, '--model_version=7'], 2, 'version next, which is 8'),
    ([run, versions, '--model_version=v7'], 2, "--model_version is 'v7'"),
    (
      [run, out, '--model_version=next'],
      2,
      'out is a SavedModel, not a folder',
    ),
  )
  process = _process(
    ['-c', _COMMANDS], '\n'.join(repr(flags) for flags, _, _ in commands)
  )
  codes, lines = process.stdout.split(), process.stderr.splitlines()
  assert len(codes) == len(lines) == len(commands), process.stderr
  for line, code, (_, expected, text) in zip(lines, codes, commands):
    assert line.startswith('export: ') and text in line
    assert int(code) == expected
  assert sorted(p.name for p in tmp_path.iterdir()) == [
    'lite',
    'out',
    'state.npz',
    'thesis',
    'versions',
  ]
  assert sorted(p.name for p in (tmp_path / 'versions').iterdir()) == ['1', '7']
  act = tf.saved_model.load(str(tmp_path / 'out')).signatures['serving_default']
  observation = tf.constant([[0.3, -0.4]])
  time_step = tf.nest.map_structure(
    lambda spec: tf.zeros([1, *spec.shape], spec.dtype), agent.time_step_spec
  )._replace(observation=observation)
  policy = agent.adapted_policy(tuple(adapted), deterministic=True)
  np.testing.assert_allclose(
    act(observation)['action'], policy.action(time_step).action, rtol=1e-6
  )
