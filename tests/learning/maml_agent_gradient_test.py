"""The meta-gradient against finite differences and exact expectations.

All tests use float64. Other parameters have recorded the frames. Episodes
differ in length, and boundaries hold zeros, which are not a distribution.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.networks import actor_distribution_network
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from maml_tf.core import meta_batch
from maml_tf.learning import baselines
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import maml_agent
from maml_tf.learning import meta_objectives
from tests.learning import double_precision_network
from tests.learning import gradient_checks
from tests.learning import linear_gaussian_network
from tests.learning import recorded_batches
from tests.learning import small_agent

STEP_SIZE = 0.3
CLIP_RATIO = 0.3
KL_COEFFICIENT = 0.75  # The coefficients are float32: a number it holds.
ENTROPY_COEFFICIENT = 0.1
TOLERANCE = 1e-6


@pytest.fixture(autouse=True)
def double_precision():
  tf.keras.backend.set_floatx('float64')
  yield
  tf.keras.backend.set_floatx('float32')


# One adaptation step of a linear policy, two of a network.
CASES = pytest.mark.parametrize(
  'create_network, num_adaptation_steps',
  [
    (linear_gaussian_network.LinearGaussianNetwork, 1),
    (double_precision_network.create_network, 2),
  ],
  ids=['linear', 'tanh'],
)


def _time_step_spec(observation_spec):
  scalar = tf.TensorSpec((), tf.float64)
  return ts.TimeStep(
    tf.TensorSpec((), tf.int32), scalar, scalar, observation_spec
  )


def _create_agent(
  create_network, num_adaptation_steps, inner_options=None, **kwargs
):
  """An agent all of whose specs are float64."""
  tf.keras.utils.set_random_seed(1)
  observation_spec = tf.TensorSpec((2,), tf.float64)
  action_spec = tensor_spec.BoundedTensorSpec((2,), tf.float64, -1, 1)
  return maml_agent.MamlAgent(
    _time_step_spec(observation_spec),
    action_spec,
    create_network(observation_spec, action_spec),
    # One step of size 1 moves the parameters by the gradient.
    meta_update=small_agent.sgd(1.0),
    inner_loop=inner_loop_lib.InnerLoop(
      num_adaptation_steps, STEP_SIZE, **(inner_options or {})
    ),
    meta_objective_class=functools.partial(
      meta_objectives.ProximalObjective,
      clip_ratio=CLIP_RATIO,
      initial_kl_coefficient=KL_COEFFICIENT,
      entropy_coefficient=ENTROPY_COEFFICIENT,
    ),
    train_step_counter=tf.Variable(0, dtype=tf.int64),
    **kwargs,
  )


def _task_gradients(agent, batch):
  """Computes losses and flat gradients of all tasks in a loop."""
  task_meta_gradient = tf.function(agent.functions.task.meta_gradient)
  theta = small_agent.theta(agent)
  coefficients = tf.fill([len(batch.support)], KL_COEFFICIENT)
  for index in range(batch.return_score.shape[0]):
    task_loss, gradient = task_meta_gradient(
      theta, coefficients, recorded_batches.one_task(batch, index)
    )
    yield task_loss, gradient_checks.flat(tf.nest.flatten(gradient))


def _task_differences(agent, batch):
  coefficients = tf.fill([len(batch.support)], KL_COEFFICIENT)

  @tf.function
  def loss(theta):
    return agent.functions.task.loss(theta, coefficients, batch).loss

  return gradient_checks.finite_differences(
    lambda values: loss(small_agent.tensors(agent, values)),
    small_agent.values(agent),
  )


@CASES
def test_task_gradient(create_network, num_adaptation_steps):
  agent = _create_agent(create_network, num_adaptation_steps)
  stages = small_agent.prepared(agent, recorded_batches.create(agent))
  theta = small_agent.values(agent)
  first_task = recorded_batches.one_task(stages, 0)
  expected = _task_differences(agent, first_task)
  (_, gradient), _ = _task_gradients(agent, stages)
  assert gradient_checks.error(gradient, expected) <= TOLERANCE
  assert np.abs(gradient).min() > 1e-4  # All parameters matter.

  # The first-order gradient is a different one, of the same loss.
  first_order = _create_agent(
    create_network, num_adaptation_steps, {'first_order': True}
  )
  (task_loss, gradient), _ = _task_gradients(first_order, stages)
  assert gradient_checks.error(gradient, expected) > 1e4 * TOLERANCE
  (expected_loss, _), _ = _task_gradients(agent, stages)
  np.testing.assert_allclose(task_loss.loss, expected_loss.loss, rtol=1e-12)
  np.testing.assert_array_equal(
    gradient_checks.flat(theta), gradient_checks.flat(small_agent.values(agent))
  )


@CASES
def test_gradient_that_training_follows(create_network, num_adaptation_steps):
  agent = _create_agent(create_network, num_adaptation_steps)
  batch = recorded_batches.create(agent)
  before = small_agent.values(agent)

  def loss(values):
    for variable, value in zip(agent.meta_parameters, values, strict=True):
      variable.assign(value)
    return agent.loss(batch).loss

  expected = gradient_checks.finite_differences(loss, before)
  loss(before)
  loss_info = agent.train(batch)
  gradient = gradient_checks.flat(before) - gradient_checks.flat(
    small_agent.values(agent)
  )
  assert gradient_checks.error(gradient, expected) <= TOLERANCE
  np.testing.assert_allclose(
    loss_info.extra.gradient_norm, np.linalg.norm(expected), rtol=1e-6
  )


@pytest.mark.parametrize('chunk_size', [None, 2])
def test_tasks_together_equal_a_loop(chunk_size):
  agent = _create_agent(
    double_precision_network.create_network, 1, task_chunk_size=chunk_size
  )
  lengths = ((4, 5), (2, 1, 4), (11,), (1, 1, 1, 1))
  batch = recorded_batches.create(agent, lengths=lengths)
  stages = small_agent.prepared(agent, batch)
  theta = small_agent.theta(agent)
  (mean, gradient), _ = agent.functions.means.meta_gradient(
    (theta, tf.constant([KL_COEFFICIENT])), stages
  )
  losses, expected = zip(*_task_gradients(agent, stages), strict=True)
  assert len(losses) == 4
  np.testing.assert_allclose(
    gradient_checks.flat(tf.nest.flatten(gradient)),
    np.mean(expected, axis=0),
    rtol=1e-9,
    atol=1e-12,
  )
  for mean_term, *terms in zip(
    tf.nest.flatten(mean), *map(tf.nest.flatten, losses), strict=True
  ):
    np.testing.assert_allclose(mean_term, np.mean(terms, axis=0), rtol=1e-9)


def _numpy_log_prob(parameters, observation, action):
  """Log-probabilities [T] under the linear Gaussian; z [T, A]; scale [A]."""
  kernel, bias, log_std = parameters
  scale = np.exp(log_std)
  z = (action - observation @ kernel - bias) / scale
  log_prob = np.sum(-0.5 * z**2 - log_std - 0.5 * np.log(2 * np.pi), axis=1)
  return log_prob, z, scale


def _numpy_kl(parameters, stage):
  """Mean KL(behaviour || linear Gaussian) over the valid frames."""
  kernel, bias, log_std = parameters
  loc, scale = stage['loc'], stage['scale']
  kl = (
    log_std
    - np.log(scale)
    + (scale**2 + (loc - stage['observation'] @ kernel - bias) ** 2)
    / (2 * np.exp(2 * log_std))
    - 0.5
  )
  return np.mean(np.sum(kl, axis=1))


def _numpy_loss(parameters, stages):
  """Adaptation and outer loss of one task, written out."""
  *support, query = stages
  total = 0.0
  for stage in support:
    total += KL_COEFFICIENT * _numpy_kl(parameters, stage)
    log_prob, z, scale = _numpy_log_prob(
      parameters, stage['observation'], stage['action']
    )
    weight = np.exp(log_prob - stage['log_prob']) * stage['advantage']
    weight = weight[:, np.newaxis] / len(weight)
    # d log pi / d mean = z / scale, d log pi / d log scale = z^2 - 1.
    slope = weight * z / scale
    gradient = (
      stage['observation'].T @ slope,
      slope.sum(axis=0),
      np.sum(weight * (z**2 - 1), axis=0),
    )
    parameters = [p + STEP_SIZE * g for p, g in zip(parameters, gradient)]
  log_prob, _, scale = _numpy_log_prob(
    parameters, query['observation'], query['action']
  )
  ratio = np.exp(log_prob - query['log_prob'])
  clipped = np.clip(ratio, 1 - CLIP_RATIO, 1 + CLIP_RATIO)
  surrogate = np.minimum(
    ratio * query['advantage'], clipped * query['advantage']
  )
  entropy = np.sum(np.log(scale) + 0.5 * np.log(2 * np.pi * np.e))
  return total - np.mean(surrogate) - ENTROPY_COEFFICIENT * entropy, ratio


def _numpy_stage(experience, stage, task):
  """The valid frames of one task; log-probabilities from the stored moments."""
  valid = stage.mask[task].numpy() > 0
  (info,) = experience.policy_info
  frames = {
    'observation': experience.observation,
    'action': experience.action,
    'loc': info['loc'],
    'scale': info['scale_diag'],
    'advantage': stage.advantage,
  }
  frames = {k: v[task].numpy()[valid] for k, v in frames.items()}
  z = (frames['action'] - frames['loc']) / frames['scale']
  frames['log_prob'] = np.sum(
    -0.5 * z**2 - np.log(frames['scale']) - 0.5 * np.log(2 * np.pi), axis=1
  )
  return frames


@pytest.mark.parametrize('num_adaptation_steps', [1, 2])
def test_loss_and_gradient_equal_those_written_out(num_adaptation_steps):
  agent = _create_agent(
    linear_gaussian_network.LinearGaussianNetwork, num_adaptation_steps
  )
  batch = recorded_batches.create(agent, distance=0.2)
  prepared = small_agent.prepared(agent, batch)
  clipped = 0
  for task, (task_loss, gradient) in enumerate(
    _task_gradients(agent, prepared)
  ):
    stages = [
      _numpy_stage(experience, stage, task)
      for experience, stage in zip(
        (*batch.support, batch.query),
        (*prepared.support, prepared.query),
        strict=True,
      )
    ]
    loss, ratio = _numpy_loss(small_agent.values(agent), stages)
    np.testing.assert_allclose(task_loss.loss, loss, rtol=1e-12)
    expected = gradient_checks.finite_differences(
      lambda values, stages=stages: _numpy_loss(values, stages)[0],
      small_agent.values(agent),
    )
    assert gradient_checks.error(gradient, expected) <= TOLERANCE
    clipped += np.mean(np.abs(ratio - 1) > CLIP_RATIO)
  assert 0 < clipped < 2  # Both branches of the clipping are met.


def test_exact_gradient_of_an_enumerated_bandit():
  """Two actions pay -1 and 1, and each is recorded once per context.

  A uniform policy recorded them. So the mean of ratio * reward is the exact
  expectation J = tanh(d / 2), where d is the difference of the two logits.
  """
  observation_spec = tf.TensorSpec((1,), tf.float64)
  action_spec = tensor_spec.BoundedTensorSpec((), tf.int32, 0, 1)
  agent = maml_agent.MamlAgent(
    _time_step_spec(observation_spec),
    action_spec,
    actor_distribution_network.ActorDistributionNetwork(
      observation_spec, action_spec, fc_layer_params=None
    ),
    meta_update=small_agent.sgd(1.0),
    inner_loop=inner_loop_lib.InnerLoop(step_size=2.0),
    meta_objective_class=functools.partial(
      meta_objectives.ProximalObjective,
      clip_ratio=1e6,
      initial_kl_coefficient=0.0,
      kl_target=None,
    ),
    baseline=baselines.NoBaseline(),
    train_step_counter=tf.Variable(0, dtype=tf.int64),
  )
  kernel, bias = agent.meta_parameters
  # Logits 0.3 and 0.3 + 0.8, in a context of 0 that gives the kernel no part.
  kernel.assign(tf.zeros_like(kernel))
  bias.assign([0.3, 1.1])
  stage = trajectory.Trajectory(
    step_type=tf.constant([[ts.StepType.FIRST, ts.StepType.FIRST]]),
    observation=tf.zeros([1, 2, 1], tf.float64),
    action=tf.constant([[0, 1]]),
    policy_info=({'logits': tf.zeros([1, 2, 2], tf.float64)},),
    next_step_type=tf.constant([[ts.StepType.LAST, ts.StepType.LAST]]),
    reward=tf.constant([[-1.0, 1.0]], tf.float64),
    discount=tf.zeros([1, 2], tf.float64),
  )
  loss_info = agent.train(meta_batch.MetaBatch((stage,), stage))

  def slope(d):  # dJ / d(bias of action 1), minus that of action 0.
    return 0.5 / np.cosh(d / 2) ** 2

  def curvature(d):  # Its derivative in d.
    return -0.5 * np.tanh(d / 2) / np.cosh(d / 2) ** 2

  d = 0.8
  # One step of 2 adds slope(d) * 2 to one bias, and takes it from the other.
  adapted = d + 2 * 2 * slope(d)
  np.testing.assert_allclose(
    loss_info.extra.policy_loss, -np.tanh(adapted / 2), rtol=1e-6
  )
  np.testing.assert_allclose(
    loss_info.extra.inner_loss, [-np.tanh(d / 2)], rtol=1e-6
  )
  gradient = slope(adapted) * (1 + 2 * 2 * curvature(d))
  # Without the second derivative the gradient would be over twice as large.
  assert abs(curvature(d)) * 4 > 0.5
  np.testing.assert_allclose(
    bias.numpy() - [0.3, 1.1], [-gradient, gradient], rtol=1e-6
  )
