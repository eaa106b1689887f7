"""The example with TF-Agents' Actor collects before and after adaptation."""

import os
import pathlib
import re
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from examples import actor_pipeline
from maml_tf.environments.gymnasium_bridge import gymnasium_environment

_ROOT = pathlib.Path(__file__).parent.parent.parent
_SMALL = ['--episodes=2', '--horizon=4']
_METRICS = (
  r'  NumberOfEpisodes +2\.00\n'
  r'  EnvironmentSteps +8\.00\n'
  r'  AverageReturn +(-?\d+\.\d\d)\n'
  r'  AverageEpisodeLength +4\.00\n'
)
_PRINTED = f'before adaptation:\n{_METRICS}after adaptation:\n{_METRICS}'


def test_it_runs_in_any_folder_and_prints_nothing_else(tmp_path):
  done = subprocess.run(
    [sys.executable, _ROOT / 'examples' / 'actor_pipeline.py', *_SMALL],
    cwd=tmp_path,
    env={**os.environ, 'PYTHONPATH': str(_ROOT)},
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert re.fullmatch(_PRINTED, done.stdout), done.stdout
  assert not done.stderr
  # MuJoCo does not write its log, either.
  assert not list(tmp_path.iterdir())


def test_it_loads_a_training_run(cheetah_run, capsys):
  actor_pipeline.main([*_SMALL, f'--root_dir={cheetah_run.root_dir}'])
  assert re.fullmatch(_PRINTED, capsys.readouterr().out)


def test_the_actor_acts_with_the_given_parameters(capsys):
  vector = gymnasium.make_vec('HalfCheetah-v5', 3, max_episode_steps=4)
  environment = gymnasium_environment.GymnasiumEnvironment(vector)
  agent = actor_pipeline.create_agent(environment)
  # The mean is 9 in every state, the deviation almost 0. So every action is
  # clipped to the bound, 1.
  state = tuple(
    tf.fill(
      [1, *spec.shape],
      9.0 if 'means' in spec.name and 'bias' in spec.name else -99.0,
    )
    if len(spec.shape) == 1
    else tf.zeros([1, *spec.shape])
    for spec in agent.collect_policy.policy_state_spec
  )
  environment.seed(5)
  actor_pipeline.play(agent, environment, state, num_episodes=3)
  vector.reset(seed=5)
  rewards = [vector.step(np.ones([3, 6], np.float32))[1] for _ in range(4)]
  expected = np.sum(rewards, axis=0).mean()
  printed = re.search(r'AverageReturn +(\S+)', capsys.readouterr().out)
  assert float(printed.group(1)) == pytest.approx(expected, abs=0.006)
