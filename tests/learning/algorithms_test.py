"""Every algorithm is the same in a graph, compiled, eager, on two replicas."""

import functools

import gin
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf.collection import meta_collector
from maml_tf.environments import point_navigation
from maml_tf.learning import actor_networks
from maml_tf.learning import maml_agent
from maml_tf.learning import meta_learner
from maml_tf.learning import value_networks
from maml_tf.run import config as run_config
from tests import configs

NUM_TASKS, NUM_EPISODES, HORIZON = 4, 3, 5
SMALL = (
  'GradientUpdate.num_steps = 2',
  'create_actor_network.fc_layer_params = (8,)',
  'create_value_network.fc_layer_params = (8,)',
  'create_actor_network.initial_stddev = 0.5',
  # The Hessian of so few frames is nearly singular: without damping, rounding
  # errors of float32 make up 2% of the step.
  'TrustRegionUpdate.damping = 1.0',
)

# The others take a minute more to compile.
NAMES = [
  name if name == 'meta_sgd.gin' else pytest.param(name, marks=pytest.mark.slow)
  for name in configs.ALGORITHMS
]


def _create_agent(environment, jit_compile=False, chunk_size=2):
  """The agent of the parsed config, always with the same parameters."""
  tf.keras.utils.set_random_seed(0)
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  action_spec = tensor_spec.from_spec(environment.action_spec())
  network = actor_networks.create_actor_network(
    time_step_spec.observation, action_spec
  )
  values = None
  if '@ValueLoss' in gin.config_str():
    values = value_networks.create_value_network(
      time_step_spec.observation, network
    )
  return maml_agent.MamlAgent(
    time_step_spec,
    action_spec,
    network,
    values,
    task_chunk_size=chunk_size,
    jit_compile=jit_compile,
    train_step_counter=tf.Variable(0, dtype=tf.int64),
  )


def _parse(name):
  """Parses a config; returns an environment for it."""
  gin.clear_config()
  imports = ['import maml_tf.learning.trust_region']
  # Three inner steps of size 1 on so few frames enlarge rounding errors: 1e-7
  # of the parameters becomes up to 1e-3 of the result.
  steps = ['InnerLoop.step_size = 0.1'] if name == 'reptile.gin' else []
  run_config.parse([name], [*imports, *SMALL, *steps])
  return point_navigation.PointNavigation(NUM_TASKS, NUM_EPISODES, HORIZON)


def _train(name, strategy, jit_compile, meta_batches=None, chunk_size=2):
  """Trains on meta-batches that it collects first, or on given ones."""
  environment = _parse(name)
  with strategy.scope():
    agent = _create_agent(environment, jit_compile, chunk_size)
  before = [v.numpy() for v in agent.meta_parameters]
  learner = meta_learner.MetaLearner(agent, strategy)
  if meta_batches is None:
    collector = meta_collector.MetaCollector(
      environment,
      agent.collect_policy,
      agent.adapt,
      agent.num_adaptation_steps,
      seed=0,
    )
    # The line search rejects data that another policy has collected.
    num_batches = 1 if name == 'maml_trpo.gin' else 3
    meta_batches = [collector.collect(i).meta_batch for i in range(num_batches)]
  losses = [learner.run(batch).loss.numpy() for batch in meta_batches]
  after = [v.numpy() for v in agent.meta_parameters]
  return before, after, losses, meta_batches


@functools.cache
def _train_alone(name):
  """Trains on one replica, uncompiled, once for all tests."""
  return _train(name, tf.distribute.get_strategy(), False)


@pytest.mark.slow
@pytest.mark.parametrize('name', configs.ALGORITHMS)
def test_one_replica_equals_two_compiled_ones(name, two_replicas):
  before, alone, losses, batches = _train_alone(name)
  assert any(np.any(a != b) for a, b in zip(before, alone, strict=True))
  assert np.isfinite(losses).all()
  _, together, other_losses, _ = _train(name, two_replicas, True, batches)
  np.testing.assert_allclose(losses, other_losses, rtol=1e-3, atol=1e-4)
  for a, b in zip(alone, together, strict=True):
    # XLA rounds differently, and Adam divides by small numbers.
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('name', configs.ALGORITHMS)
def test_the_whole_step_compiles_once(name):
  alone, losses, batches = _train_alone(name)[1:]
  agent = _create_agent(_parse(name))
  train = tf.function(agent.train, jit_compile=True)
  compiled_losses = [train(batch).loss.numpy() for batch in batches]
  for a, variable in zip(alone, agent.meta_parameters, strict=True):
    np.testing.assert_allclose(a, variable.numpy(), rtol=1e-3, atol=1e-4)
  train(batches[-1])
  assert train.experimental_get_tracing_count() == 1
  np.testing.assert_allclose(losses, compiled_losses, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('name', configs.ALGORITHMS)
def test_eager_equals_the_graph(name):
  strategy = tf.distribute.get_strategy()
  alone, losses, batches = _train_alone(name)[1:]
  tf.config.run_functions_eagerly(True)
  try:
    eager, eager_losses, _ = _train(name, strategy, False, batches)[1:]
  finally:
    tf.config.run_functions_eagerly(False)
  np.testing.assert_allclose(losses, eager_losses, rtol=1e-5, atol=1e-6)
  for a, b in zip(alone, eager, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('name', NAMES)
def test_chunks_of_tasks_change_nothing(name):
  strategy = tf.distribute.get_strategy()
  one, _, batches = _train(name, strategy, False, chunk_size=1)[1:]
  whole, _, _ = _train(name, strategy, False, batches, chunk_size=None)[1:]
  for a, b in zip(one, whole, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
