"""A trust region with a value network moves the policy as without one."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.core import meta_batch
from maml_tf.core import parameters
from maml_tf.learning import actor_networks
from maml_tf.learning import baselines
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_objectives
from maml_tf.learning import meta_updates
from maml_tf.learning import policy_parameters
from maml_tf.learning import step_sizes
from maml_tf.learning import trust_region
from maml_tf.learning import value_networks
from tests.learning import function_problem
from tests.learning import recorded_batches
from tests.learning import small_agent

# Of the actor: kernel and bias of a layer, kernel and bias of the mean, the
# deviation.
NUM_OF_POLICY = 5


def _networks(share_layers=False):
  actor = actor_networks.create_actor_network(
    small_agent.OBSERVATION_SPEC, small_agent.ACTION_SPEC, (5,)
  )
  return actor, value_networks.create_value_network(
    small_agent.OBSERVATION_SPEC, actor, (3,), share_layers
  )


# ---- Which parameters are the policy's.


@pytest.mark.parametrize(
  'share_layers, num_of_value',
  # Two layers of their own; a head on the layer of the actor.
  [(False, 4), (True, 2)],
)
def test_parameters_of_the_value_network_alone(share_layers, num_of_value):
  network = parameters.ParameterizedNetwork(*_networks(share_layers))
  loop = inner_loop_lib.InnerLoop()
  loop.build(network.variables_tuple)
  flags = policy_parameters.is_of_policy(network, loop)
  assert flags.parameters == (True,) * NUM_OF_POLICY + (False,) * num_of_value
  assert not flags.step_sizes


@pytest.mark.parametrize(
  'sizes', [step_sizes.ParameterStepSizes, step_sizes.LayerStepSizes]
)
def test_step_sizes_of_the_value_network_alone(sizes):
  network = parameters.ParameterizedNetwork(*_networks())
  # The deviation, the actor's last variable, and the value network adapt.
  adapting = network.variables_tuple[NUM_OF_POLICY - 1 :]
  loop = inner_loop_lib.InnerLoop(
    step_size=sizes(), adapts=lambda v: any(v is a for a in adapting)
  )
  loop.build(network.variables_tuple)
  flags = policy_parameters.is_of_policy(network, loop)
  assert flags.step_sizes == (True,) + (False,) * 4


def test_without_a_value_network_all_are_the_policys():
  network = parameters.ParameterizedNetwork(_networks()[0])
  loop = inner_loop_lib.InnerLoop()
  loop.build(network.variables_tuple)
  assert all(policy_parameters.is_of_policy(network, loop).parameters)


# ---- One step, by hand.


def _problem():
  """A policy's mean m, whose KL is 3/2 m^2 and loss 4 m, and a value v."""
  two = tf.constant(2.0, tf.float64)

  def value_loss(v):
    return 1e3 * (v - 3) ** 2

  def objective_gradient(theta):
    return {}, (tf.constant(4.0, tf.float64), 0 * two), tf.ones([1])

  return function_problem.FunctionProblem(
    objective_gradient=objective_gradient,
    gradient=lambda theta: (
      {},
      (tf.constant(4.0, tf.float64), 1e3 * two * (theta[1] - 3)),
      tf.ones([1]),
    ),
    objective_and_kl=lambda theta: (4 * theta[0], 1.5 * theta[0] ** 2),
    loss_and_kl=lambda theta: (
      4 * theta[0] + value_loss(theta[1]),
      1.5 * theta[0] ** 2,
    ),
    kl_hvp=lambda theta, vector: (3 * vector[0], tf.zeros_like(vector[1])),
  )


@pytest.mark.parametrize('compiled', [False, True])
def test_the_value_parameters_are_outside(compiled):
  # m: H = 3, g = 4, x = 4 / (3 + 1), beta = sqrt(2 * 0.08 / (1 * 4 * 1)) = 0.2,
  # as without a value. v: two steps of 1e-4 on 1000 (v - 3)^2, from 0:
  # 0.6, 0.6 + 0.2 * 2.4 = 1.08.
  theta = tuple(tf.Variable(0.0, dtype=tf.float64) for _ in range(2))
  update = trust_region.TrustRegionUpdate(
    max_kl=0.08,
    damping=1.0,
    value_update=meta_updates.GradientUpdate(
      tf.keras.optimizers.SGD(1e-4), num_steps=2
    ),
  )
  update.restrict_to_policy((True, False))
  update.build(theta)
  step = tf.function(update) if compiled else update
  info = step(theta, _problem())
  np.testing.assert_allclose([v.numpy() for v in theta], [-0.2, 1.08])
  np.testing.assert_allclose(info.learning_rate, 0.2)
  np.testing.assert_allclose(info.gradient_norm, 4)


