"""The example's environment, checked by hand, and adaptation to its tasks."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from tf_agents.environments import utils

from examples import custom_tasks

_ROOT = pathlib.Path(__file__).parent.parent.parent
_LINE = r'iteration \d+: return (-?\d+\.\d\d) -> (-?\d+\.\d\d)\n'


def test_it_runs_in_any_folder_and_prints_nothing_else(tmp_path):
  done = subprocess.run(
    [
      sys.executable,
      _ROOT / 'examples' / 'custom_tasks.py',
      *('--iterations=1', '--tasks=2', '--episodes=2'),
    ],
    cwd=tmp_path,
    env={**os.environ, 'PYTHONPATH': str(_ROOT)},
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert re.fullmatch(_LINE, done.stdout), done.stdout
  assert not done.stderr


def test_two_steps_by_hand():
  environment = custom_tasks.PointingArm(2, 1, horizon=9)
  utils.validate_py_environment(environment, episodes=4)
  environment.set_tasks([0.5, -0.5])
  environment.seed(0)
  angle, velocity = environment.reset().observation.T
  # Torques of 1, 3 (clipped to 1) and 0.
  for torque in ([1.0, 0.0], [3.0, 0.0]):
    time_step = environment.step(np.array(torque, np.float32)[:, np.newaxis])
    # 0.1 s of 10 rad/s^2 and of a friction of 5 / s.
    velocity = velocity + [1.0, 0.0] - 0.5 * velocity
    angle = angle + 0.1 * velocity
    np.testing.assert_allclose(
      time_step.observation, np.stack([angle, velocity], axis=1), atol=1e-6
    )
    np.testing.assert_allclose(
      time_step.reward, -np.abs(angle - [0.5, -0.5]), atol=1e-6
    )


@pytest.mark.slow
def test_it_learns(capsys):
  custom_tasks.main([])
  *_, (before, after) = re.findall(_LINE, capsys.readouterr().out)
  assert float(after) > float(before) + 3
