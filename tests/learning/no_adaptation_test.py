"""Without adaptation steps (X = 0): plain policy gradients on the tasks."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from maml_tf.core import meta_batch
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import maml_agent
from maml_tf.learning import meta_learner
from maml_tf.learning import meta_objectives
from maml_tf.learning import meta_updates
from maml_tf.learning import step_sizes
from maml_tf.learning import trust_region
from maml_tf.serving import saved_model
from tests.learning import double_precision_network
from tests.learning import gradient_checks
from tests.learning import recorded_batches
from tests.learning import small_agent


@pytest.fixture(name='double_precision')
def use_double_precision():
  tf.keras.backend.set_floatx('float64')
  yield
  tf.keras.backend.set_floatx('float32')


def _double_precision_agent(meta_objective_class):
  """Returns an agent without adaptation steps, and its network."""
  tf.keras.utils.set_random_seed(1)
  observation_spec = tf.TensorSpec((2,), tf.float64)
  action_spec = tensor_spec.BoundedTensorSpec((2,), tf.float64, -1, 1)
  scalar = tf.TensorSpec((), tf.float64)
  network = double_precision_network.create_network(
    observation_spec, action_spec
  )
  agent = maml_agent.MamlAgent(
    ts.TimeStep(tf.TensorSpec((), tf.int32), scalar, scalar, observation_spec),
    action_spec,
    network,
    meta_update=small_agent.sgd(1.0),
    inner_loop=inner_loop_lib.InnerLoop(num_steps=0),
    meta_objective_class=meta_objective_class,
    train_step_counter=tf.Variable(0, dtype=tf.int64),
  )
  return agent, network


def _policy_gradient(network, stage):
  """The mean over tasks of -mean_t A_t grad log pi(a_t|s_t).

  Each task's gradient is a plain tape around the plain network.

  Args:
    network: The policy network, which collected the stage.
    stage: A prepared `Stage`, leaves [B, T, ...].
  """
  gradients = []
  for task in range(stage.mask.shape[0]):
    one = recorded_batches.one_task(stage, task)
    with tf.GradientTape() as tape:
      distribution, _ = network(
        one.observation, step_type=one.step_type, network_state=()
      )
      log_prob = distribution.log_prob(one.action)
      weighted = tf.where(one.mask > 0, one.advantage * log_prob, 0.0)
      loss = -tf.reduce_sum(weighted) / tf.reduce_sum(one.mask)
    gradients.append(
      gradient_checks.flat(tape.gradient(loss, network.trainable_variables))
    )
  return np.mean(gradients, axis=0)


@pytest.mark.parametrize(
  'meta_objective_class',
  [
    meta_objectives.PolicyGradientObjective,
    # Without support stages there is no inner KL to weigh, and where the policy
    # is the one that collected, no ratio is clipped.
    functools.partial(
      meta_objectives.ProximalObjective, initial_kl_coefficient=5.0
    ),
    # Nor are there episodes before adaptation to credit.
    meta_objectives.ExplorationObjective,
  ],
  ids=['policy_gradient', 'proximal', 'exploration'],
)
def test_the_meta_gradient_is_the_policy_gradient_of_the_query(
  meta_objective_class, double_precision
):
  agent, network = _double_precision_agent(meta_objective_class)
  batch = recorded_batches.create(agent, distance=0.0)
  assert batch.support == ()
  stage = agent.meta_problem(batch).batch.query
  expected = _policy_gradient(network, stage)
  assert np.linalg.norm(expected) > 1e-2
  before = gradient_checks.flat(small_agent.values(agent))
  loss_info = agent.train(batch)
  after = gradient_checks.flat(small_agent.values(agent))
  assert gradient_checks.error(before - after, expected) <= 1e-10
  extra = loss_info.extra
  for name in ('inner_kl', 'kl_coefficient', 'inner_loss'):
    assert getattr(extra, name).shape == (0,)
  assert extra.is_taken.numpy() == 1


@pytest.mark.parametrize(
  'create_update',
  [
    small_agent.sgd,
    functools.partial(
      trust_region.TrustRegionUpdate,
      num_conjugate_gradient_steps=2,
      num_backtracks=2,
    ),
    meta_updates.ReptileUpdate,
  ],
  ids=['gradient', 'trust_region', 'reptile'],
)
def test_each_update_changes_the_policy_alone(create_update):
  agent = small_agent.create_agent(
    meta_update=create_update(),
    inner_loop=inner_loop_lib.InnerLoop(0, step_sizes.LayerStepSizes(0.1)),
  )
  before = small_agent.values(agent)
  agent.train(recorded_batches.create(agent, distance=0.0))
  after = small_agent.values(agent)
  num_parameters = len(agent.theta.parameters)
  assert any(
    np.any(a != b) for a, b in zip(before[:num_parameters], after, strict=False)
  )
  # No step is taken in training: their sizes have no gradient.
  for a, b in zip(before[num_parameters:], after[num_parameters:], strict=True):
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
  'jit_compile', [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_two_replicas_equal_one(jit_compile, two_replicas):
  results = []
  for strategy in (tf.distribute.get_strategy(), two_replicas):
    with strategy.scope():
      agent = small_agent.create_agent(
        num_adaptation_steps=0, jit_compile=jit_compile
      )
    batch = recorded_batches.create(agent)
    learner = meta_learner.MetaLearner(agent, strategy)
    learner.trace(batch)
    assert learner.skipped_loss_info().extra.inner_kl.shape == (0,)
    loss = learner.run(batch).loss.numpy()
    results.append((loss, gradient_checks.flat(small_agent.values(agent))))
  (loss, alone), (other_loss, together) = results
  np.testing.assert_allclose(loss, other_loss, rtol=1e-6)
  np.testing.assert_allclose(alone, together, rtol=1e-6)


@pytest.mark.parametrize(
  'step_size',
  [
    step_sizes.LayerStepSizes(0.1),
    pytest.param(0.1, marks=pytest.mark.slow),
    pytest.param(step_sizes.ParameterStepSizes(0.1), marks=pytest.mark.slow),
  ],
  ids=['layer', 'fixed', 'parameter'],
)
def test_it_adapts_after_training(step_size):
  agent, reference = (
    small_agent.create_agent(inner_loop=inner_loop_lib.InnerLoop(*arguments))
    for arguments in ((0, step_size), (1, 0.1))
  )
  state = agent.policy.get_initial_state(2)
  stage = recorded_batches.record(agent, state, seed=0)
  expected = reference.adapt(stage, state)
  for step in (0, 3, tf.constant([0, 2])):
    for ours, theirs in zip(
      agent.adapt(stage, state, step=step), expected, strict=True
    ):
      np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


def test_rows_of_stock_drivers_are_a_meta_batch_of_one_stage():
  agent = small_agent.create_agent(num_adaptation_steps=0)
  stage = recorded_batches.record(agent, agent.policy.get_initial_state(2), 0)
  batch = agent.meta_batch([stage], num_tasks=2)
  assert batch.support == ()
  assert np.isfinite(agent.train(batch).loss)
  with pytest.raises(ValueError, match='2 stages were given: give 1,'):
    agent.meta_batch([stage, stage], num_tasks=2)
  two_stages = meta_batch.MetaBatch((stage,), stage)
  with pytest.raises(ValueError, match='the agent takes 0 adaptation steps'):
    agent.train(two_stages)


def test_its_saved_model_adapts(tmp_path):
  agent = small_agent.create_agent(num_adaptation_steps=0)
  saved_model.save_adaptive(agent, str(tmp_path / 'model'))
  model = tf.saved_model.load(str(tmp_path / 'model'))
  state = agent.policy.get_initial_state(2)
  stage = recorded_batches.record(agent, state, seed=0)
  adapted = model.adapt(trajectory.Trajectory(*stage), state)
  for ours, theirs in zip(adapted, agent.adapt(stage, state), strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
