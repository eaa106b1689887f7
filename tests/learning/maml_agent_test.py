"""The agent as its callers see it: it adapts, trains and checks its input.

maml_agent_gradient_test.py tests its gradient.
"""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.networks import actor_distribution_rnn_network
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from maml_tf.collection import meta_collector
from maml_tf.core import action_distributions
from maml_tf.core import meta_batch
from maml_tf.environments import point_navigation
from maml_tf.learning import actor_networks
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_objectives
from tests.learning import double_precision_network
from tests.learning import double_precision_points
from tests.learning import linear_gaussian_network
from tests.learning import recorded_batches
from tests.learning import small_agent


def _largest_difference(parameters, others):
  return max(
    np.abs(a - b).max() for a, b in zip(parameters, others, strict=True)
  )


def _to_float64(experience):
  return experience._replace(
    reward=tf.cast(experience.reward, tf.float64),
    discount=tf.cast(experience.discount, tf.float64),
  )


def _collect(dtype, normalize_observations):
  """An agent of two adaptation steps, and a collection of points."""
  environment_class = {
    tf.float32: point_navigation.PointNavigation,
    tf.float64: double_precision_points.DoublePrecisionPoints,
  }[dtype]
  environment = environment_class(
    num_tasks=3, environments_per_task=2, horizon=5
  )
  action_spec = tensor_spec.from_spec(environment.action_spec())
  create_network = {
    tf.float32: actor_networks.create_actor_network,
    tf.float64: double_precision_network.create_network,
  }[dtype]
  agent = small_agent.create_agent(
    action_spec=action_spec,
    network=create_network(
      small_agent.OBSERVATION_SPEC, action_spec, fc_layer_params=(8,)
    ),
    num_adaptation_steps=2,
    inner_step_size=0.3,
    normalize_observations=normalize_observations,
  )
  if normalize_observations:
    generator = np.random.default_rng(0)
    agent.normalizer.update(
      tf.constant(generator.normal(0.1, 0.3, (2, 50, 2)), dtype),
      tf.ones([2, 50]),
    )
  cast = _to_float64 if dtype == tf.float64 else lambda experience: experience
  collected = meta_collector.MetaCollector(
    environment,
    agent.collect_policy,
    lambda experience, *args: agent.adapt(cast(experience), *args),
    num_adaptation_steps=2,
    seed=0,
  ).collect(1)
  support, query, _ = collected.meta_batch
  batch = meta_batch.MetaBatch(tuple(map(cast, support)), cast(query))
  return agent, collected, batch


@pytest.fixture(name='floatx')
def _floatx():
  yield tf.keras.backend.set_floatx
  tf.keras.backend.set_floatx('float32')


@pytest.mark.parametrize('normalize_observations', [False, True])
@pytest.mark.parametrize(
  'dtype, tolerance', [(tf.float32, 1e-4), (tf.float64, 1e-10)]
)
def test_update_repeats_the_collectors_adaptation(
  floatx, dtype, tolerance, normalize_observations
):
  floatx(dtype.name)
  agent, collected, batch = _collect(dtype, normalize_observations)
  prepared = small_agent.prepared(agent, batch)
  moved = 0
  for task in range(3):
    support, query, _ = recorded_batches.one_task(prepared, task)
    adapted = agent.functions.task.adapt(small_agent.theta(agent), support)
    # The collector's own adapted parameters, task by task.
    np_state = [p[task].numpy() for p in collected.policy_states[2]]
    assert np_state[0].dtype == dtype.as_numpy_dtype
    assert _largest_difference(np_state, adapted.parameters) <= tolerance / 10
    moved = max(moved, _largest_difference(np_state, small_agent.values(agent)))
    # At the first optimizer step every stage's policy is its behaviour.
    last = agent.functions.task.evaluate(adapted.parameters, query)
    assert len(adapted.evaluated) == 2
    for evaluated in (*adapted.evaluated, last):
      stage = evaluated.stage
      log_prob = action_distributions.log_prob(
        evaluated.distribution, stage.action
      )
      ratio = np.exp(log_prob - stage.behaviour_log_prob)
      valid = stage.mask.numpy() > 0
      assert 2 <= valid.sum() <= 10
      np.testing.assert_allclose(ratio[valid], 1, rtol=0, atol=tolerance)
      assert stage.behaviour_log_prob.dtype == dtype
  assert moved > 0.01  # Adaptation did something.


