"""The meta-gradient through every option of the inner loop, in float64.

It is compared with central differences in all meta-parameters, including
learned step sizes.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.networks import sequential
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from maml_tf.core import meta_batch
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import maml_agent
from maml_tf.learning import meta_objectives
from maml_tf.learning import step_sizes
from maml_tf.learning import surrogates
from maml_tf.learning import value_networks
from tests.learning import double_precision_network
from tests.learning import gradient_checks
from tests.learning import recorded_batches
from tests.learning import small_agent

OBSERVATION_SPEC = tf.TensorSpec((2,), tf.float64)
ACTION_SPEC = tensor_spec.BoundedTensorSpec((2,), tf.float64, -1, 1)
OBJECTIVES = {
  'proximal': functools.partial(
    meta_objectives.ProximalObjective, initial_kl_coefficient=0.75
  ),
  'policy gradient': meta_objectives.PolicyGradientObjective,
  'exploration': functools.partial(
    meta_objectives.ExplorationObjective, exploration_coefficient=0.5
  ),
}


@pytest.fixture(autouse=True)
def double_precision():
  tf.keras.backend.set_floatx('float64')
  yield
  tf.keras.backend.set_floatx('float32')


def _value_network(kind, actor_network):
  if kind is None:
    return None
  if kind == 'shared':
    return value_networks.SharedValueNetwork(OBSERVATION_SPEC, actor_network)
  return sequential.Sequential(
    [
      tf.keras.layers.Dense(3, tf.tanh),
      tf.keras.layers.Dense(1),
      tf.keras.layers.Reshape(()),
    ],
    OBSERVATION_SPEC,
  )


def _create_agent(inner_loop, values=None, objective='proximal', **kwargs):
  tf.keras.utils.set_random_seed(1)
  scalar = tf.TensorSpec((), tf.float64)
  network = double_precision_network.create_network(
    OBSERVATION_SPEC, ACTION_SPEC, fc_layer_params=(3,)
  )
  return maml_agent.MamlAgent(
    ts.TimeStep(tf.TensorSpec((), tf.int32), scalar, scalar, OBSERVATION_SPEC),
    ACTION_SPEC,
    network,
    _value_network(values, network),
    inner_loop=inner_loop,
    meta_objective_class=OBJECTIVES[objective],
    meta_update=small_agent.sgd(1.0),
    train_step_counter=tf.Variable(0, dtype=tf.int64),
    **kwargs,
  )


def _record(agent):
  """A meta-batch, recorded with parameters near the networks' own."""
  stages = []
  for stage in range(agent.num_adaptation_steps + 1):
    state = recorded_batches.near(agent, 2, [0, stage])
    stages.append(recorded_batches.record(agent, state, [0, stage, 1]))
  batch = meta_batch.MetaBatch(tuple(stages[:-1]), stages[-1])
  return recorded_batches.one_task(small_agent.prepared(agent, batch), 0)


def _gradients(agent):
  """One task's meta-gradient, and its central differences."""
  batch = _record(agent)
  coefficients = tf.identity(agent.objective.kl_coefficients)

  @tf.function
  def loss(theta):
    return agent.functions.task.loss(theta, coefficients, batch).loss

  @tf.function
  def gradient(theta):
    return agent.functions.task.meta_gradient(theta, coefficients, batch)[1]

  expected = gradient_checks.finite_differences(
    lambda moved: loss(small_agent.tensors(agent, moved)),
    small_agent.values(agent),
  )
  actual = tf.nest.flatten(gradient(small_agent.theta(agent)))
  return gradient_checks.flat(actual), expected


def _slow(*values):
  """A case for the slow tests: a quick one combines it with others."""
  return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
  'options',
  [
    {'max_gradient_norm': 0.05},
    _slow({'max_gradient_norm': 1e3}),
    {'entropy_coefficient': 0.3},
    _slow({'surrogate': surrogates.log_likelihood}),
    _slow({'adapts': inner_loop_lib.names_match('ProjectionNetwork')}),
    _slow({'adapts': inner_loop_lib.names_match('bias')}),
    _slow({'step_size': step_sizes.ParameterStepSizes(0.3)}),
    {'step_size': step_sizes.LayerStepSizes(0.3), 'num_steps': 2},
    {
      'step_size': step_sizes.ParameterStepSizes(0.3),
      'adapts': inner_loop_lib.names_match('bias'),
      'max_gradient_norm': 0.05,
      'num_steps': 2,
    },
  ],
  ids=' and '.join,
)
def test_options(options):
  options = {'step_size': 0.3, **options}
  gradient, expected = _gradients(
    _create_agent(inner_loop_lib.InnerLoop(**options))
  )
  assert gradient_checks.error(gradient, expected) <= 1e-6
  assert np.abs(gradient).min() > 1e-6


@pytest.mark.parametrize(
  ('values', 'num_steps'),
  [('own', 1), _slow('own', 2), _slow('shared', 1), ('shared', 2)],
)
def test_value_network(values, num_steps):
  inner_loop = inner_loop_lib.InnerLoop(num_steps, 0.05)
  gradient, expected = _gradients(_create_agent(inner_loop, values))
  assert gradient_checks.error(gradient, expected) <= 1e-6
  assert np.abs(gradient).min() > 1e-6