def test_the_value_updates_variables_are_the_updates(tmp_path):
  theta = tuple(tf.Variable(0.0) for _ in range(2))
  update = trust_region.TrustRegionUpdate()
  update.restrict_to_policy((True, False))
  update.build(theta)
  # Adam's counter and two slots of one variable: they are undone if a
  # meta-batch is skipped, and saved.
  assert len(update.variables_tuple) == 3
  path = tf.train.Checkpoint(update=update).write(str(tmp_path / 'saved'))
  names = [name for name, _ in tf.train.list_variables(path)]
  assert len([name for name in names if '_value_update' in name]) >= 3


@pytest.mark.parametrize(
  'value_update', [3, 'adam', meta_updates.ReptileUpdate]
)
def test_other_value_updates_are_refused(value_update):
  with pytest.raises(ValueError, match='^value_update is .*: give a Gradient'):
    trust_region.TrustRegionUpdate(value_update=value_update)


# ---- The agent.


def _agent(with_values, share_layers=False):
  tf.keras.utils.set_random_seed(1)
  actor, value_network = _networks(share_layers)
  actor.create_variables()
  of_policy = {id(v) for v in actor.trainable_variables}
  arguments = {'baseline': baselines.NoBaseline()}
  if with_values:
    value_network.create_variables()
    head = value_network.trainable_variables[-2]
    # It predicts 0, and does not adapt: the advantages are the same as without.
    head.assign(tf.zeros_like(head))
    arguments = {'value_network': value_network}
  return small_agent.create_agent(
    network=actor,
    inner_loop=inner_loop_lib.InnerLoop(
      step_size=0.1, adapts=lambda v: id(v) in of_policy
    ),
    meta_update=trust_region.TrustRegionUpdate(
      num_conjugate_gradient_steps=2,
      damping=0.1,
      num_backtracks=2,
      backtrack_ratio=0.5,
    ),
    meta_objective_class=meta_objectives.PolicyGradientObjective,
    **arguments,
  )


def _batch(agent):
  state = agent.policy.get_initial_state(2)
  support = recorded_batches.record(agent, state, seed=0)
  query = recorded_batches.record(agent, agent.adapt(support, state), seed=1)
  return meta_batch.MetaBatch((support,), query)


def test_the_agent_gives_the_values_an_update_of_their_own():
  agent = _agent(with_values=True)
  # Adam's counter, and two slots of two kernels and two biases.
  num_slots = 1 + 2 * 4
  assert len(agent.meta_parameters) == NUM_OF_POLICY + 4
  others = len(agent.training_variables) - len(agent.meta_parameters)
  assert others == num_slots + len([agent.objective.kl_coefficients])
  without = _agent(with_values=False)
  assert len(without.training_variables) == NUM_OF_POLICY + 1


@pytest.mark.slow
def test_the_policy_moves_as_without_a_value_network():
  moved = []
  for with_values in (False, True):
    agent = _agent(with_values)
    if not moved:
      batch = _batch(agent)
    before = small_agent.values(agent)
    info = agent.train(batch)
    assert float(info.extra.learning_rate) > 0
    moved.append([b - a for a, b in zip(before, small_agent.values(agent))])
  without, with_value = moved
  assert len(with_value) == NUM_OF_POLICY + 4
  for a, b in zip(without, with_value[:NUM_OF_POLICY]):
    np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-6)
  # Adam's five steps of 1e-3.
  assert 1e-3 < np.abs(with_value[-1]).max() < 6e-3


@pytest.mark.slow
def test_shared_layers_are_inside():
  agent = _agent(with_values=True, share_layers=True)
  batch = _batch(agent)
  before = small_agent.values(agent)
  info = agent.train(batch)
  assert float(info.extra.learning_rate) > 0
  for a, b in zip(before, small_agent.values(agent), strict=True):
    assert np.abs(b - a).max() > 0
  assert float(agent.loss(batch).extra.kl) < 0.02
