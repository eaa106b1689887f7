"""Every algorithm is the same on one replica and, compiled, on two."""

import gin
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf import run_config
from maml_tf.collection import meta_collector
from maml_tf.environments import point_navigation
from maml_tf.learning import actor_networks
from maml_tf.learning import maml_agent
from maml_tf.learning import meta_learner
from maml_tf.learning import value_networks
from tests import configs

NUM_TASKS, NUM_EPISODES, HORIZON = 4, 3, 5
SMALL = (
  'GradientUpdate.num_steps = 2',
  'create_actor_network.fc_layer_params = (8,)',
  'create_value_network.fc_layer_params = (8,)',
  'create_actor_network.initial_stddev = 0.5',
  # The Hessian of so few frames is all but singular: undamped, conjugate
  # gradients in float32 make 2% of the step out of rounding.
  'TrustRegionUpdate.damping = 1.0',
)


def _create_agent(environment, jit_compile):
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
    task_chunk_size=2,
    jit_compile=jit_compile,
    train_step_counter=tf.Variable(0, dtype=tf.int64),
  )


def _train(name, strategy, jit_compile, meta_batches=None):
  """Trains on what it collects beforehand, or on given meta-batches."""
  gin.clear_config()
  imports = ['import maml_tf.learning.trust_region']
  run_config.parse([name], [*imports, *SMALL])
  environment = point_navigation.PointNavigation(
    NUM_TASKS, NUM_EPISODES, HORIZON
  )
  with strategy.scope():
    agent = _create_agent(environment, jit_compile)
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


@pytest.mark.parametrize('name', configs.ALGORITHMS)
def test_one_replica_equals_two_compiled_ones(name, two_replicas):
  before, alone, losses, batches = _train(
    name, tf.distribute.get_strategy(), False
  )
  assert any(np.any(a != b) for a, b in zip(before, alone, strict=True))
  assert np.isfinite(losses).all()
  _, together, other_losses, _ = _train(name, two_replicas, True, batches)
  np.testing.assert_allclose(losses, other_losses, rtol=1e-3, atol=1e-4)
  for a, b in zip(alone, together, strict=True):
    # XLA rounds otherwise, and Adam divides by small numbers.
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
