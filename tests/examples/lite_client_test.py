"""A device in a process of its own adapts the command's TFLite model."""

import re
import subprocess
import sys

import numpy as np
import pytest

from tests.examples import example_process


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