def test_normalized_observations():
  agent, plain = (
    small_agent.create_agent(normalize_observations=normalize)
    for normalize in (True, False)
  )
  batch = recorded_batches.create(agent)
  # The first update sees observations normalised as in their collection.
  tf.nest.map_structure(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
    agent.train(batch),
    plain.train(batch),
  )
  stages = (*batch.support, batch.query)
  frames = np.concatenate(
    [s.observation[~s.is_boundary()].numpy() for s in stages]
  )
  expected = (batch.query.observation - frames.mean(0)) / frames.std(0)
  prepared = agent.prepare(batch.query)
  np.testing.assert_allclose(prepared.observation, expected, rtol=1e-3)
  # The policy sees what the losses see.
  time_step = ts.restart(batch.query.observation[0], batch_size=12)
  policy = agent.collect_policy
  state = policy.get_initial_state(1)
  distribution = policy.distribution(time_step, state).action
  np.testing.assert_allclose(
    distribution.mean(),
    agent.functions.task.evaluate(
      agent.theta.parameters, recorded_batches.one_task(prepared, 0)
    ).distribution.mean(),
    atol=1e-6,
  )


def test_adapt_is_one_step_for_every_task():
  agent = small_agent.create_agent(inner_step_size=0.5)
  state = recorded_batches.near(agent, 2, seed=0)
  experience = recorded_batches.record(agent, state, seed=1)
  adapted = agent.adapt(experience, state)
  stage = agent.prepare(experience)
  for step in (agent.adapt(stage, state), adapted):
    assert _largest_difference(step, adapted) == 0
  for task in range(2):
    stages = recorded_batches.one_task((stage,), task)
    theta = inner_loop_lib.Theta(tuple(p[task] for p in state))
    parameters = theta.parameters
    expected = agent.functions.task.adapt(theta, stages).parameters
    actual = [p[task].numpy() for p in adapted]
    assert _largest_difference(actual, expected) < 1e-5
    assert _largest_difference(actual, parameters) > 0.01


def test_adapted_policy_acts_with_one_tasks_parameters():
  agent = small_agent.create_agent()
  state = recorded_batches.near(agent, 2, seed=0, distance=1.0)
  observations = np.random.default_rng(0).normal(size=(3, 2))
  time_step = ts.restart(tf.constant(observations, tf.float32), batch_size=3)
  for task in range(2):
    policy = agent.adapted_policy(
      tuple(p[task] for p in state), deterministic=True
    )
    action = policy.action(time_step, policy.get_initial_state(1)).action
    distribution = agent.collect_policy.distribution(
      time_step, tuple(p[task : task + 1] for p in state)
    ).action
    np.testing.assert_allclose(action, distribution.mode(), rtol=1e-5)
  initial = agent.policy.get_initial_state(1)
  unadapted = agent.policy.distribution(time_step, initial).action.mode()
  assert np.abs(action - unadapted).min() > 0.01


def test_a_step_compiles_once_and_equals_the_graph():
  agents = [
    small_agent.create_agent(
      num_adaptation_steps=2,
      jit_compile=jit_compile,
      meta_update=small_agent.sgd(0.1, num_steps=2),
    )
    for jit_compile in (False, True)
  ]
  initial = small_agent.values(agents[0])
  for iteration in range(3):
    batch = recorded_batches.create(agents[0], seed=iteration)
    for agent in agents:
      agent.train(batch)
      means = agent.functions.means
      for function in (means.meta_gradient, means.inner_kl):
        assert function.experimental_get_tracing_count() == 1
  graph, compiled = map(small_agent.values, agents)
  assert _largest_difference(graph, compiled) < 1e-5
  assert _largest_difference(graph, initial) > 0.01


