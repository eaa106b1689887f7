"""Every part of the agent with networks and actions other than the default."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.sac import tanh_normal_projection_network
from tf_agents.networks import actor_distribution_network
from tf_agents.networks import normal_projection_network
from tf_agents.networks import value_network
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from maml_tf import serving
from maml_tf.core import meta_batch
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_objectives
from maml_tf.learning import step_sizes
from maml_tf.learning import surrogates
from maml_tf.learning import trust_region
from maml_tf.learning import value_networks
from tests.learning import recorded_batches
from tests.learning import small_agent

IMAGE_SPEC = {
  'image': tf.TensorSpec((4, 4, 1), tf.float32),
  'vector': small_agent.OBSERVATION_SPEC,
}
DISCRETE_SPEC = tensor_spec.BoundedTensorSpec((), tf.int32, 0, 2)


def _image_layers():
  return {
    'preprocessing_layers': {
      'image': tf.keras.Sequential(
        [tf.keras.layers.Conv2D(2, 3), tf.keras.layers.Flatten()]
      ),
      'vector': tf.keras.layers.Dense(8),
    },
    'preprocessing_combiner': tf.keras.layers.Add(),
    'fc_layer_params': (4,),
    'activation_fn': tf.keras.activations.tanh,
  }


def _convolutional():
  """Two parts of an observation, one of them an image."""
  actor = actor_distribution_network.ActorDistributionNetwork(
    IMAGE_SPEC, small_agent.ACTION_SPEC, **_image_layers()
  )
  value = value_network.ValueNetwork(IMAGE_SPEC, **_image_layers())
  return IMAGE_SPEC, small_agent.ACTION_SPEC, actor, value


def _discrete():
  """A Categorical of three actions."""
  spec = small_agent.OBSERVATION_SPEC
  actor = actor_distribution_network.ActorDistributionNetwork(
    spec,
    DISCRETE_SPEC,
    fc_layer_params=(4,),
    activation_fn=tf.keras.activations.tanh,
  )
  value = value_networks.create_value_network(spec, actor, (4,))
  return spec, DISCRETE_SPEC, actor, value


def _deviation_of_the_state():
  """A diagonal Gaussian whose deviation depends on the observation."""
  spec = small_agent.OBSERVATION_SPEC
  actor = actor_distribution_network.ActorDistributionNetwork(
    spec,
    small_agent.ACTION_SPEC,
    fc_layer_params=(4,),
    activation_fn=tf.keras.activations.tanh,
    continuous_projection_net=functools.partial(
      normal_projection_network.NormalProjectionNetwork,
      state_dependent_std=True,
      std_transform=tf.exp,
    ),
  )
  value = value_networks.create_value_network(spec, actor, share_layers=True)
  return spec, small_agent.ACTION_SPEC, actor, value


def _squashed():
  """The tanh-Gaussian of SAC, within the bounds of the actions."""
  spec = small_agent.OBSERVATION_SPEC
  actor = actor_distribution_network.ActorDistributionNetwork(
    spec,
    small_agent.ACTION_SPEC,
    fc_layer_params=(4,),
    activation_fn=tf.keras.activations.tanh,
    continuous_projection_net=(
      tanh_normal_projection_network.TanhNormalProjectionNetwork
    ),
  )
  value = value_networks.create_value_network(spec, actor, (4,))
  return spec, small_agent.ACTION_SPEC, actor, value


NETWORKS = {
  'convolutional': _convolutional,
  'discrete': _discrete,
  'deviation of the state': _deviation_of_the_state,
  'squashed': _squashed,
}
INNER_LOOPS = {
  'learned step sizes': lambda: inner_loop_lib.InnerLoop(
    2, step_sizes.LayerStepSizes()
  ),
  'DiCE': lambda: inner_loop_lib.InnerLoop(
    surrogate=surrogates.dice, entropy_coefficient=0.1
  ),
}


def _create_agent(network, values=False, **kwargs):
  tf.keras.utils.set_random_seed(1)
  observation_spec, action_spec, actor, value = NETWORKS[network]()
  return small_agent.create_agent(
    observation_spec,
    action_spec,
    actor,
    value_network=value if values else None,
    **kwargs,
  )


def _check_mean(actual, per_task):
  """Asserts that the vectorised mean equals the mean of the tasks' results."""
  for value, *parts in zip(
    tf.nest.flatten(actual), *map(tf.nest.flatten, per_task), strict=True
  ):
    expected = np.mean(parts, axis=0)
    np.testing.assert_allclose(value, expected, rtol=2e-3, atol=2e-5)


def _tasks(agent, batch):
  """The prepared batch, and that of each task."""
  prepared = small_agent.prepared(agent, batch)
  tasks = [recorded_batches.one_task(prepared, task) for task in (0, 1)]
  return prepared, tasks


