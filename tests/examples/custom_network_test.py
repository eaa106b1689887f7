"""The example's network computes its formula, and all its layers adapt."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec

from examples import custom_network
import maml_tf
from maml_tf.environments import point_navigation

_ROOT = pathlib.Path(__file__).parent.parent.parent
_LINE = r'iteration \d+: return (-?\d+\.\d\d) -> (-?\d+\.\d\d)\n'


@pytest.fixture
def specs():
  environment = point_navigation.PointNavigation(1, 1)
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  return time_step_spec, tensor_spec.from_spec(environment.action_spec())


def test_it_runs_in_any_folder_and_prints_nothing_else(tmp_path):
  done = subprocess.run(
    [
      sys.executable,
      _ROOT / 'examples' / 'custom_network.py',
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
  expected = f'13 variables are meta-learned\n{_LINE}'
  assert re.fullmatch(expected, done.stdout), done.stdout
  assert not done.stderr


@pytest.mark.parametrize('outer_shape', [(5,), (2, 3)])
def test_the_network_is_residual_and_normalised(specs, outer_shape):
  time_step_spec, action_spec = specs
  network = custom_network.ResidualNetwork(
    time_step_spec.observation, action_spec, units=4, num_blocks=1
  )
  network.create_variables()
  generator = np.random.default_rng(0)
  for variable in network.trainable_variables:
    variable.assign(generator.normal(size=variable.shape))
  # The variables of the input layer, the block and the Gaussian.
  w0, b0, gamma, beta, w1, b1, w_mean, b_mean, log_std = (
    v.numpy() for v in network.trainable_variables
  )
  observation = generator.normal(size=(*outer_shape, 2)).astype(np.float32)
  x = observation @ w0 + b0
  centred = x - x.mean(-1, keepdims=True)
  # Keras adds 1e-3 to the variance.
  normalised = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-3)
  x = x + np.maximum(normalised * gamma + beta, 0) @ w1 + b1
  mean = x @ w_mean + b_mean
  distribution, _ = network(observation)
  np.testing.assert_allclose(
    distribution.mean(), 0.1 * mean, rtol=1e-4, atol=1e-6
  )
  np.testing.assert_allclose(
    distribution.stddev(),
    np.broadcast_to(0.1 * np.exp(log_std), mean.shape),
    rtol=1e-5,
  )


def test_every_variable_of_the_network_is_adapted(specs):
  tf.keras.utils.set_random_seed(0)
  agent = maml_tf.MamlAgent(
    *specs, custom_network.ResidualNetwork(specs[0].observation, specs[1])
  )
  collector = maml_tf.MetaCollector(
    point_navigation.PointNavigation(2, 3, horizon=5),
    agent.collect_policy,
    agent.adapt,
    num_adaptation_steps=1,
    seed=0,
  )
  before, after = collector.collect(0).policy_states
  assert len(before) == 13
  for old, new in zip(before, after):
    assert (old != new).numpy().any(axis=tuple(range(1, len(old.shape)))).all()


@pytest.mark.slow
def test_it_learns(capsys):
  custom_network.main([])
  *_, (before, after) = re.findall(_LINE, capsys.readouterr().out)
  assert float(after) > float(before) + 5