def test_report_of_a_train_step():
  agent = small_agent.create_agent(
    num_adaptation_steps=2,
    meta_update=small_agent.sgd(0.25, num_steps=3),
    meta_objective_class=functools.partial(
      meta_objectives.ProximalObjective,
      initial_kl_coefficient=0.5,
      entropy_coefficient=0.125,
    ),
  )
  batch = recorded_batches.create(agent)
  prepared = small_agent.prepared(agent, batch)
  before = agent.loss(batch)
  np.testing.assert_array_equal(agent.train_step_counter, 0)
  loss_info = agent.train(batch)
  extra = loss_info.extra
  np.testing.assert_array_equal(agent.train_step_counter, 1)
  np.testing.assert_allclose(extra.learning_rate, 0.25)
  np.testing.assert_array_equal(extra.kl_coefficient, [0.5, 0.5])
  np.testing.assert_allclose(
    extra.vf_loss, np.mean(prepared.query.baseline_error), rtol=1e-5
  )
  assert extra.inner_loss.shape == extra.inner_kl.shape == (2,)
  # The loss before any step, from its parts.
  np.testing.assert_allclose(
    before.loss,
    before.extra.policy_loss
    + 0.5 * np.sum(before.extra.inner_kl)
    - 0.125 * before.extra.entropy,
    rtol=1e-4,
  )
  # The loss of `train` is that of the last step, after two improvements.
  assert loss_info.loss < before.loss


def test_kl_is_measured_after_the_update_and_moves_its_coefficient():
  # On-policy with one optimizer step: before the update the KL is always 0.
  for learning_rate, expected in ((1e-4, 0.5), (3.0, 2.0)):
    agent = small_agent.create_agent(
      meta_update=small_agent.sgd(learning_rate),
      meta_objective_class=functools.partial(
        meta_objectives.ProximalObjective,
        initial_kl_coefficient=1.0,
        kl_target=0.01,
      ),
    )
    state = agent.collect_policy.get_initial_state(2)
    support = recorded_batches.record(agent, state, seed=1)
    query = recorded_batches.record(agent, agent.adapt(support, state), seed=2)
    batch = meta_batch.MetaBatch((support,), query)
    before = agent.loss(batch).extra
    np.testing.assert_allclose(before.inner_kl, [0], atol=1e-6)
    np.testing.assert_allclose(before.kl, 0, atol=1e-6)
    loss_info = agent.train(batch)
    (inner_kl,) = loss_info.extra.inner_kl.numpy()
    assert inner_kl > 0
    assert (inner_kl > 0.015) == (expected == 2.0)
    assert (inner_kl < 0.01 / 1.5) == (expected == 0.5)
    # The measured KL is the one at the new parameters.
    after = agent.loss(batch).extra
    np.testing.assert_allclose(after.inner_kl, [inner_kl], rtol=1e-3, atol=1e-7)
    np.testing.assert_array_equal(after.kl_coefficient, [expected])


def _garbage(experience):
  """Returns the same transitions with garbage on boundaries.

  The final observations stay: the values of truncated episodes need them.
  """
  boundary = experience.is_boundary()

  def put(value, tensor):
    condition = tf.reshape(
      boundary, [*boundary.shape, *[1] * (tensor.shape.rank - 2)]
    )
    return tf.where(condition, tf.cast(value, tensor.dtype), tensor)

  (info,) = experience.policy_info
  return experience._replace(
    action=put(3.0, experience.action),
    policy_info=(
      {
        'loc': put(np.nan, info['loc']),
        'scale_diag': put(0, info['scale_diag']),
      },
    ),
    reward=put(-1e9, experience.reward),
    discount=put(0.5, experience.discount),
  )