@pytest.mark.parametrize(
  ('network', 'inner_loop'),
  [
    # DiCE does not ask what the network is made of.
    pytest.param(
      network,
      inner_loop,
      marks=[pytest.mark.slow]
      if (inner_loop == 'DiCE' and network not in ('discrete', 'squashed'))
      or (inner_loop == 'values' and network == 'convolutional')
      # The entropy bonus is in the inner loop with DiCE.
      or (inner_loop != 'DiCE' and network == 'squashed')
      else [],
    )
    for network in NETWORKS
    for inner_loop in (*INNER_LOOPS, 'values')
  ],
)
def test_the_meta_gradient_is_the_mean_of_the_tasks(network, inner_loop):
  values = inner_loop == 'values'
  agent = _create_agent(
    network,
    values,
    inner_loop=None if values else INNER_LOOPS[inner_loop](),
  )
  theta = small_agent.theta(agent)
  prepared, tasks = _tasks(agent, recorded_batches.create(agent))
  coefficients = tf.fill([agent.num_adaptation_steps], 0.5)
  (_, gradient), _ = agent.functions.means.meta_gradient(
    (theta, coefficients), prepared
  )
  per_task = [
    agent.functions.task.meta_gradient(theta, coefficients, task)[1]
    for task in tasks
  ]
  _check_mean(gradient, per_task)
  assert all(np.abs(part).max() > 0 for part in tf.nest.flatten(gradient))


@pytest.mark.parametrize(
  'network',
  [
    pytest.param('convolutional', marks=pytest.mark.slow),
    'discrete',
    pytest.param('deviation of the state', marks=pytest.mark.slow),
    pytest.param('squashed', marks=pytest.mark.slow),
  ],
)
def test_the_trust_region(network):
  agent = _create_agent(
    network,
    meta_update=trust_region.TrustRegionUpdate(
      max_kl=0.01, num_conjugate_gradient_steps=5, damping=0.1
    ),
    meta_objective_class=meta_objectives.PolicyGradientObjective,
  )
  # If the adapted policy has collected the query, the initial KL is 0.
  state = agent.policy.get_initial_state(2)
  support = recorded_batches.record(agent, state, seed=0)
  query = recorded_batches.record(agent, agent.adapt(support, state), seed=1)
  batch = meta_batch.MetaBatch((support,), query)
  theta = small_agent.theta(agent)
  prepared, tasks = _tasks(agent, batch)
  rng = np.random.default_rng(0)
  vector = tf.nest.map_structure(
    lambda v: tf.constant(rng.normal(size=v.shape), tf.float32), theta
  )
  product, _ = agent.functions.means.kl_hvp((theta, vector), prepared)
  _check_mean(
    product,
    [agent.functions.task.kl_hvp(theta, vector, task) for task in tasks],
  )
  before = agent.loss(batch).loss
  agent.train(batch)
  after = agent.loss(batch)
  assert after.loss < before
  assert 0 < after.extra.kl <= 0.01


@pytest.mark.parametrize(
  'network',
  [
    pytest.param('discrete', marks=pytest.mark.slow),
    pytest.param('deviation of the state', marks=pytest.mark.slow),
    pytest.param('squashed', marks=pytest.mark.slow),
  ],
)
def test_compiled_equals_the_graph(network):
  agents = [
    _create_agent(network, True, jit_compile=jit_compile)
    for jit_compile in (False, True)
  ]
  batch = recorded_batches.create(agents[0])
  before = small_agent.values(agents[0])
  for agent in agents:
    agent.train(batch)
  graph, compiled = map(small_agent.values, agents)
  for old, a, b in zip(before, graph, compiled, strict=True):
    assert np.abs(old - a).max() > 0
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_squashed_policy_is_exported(tmp_path):
  agent = _create_agent('squashed')
  batch = recorded_batches.create(agent)
  assert agent.train(batch).extra.is_taken == 1
  serving.save_adaptive(agent, str(tmp_path))
  signatures = tf.saved_model.load(str(tmp_path)).signatures
  state = agent.adapt(batch.support[0], agent.policy.get_initial_state(2))
  observation = batch.query.observation[:, 0]
  step = signatures['act_adapted'](
    observation=observation,
    **signatures['initial_state'](batch_size=tf.constant(2))
    | {f'state_{i}': p for i, p in enumerate(state)},
  )
  expected = agent.policy.distribution(
    ts.restart(observation, 2), state
  ).action.mode()
  np.testing.assert_allclose(
    step['deterministic_action'], expected, rtol=1e-4, atol=1e-5
  )
  assert (np.abs(step['action']) <= 1).all()
