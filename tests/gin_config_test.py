"""Every shipped config builds and runs one tiny iteration."""

import csv

import gin
import numpy as np
import pytest

from maml_tf.learning import actor_networks
from maml_tf.learning import maml_agent
from maml_tf.learning import trust_region  # noqa: F401  For gin.
from maml_tf.learning import value_networks  # noqa: F401  For gin.
from maml_tf.run import config as run_config
from maml_tf.run import experiment
from tests import configs

# Settings that cost time are small; the rest is the config's own.
SMALL = (
  'train_eval.num_iterations = 1',
  'train_eval.num_tasks = 2',
  'train_eval.episodes_per_task = 2',
  'train_eval.horizon = 5',
  'train_eval.export_saved_model = False',
  'GradientUpdate.num_steps = 1',
  'TrustRegionUpdate.num_conjugate_gradient_steps = 2',
  'TrustRegionUpdate.num_backtracks = 2',
  'create_actor_network.fc_layer_params = (8,)',
  'create_value_network.fc_layer_params = (8,)',
)


def test_shipped_configs():
  names = (*configs.EXPERIMENTS, *configs.META_WORLD, *configs.ALGORITHMS)
  assert {*names, *configs.REFERENCES} == set(run_config.shipped_configs())


@pytest.mark.parametrize('name', configs.ALGORITHMS)
def test_builds_its_agent(name):
  run_config.parse(['point.gin', name], SMALL)
  settings = gin.get_bindings('train_eval')
  agent = experiment.create_agent(
    maml_agent.MamlAgent,
    actor_networks.create_actor_network,
    settings.get('value_network_fn'),
    settings['environment_class'](2, 2, 5),
  )
  assert agent.meta_parameters


@pytest.mark.parametrize('name', configs.VARIANTS)
def test_makes_its_environment(name):
  run_config.parse([name], SMALL)
  environment_class = gin.get_bindings('train_eval')['environment_class']
  environment = environment_class(2, 2, 5)
  first = environment.reset()
  assert np.isfinite(first.observation).all()
  environment.close()


@pytest.mark.parametrize('name', configs.EXPERIMENTS)
def test_learning_rates_have_fallen_at_the_end(name):
  run_config.parse([name], [])
  decay_steps = gin.get_bindings('PolynomialDecay').get('decay_steps')
  if decay_steps is None:
    return  # The rate is constant.
  num_iterations = gin.get_bindings('train_eval')['num_iterations']
  num_steps = gin.get_bindings('GradientUpdate')['num_steps']
  assert decay_steps <= num_iterations * num_steps
  assert decay_steps >= 0.5 * num_iterations * num_steps


# These cover an algorithm of each kind: proximal, trust region, value network.
_QUICK = (
  *(name for name in configs.EXPERIMENTS if name not in configs.VARIANTS),
  'maml_trpo.gin',
  'rllib_maml.gin',
  'ml1.gin',
)


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(name, marks=[] if name in _QUICK else [pytest.mark.slow])
    for name in run_config.shipped_configs()
  ],
)
def test_runs_one_iteration(name, tmp_path):
  if name in configs.META_WORLD:
    pytest.importorskip('metaworld')
  # An algorithm needs an experiment.
  is_experiment = name in (*configs.EXPERIMENTS, *configs.META_WORLD)
  run_config.parse([name] if is_experiment else ['point.gin', name], SMALL)
  returns = experiment.train_eval(str(tmp_path))
  assert returns.shape[1:] == (2, 2)
  assert np.all(np.isfinite(returns))
  with open(tmp_path / 'metrics.csv', encoding='utf-8') as file:
    (row,) = csv.DictReader(file)
  # Two places may have drawn the same of the listed tasks.
  assert all(
    np.isfinite(float(value))
    for name, value in row.items()
    if not name.startswith('return_task_')
  )
  # Two tasks, two episodes a stage, 5 steps at most.
  assert 0 < int(row['env_steps']) <= len(returns) * 2 * 2 * 5