def test_contents_of_boundaries_do_not_matter():
  batch = recorded_batches.create(small_agent.create_agent())
  results = []
  for change in (lambda experience: experience, _garbage):
    agent = small_agent.create_agent()
    changed = meta_batch.MetaBatch(
      tuple(change(s) for s in batch.support), change(batch.query)
    )
    state = recorded_batches.near(agent, 2, seed=7)
    adapted = agent.adapt(changed.support[0], state)
    loss_info = agent.train(changed)
    results.append(
      tf.nest.flatten(
        (adapted, small_agent.values(agent), loss_info.loss, loss_info.extra)
      )
    )
  for clean, garbage in zip(*results, strict=True):
    assert np.isfinite(garbage).all()
    np.testing.assert_allclose(clean, garbage, rtol=1e-5, atol=1e-6)


def test_boundaries_where_the_policy_is_far_from_the_behaviour():
  """The policy at the end of an episode differs much from that at its start.

  Its mean is 2 - 4 x with a standard deviation of 0.1. In five clipped steps of
  0.1 it walks from x = 0 to 0.5, where the mean is 0. The buffer holds 0 as the
  boundary's action too. Under the first frame's distribution this action is 20
  standard deviations from the mean, and exp(20^2 / 2) overflows in float32.
  """
  environment = point_navigation.PointNavigation(
    num_tasks=1, environments_per_task=2, horizon=5
  )
  action_spec = tensor_spec.from_spec(environment.action_spec())
  agent = small_agent.create_agent(
    action_spec=action_spec,
    network=linear_gaussian_network.LinearGaussianNetwork(
      small_agent.OBSERVATION_SPEC, action_spec
    ),
  )
  kernel, bias, log_std = agent.meta_parameters
  kernel.assign([[-4, 0], [0, 0]])
  bias.assign([2, 0])
  log_std.assign([math.log(0.1)] * 2)
  collected = meta_collector.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 1, seed=0
  ).collect(1)
  for parameter in collected.policy_states[1]:
    assert np.isfinite(parameter).all()
  loss_info = agent.train(collected.meta_batch)
  assert np.isfinite(loss_info.loss)
  assert all(np.isfinite(value).all() for value in small_agent.values(agent))


@pytest.mark.parametrize('number', [1, 3])
def test_wrong_number_of_stages(number):
  agent = small_agent.create_agent(num_adaptation_steps=2)
  query = recorded_batches.create(agent).query
  batch = meta_batch.MetaBatch((query,) * number, query)
  for call in (agent.train, agent.loss):
    with pytest.raises(ValueError, match=rf'{number} support.* 2 adaptation'):
      call(batch)
  np.testing.assert_array_equal(agent.train_step_counter, 0)


def test_weights_are_refused_rather_than_ignored():
  agent = small_agent.create_agent(num_adaptation_steps=1)
  query = recorded_batches.create(agent).query
  batch = meta_batch.MetaBatch((query,), query)
  for call in (agent.train, agent.loss):
    with pytest.raises(ValueError, match='weights are not supported'):
      call(batch, weights=tf.ones([2]))
  np.testing.assert_array_equal(agent.train_step_counter, 0)


def test_recurrent_network_is_refused():
  network = actor_distribution_rnn_network.ActorDistributionRnnNetwork(
    small_agent.OBSERVATION_SPEC,
    small_agent.ACTION_SPEC,
    input_fc_layer_params=(4,),
    lstm_size=(4,),
    output_fc_layer_params=(4,),
  )
  with pytest.raises(ValueError, match='use one .*ActorDistributionNetwork'):
    small_agent.create_agent(network=network)


@pytest.mark.parametrize(
  'name, value',
  [
    ('discount', -0.1),
    ('discount', 1.1),
    ('discount', math.nan),
    ('gae_lambda', -0.1),
    ('gae_lambda', 1.1),
    ('gae_lambda', math.nan),
    ('task_chunk_size', 0),
    ('task_chunk_size', 2.0),
    ('task_chunk_size', 'most'),
    ('allow_tf32', None),
  ],
)
def test_bad_numbers(name, value):
  with pytest.raises(ValueError, match=name):
    small_agent.create_agent(network=object(), **{name: value})
