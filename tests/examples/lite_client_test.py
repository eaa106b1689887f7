"""A device in a process of its own adapts the command's TFLite model."""

import importlib
import pathlib
import re
import subprocess
import sys
import types

import numpy as np
import pytest

from tests.examples import example_process

EXAMPLES = pathlib.Path(__file__).parents[2] / 'examples'


class _Interpreter:
  """A model that takes 50 frames."""

  def __init__(self, path, num_threads):
    pass

  def get_signature_runner(self, name):
    shapes = {'step_type': {'shape': [50]}, 'noise': {'shape': [2]}}
    runner = dict if name == 'initial_state' else types.SimpleNamespace()
    if name != 'initial_state':
      runner.get_input_details = lambda: shapes
    return runner


@pytest.mark.parametrize(
  ('flag', 'reason'),
  [
    ('--state=robot', '--state=robot must end in .npz'),
    ('--steps=0', '--steps must be at least 1'),
    (
      '--steps=1',
      'the model adapts to 50 frames, and an episode here has 101: export with'
      ' --horizon=100',
    ),
  ],
)
def test_what_does_not_work_is_refused_in_one_line(flag, reason, monkeypatch):
  module = types.SimpleNamespace(Interpreter=_Interpreter)
  monkeypatch.setitem(sys.modules, 'ai_edge_litert', module)
  monkeypatch.setitem(sys.modules, 'ai_edge_litert.interpreter', module)
  monkeypatch.delitem(sys.modules, 'lite_client', raising=False)
  monkeypatch.syspath_prepend(EXAMPLES)
  lite_client = importlib.import_module('lite_client')
  monkeypatch.setattr(sys, 'argv', ['lite_client', '--model=m.tflite', flag])
  with pytest.raises(SystemExit) as error:
    lite_client.main()
  assert str(error.value) == f'lite_client: {reason}'


@pytest.mark.slow
def test_a_device_adapts_and_keeps_its_state(learned_run, tmp_path):
  subprocess.run(
    [sys.executable, '-m', 'maml_tf.export', '--lite', '--episodes=20']
    + [f'--root_dir={learned_run.root_dir}', '--export_dir=models'],
    cwd=tmp_path,
    check=True,
  )
  flags = ['--model=models/model.tflite', '--state=state.npz']
  done = example_process.run('lite_client', [*flags, '--calls=3'], tmp_path)
  pattern = (
    r'return (\S+) before adaptation\n'
    r'return (\S+) after step 1 on 20 episodes\n'
    r'act [\d.]+ ms, adapt [\d.]+ ms, one thread\n'
  )
  before, after = map(float, re.fullmatch(pattern, done.stdout).groups())
  assert after > before + 5
  assert np.load(tmp_path / 'state.npz')['state_steps'] == 1
  done = example_process.run('lite_client', [*flags, '--steps=2'], tmp_path)
  # It starts as it has ended.
  again = float(done.stdout.split()[1])
  assert again == after
  assert np.load(tmp_path / 'state.npz')['state_steps'] == 3