@pytest.mark.parametrize('objective', OBJECTIVES)
def test_objectives(objective):
  agent = _create_agent(inner_loop_lib.InnerLoop(2, 0.3), objective=objective)
  gradient, expected = _gradients(agent)
  assert gradient_checks.error(gradient, expected) <= 1e-6


def test_first_order_takes_the_inner_gradient_for_a_constant():
  agent = _create_agent(inner_loop_lib.InnerLoop(1, 0.3, first_order=True))
  batch, task = _record(agent), agent.functions.task
  theta = small_agent.theta(agent)
  zero = tf.zeros([1])
  _, gradient = task.meta_gradient(theta, zero, batch)
  phi = task.adapt(theta, batch.support).parameters
  # This is the gradient at phi, of a loss that does not contain the support.
  with tf.GradientTape() as tape:
    tape.watch(phi)
    query = task.evaluate(phi, batch.query)
    loss, _ = agent.objective(zero, (query,), query, batch.return_score)
  for a, b in zip(gradient.parameters, tape.gradient(loss, phi), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_kl_product_is_the_dense_hessian_times_the_vector():
  agent = _create_agent(inner_loop_lib.InnerLoop(1, 0.3))
  batch, task = _record(agent), agent.functions.task
  values = small_agent.values(agent)
  generator = np.random.default_rng(0)
  vector = [generator.normal(size=v.shape) for v in values]

  @tf.function
  def slope(theta):
    with tf.GradientTape() as tape:
      tape.watch(theta)
      phi = task.adapt(theta, batch.support).parameters
      kl = meta_objectives.mean_kl(task.evaluate(phi, batch.query))
    gradient = tf.nest.flatten(tape.gradient(kl, theta))
    return tf.add_n([tf.reduce_sum(g * v) for g, v in zip(gradient, vector)])

  # The Hessian is symmetric: row by row, the differences of <gradient, v>.
  expected = gradient_checks.finite_differences(
    lambda moved: slope(small_agent.tensors(agent, moved)), values
  )
  product = tf.nest.flatten(
    task.kl_hvp(
      small_agent.theta(agent), small_agent.tensors(agent, vector), batch
    )
  )
  assert gradient_checks.error(gradient_checks.flat(product), expected) < 1e-7


def test_shared_layers_are_one_set_of_parameters():
  alone, shared, own = (
    len(_create_agent(inner_loop_lib.InnerLoop(), values).meta_parameters)
    for values in (None, 'shared', 'own')
  )
  # The value's kernel and bias; those of its hidden layer too.
  assert (shared - alone, own - alone) == (2, 4)


def test_a_predicate_that_selects_nothing_is_an_error():
  inner_loop = inner_loop_lib.InnerLoop(
    adapts=inner_loop_lib.names_match('nothing')
  )
  with pytest.raises(ValueError, match='adapts selects none of .*kernel'):
    _create_agent(inner_loop)


def test_only_selected_variables_adapt():
  agent = _create_agent(
    inner_loop_lib.InnerLoop(
      step_size=0.3, adapts=inner_loop_lib.names_match('ProjectionNetwork')
    )
  )
  state = agent.collect_policy.get_initial_state(2)
  adapted = agent.adapt(recorded_batches.record(agent, state, seed=1), state)
  for variable, before, after in zip(agent.meta_parameters, state, adapted):
    changed = np.any(before != after)
    assert changed == ('ProjectionNetwork' in variable.name)


def test_step_size_of_a_call():
  agent = _create_agent(inner_loop_lib.InnerLoop(step_size=0.3))
  state = agent.collect_policy.get_initial_state(2)
  experience = recorded_batches.record(agent, state, seed=1)
  full = agent.adapt(experience, state)
  half = agent.adapt(experience, state, step_size=0.15)
  for start, a, b in zip(state, full, half):
    np.testing.assert_allclose(a - start, 2 * (b - start), atol=1e-12)
  for step_size in (0.0, -1.0, np.nan):
    with pytest.raises(ValueError, match='step_size'):
      agent.adapt(experience, state, step_size=step_size)


def test_learned_step_sizes_are_used_in_their_step():
  sizes = step_sizes.LayerStepSizes(0.3)
  agent = _create_agent(inner_loop_lib.InnerLoop(2, sizes))
  for variable in sizes.variables_tuple:
    np.testing.assert_allclose(np.exp(variable), [0.3, 0.3])
    variable.assign(np.log([0.3, 0.6]))
  state = agent.collect_policy.get_initial_state(2)
  experience = recorded_batches.record(agent, state, seed=1)
  first, second, third = (
    agent.adapt(experience, state, step) for step in range(3)
  )
  for start, a, b, c in zip(state, first, second, third):
    np.testing.assert_allclose(2 * (a - start), b - start, atol=1e-12)
    np.testing.assert_array_equal(b, c)


@pytest.mark.parametrize(
  'create', [step_sizes.ParameterStepSizes, step_sizes.LayerStepSizes]
)
@pytest.mark.parametrize('value', [0.0, -0.1, np.nan])
def test_bad_step_sizes(create, value):
  with pytest.raises(ValueError, match='initial_value'):
    create(value)


def test_value_loss_needs_a_value_network():
  with pytest.raises(ValueError, match='value_loss needs a value_network'):
    _create_agent(inner_loop_lib.InnerLoop(), value_loss=lambda *_: 0.0)
