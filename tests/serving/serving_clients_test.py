"""Clients of several kinds, each a process, agree with the agent."""

import os
import pathlib
import re
import subprocess
import sys

import gin
import numpy as np
import pytest
import tensorflow as tf

import maml_tf
from maml_tf import serving
from maml_tf.collection import meta_collector
from maml_tf.environments import locomotion
from maml_tf.learning import maml_agent
from maml_tf.run import config as run_config
from maml_tf.run import experiment
from tests import configs
from tests.serving import cheetah_client
from tests.serving import recorded_stages
from tests.serving import serving_client

ROOT = pathlib.Path(maml_tf.__file__).parents[1]
SMALL = (
  'import maml_tf.learning.value_networks',
  'GradientUpdate.num_steps = 1',
  'create_actor_network.fc_layer_params = (8,)',
  'create_value_network.fc_layer_params = (8,)',
  'train_eval.num_tasks = 2',
  'train_eval.horizon = 5',
)


def _agent(*files, bindings=SMALL):
  """A config's agent and an environment of 2 tasks with 3 episodes each."""
  gin.clear_config()
  run_config.parse(files, bindings)
  settings = gin.get_bindings('train_eval')
  tf.keras.utils.set_random_seed(1)
  environment = settings['environment_class'](2, 3, settings['horizon'])
  agent = experiment.create_agent(
    settings.get('agent_class', maml_agent.MamlAgent),
    experiment.actor_networks.create_actor_network,
    settings.get('value_network_fn'),
    environment,
  )
  rng = np.random.default_rng(0)
  for variable in agent.meta_parameters:
    variable.assign_add(0.1 * rng.normal(size=variable.shape))
  return agent, environment


def _run(*command, **kwargs):
  process = subprocess.run(
    [str(part) for part in command], capture_output=True, text=True, **kwargs
  )
  assert process.returncode == 0, process.stderr
  return process.stdout


def _assert_client_agrees(python, agent, environment, tmp_path):
  collected = meta_collector.MetaCollector(
    environment,
    agent.collect_policy,
    agent.adapt,
    agent.num_adaptation_steps,
    seed=0,
  ).collect(1)
  serving.save_adaptive(agent, str(tmp_path / 'model'))
  recorded, out = tmp_path / 'recorded.npz', tmp_path / 'out.npz'
  recorded_stages.record(recorded, collected)
  _run(
    python,
    serving_client.__file__,
    tmp_path / 'model',
    recorded,
    out,
    env={'TF_CPP_MIN_LOG_LEVEL': '3', 'PATH': ''},
  )
  answer = np.load(out)
  for number, expected in enumerate(collected.policy_states[-1]):
    np.testing.assert_allclose(
      answer[f'state_{number}'], expected, rtol=1e-6, atol=1e-6
    )
  # The first frame of the query is the adapted policy's first observation.
  np.testing.assert_allclose(
    answer['policy_info_0_loc'],
    collected.meta_batch.query.policy_info[0]['loc'][:, 0],
    rtol=1e-6,
    atol=1e-6,
  )


@pytest.mark.slow
@pytest.mark.parametrize('name', configs.ALGORITHMS)
def test_every_algorithm_adapts_as_in_its_run(name, tmp_path):
  agent, environment = _agent('point.gin', name)
  _assert_client_agrees(sys.executable, agent, environment, tmp_path)


@pytest.mark.slow
def test_a_new_environment_with_tensorflow_alone(tmp_path):
  _run(sys.executable, '-m', 'venv', tmp_path / 'venv')
  python = tmp_path / 'venv' / 'bin' / 'python'
  _run(
    python,
    *('-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'),
    f'tensorflow=={tf.__version__}',
  )
  installed = _run(python, '-m', 'pip', 'list', '--format=freeze')
  assert not re.search('(?i)tf.agents|probability|maml|gin-config', installed)
  agent, environment = _agent('cheetah.gin', 'rllib_maml.gin')
  _assert_client_agrees(python, agent, environment, tmp_path)


def test_saved_model_cli_shows_and_runs(tmp_path):
  agent, _ = _agent('point.gin')
  directory = str(tmp_path / 'model')
  serving.save_adaptive(agent, directory)
  tool = pathlib.Path(sys.executable).parent / 'saved_model_cli'
  arguments = ['--dir', directory, '--tag_set', 'serve']
  environment = os.environ | {'TF_CPP_MIN_LOG_LEVEL': '3'}
  shown = _run(tool, 'show', *arguments, env=environment)
  names = re.findall('SignatureDef key: "(.*)"', shown)
  assert set(names) == {
    '__saved_model_init_op',
    'act_adapted',
    'adapt',
    'initial_state',
    'serving_default',
  }
  arguments += ['--signature_def', 'serving_default']
  arguments += ['--input_exprs', 'observation=[[0.1, -0.2]]']
  printed = _run(tool, 'run', *arguments, env=environment)
  mean = re.search(r'output key deterministic_action:\n\[\[(.*)\]\]', printed)[
    1
  ]
  time_step = tf.nest.map_structure(
    lambda spec: tf.zeros([1, *spec.shape], spec.dtype),
    agent.policy.time_step_spec,
  )
  expected = agent.policy.distribution(
    time_step._replace(observation=tf.constant([[0.1, -0.2]])),
    agent.policy.get_initial_state(1),
  ).action.mode()
  np.testing.assert_allclose(
    [float(part) for part in mean.split()], expected[0], rtol=1e-5
  )


@pytest.mark.slow
def test_a_client_controls_half_cheetah_as_the_run_does(tmp_path):
  agent, _ = _agent('cheetah.gin')
  horizon = 30
  environment = locomotion.HalfCheetahDirection(2, 3, horizon)
  collected = meta_collector.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 1, seed=5
  ).collect(0)
  serving.save_adaptive(agent, str(tmp_path / 'model'))
  _run(
    *(sys.executable, cheetah_client.__file__, tmp_path / 'model'),
    *(2, 3, horizon, 5, tmp_path / 'returns.npy'),
    env=os.environ | {'PYTHONPATH': str(ROOT), 'TF_CPP_MIN_LOG_LEVEL': '3'},
  )
  before, after = np.load(tmp_path / 'returns.npy')
  np.testing.assert_allclose(before, collected.returns[0], rtol=1e-3)
  # Adaptation rounds differently, and contacts amplify the last bit.
  difference = np.abs(after - collected.returns[1])
  assert np.median(difference) < 0.01
  assert np.max(difference) < 0.5
  assert np.std(after) > 5
