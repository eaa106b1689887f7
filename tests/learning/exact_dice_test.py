"""The exact mode of DiCE through the agent, on an MDP that is enumerated.

The probabilities of policy and transitions are quarters and halves. So some 500
episodes, of equal weight, are the exact distribution, and the agent's own means
over them are expectations. J and its derivatives come from the probabilities of
episodes. Everything is float64.
"""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from maml_tf.core import meta_batch
from maml_tf.learning import baselines
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import maml_agent
from maml_tf.learning import meta_objectives
from maml_tf.learning import surrogates
from tests.learning import small_agent
from tests.learning import softmax_table_network

HORIZON = 3
DISCOUNT = 0.9
STEP_SIZE = 0.7
# Rows are states, columns are actions.
POLICY = np.array([[0.25, 0.75], [0.5, 0.5]])
REWARD = np.array([[1.0, -0.5], [2.0, 0.3]])
# Taking action 1 in state 1 ends the episode; else the next state is a coin.
TERMINATES = np.array([[False, False], [False, True]])
THETA = np.log(POLICY)

# Any function of state and time may be subtracted, also one that is fitted.
BASELINE = baselines.LinearFeatureBaseline(zero_at_end=True)


@pytest.fixture(autouse=True)
def double_precision():
  tf.keras.backend.set_floatx('float64')
  yield
  tf.keras.backend.set_floatx('float32')


def _all_episodes():
  """Lists of (state, action) pairs, and the probability of their states."""

  def continued(state, pairs, probability):
    for action in range(2):
      episode = [*pairs, (state, action)]
      if TERMINATES[state, action] or len(episode) == HORIZON:
        yield episode, probability
      else:
        for next_state in range(2):
          yield from continued(next_state, episode, probability / 2)

  return list(
    itertools.chain(*(continued(state, [], 0.5) for state in range(2)))
  )


EPISODES = _all_episodes()


def _expected_return(theta):
  """J(theta): the sum over episodes of probability times discounted return."""
  log_policy = tf.nn.log_softmax(theta)
  total = 0.0
  for episode, probability in EPISODES:
    log_probs = [log_policy[pair] for pair in episode]
    rewards = [DISCOUNT**t * REWARD[pair] for t, pair in enumerate(episode)]
    total += probability * tf.exp(tf.add_n(log_probs)) * sum(rewards)
  return total


def _gradient_and_hessian():
  """Of J at THETA, [4] and [4, 4]."""
  theta = tf.constant(THETA)
  with tf.GradientTape() as outer:
    outer.watch(theta)
    with tf.GradientTape() as inner:
      inner.watch(theta)
      value = _expected_return(theta)
    gradient = inner.gradient(value, theta)
  hessian = outer.jacobian(gradient, theta)
  return gradient.numpy().ravel(), hessian.numpy().reshape(4, 4)


GRADIENT, HESSIAN = _gradient_and_hessian()


def _agent(table, num_steps, exact=True):
  """An agent whose steps, inner and outer, move it by the gradient."""
  observation_spec = tf.TensorSpec([2], tf.float64)
  scalar = tf.TensorSpec((), tf.float64)
  return maml_agent.MamlAgent(
    ts.TimeStep(tf.TensorSpec((), tf.int32), scalar, scalar, observation_spec),
    tensor_spec.BoundedTensorSpec((), tf.int32, 0, 1),
    softmax_table_network.SoftmaxTableNetwork(observation_spec, table),
    inner_loop=inner_loop_lib.InnerLoop(
      num_steps,
      STEP_SIZE,
      functools.partial(surrogates.dice, exact=exact),
    ),
    meta_objective_class=functools.partial(
      meta_objectives.PolicyGradientObjective, exact=exact
    ),
    meta_update=small_agent.sgd(1.0),
    baseline=BASELINE,
    discount=DISCOUNT,
    train_step_counter=tf.Variable(0, dtype=tf.int64),
  )


def _enumeration():
  """One task's frames [1, T]: each episode as often as it is probable."""
  frames = []
  for episode, probability in EPISODES:
    weight = probability * np.prod([POLICY[pair] for pair in episode])
    # Two starts, four or two halves of a transition, four quarters an action.
    copies = weight * 2 * 2 ** (HORIZON - 1) * 4**HORIZON
    assert copies == round(copies)
    frames += int(copies) * _frames_of(episode)
  step_type, next_step_type, state, action, reward, discount = map(
    np.array, zip(*frames)
  )
  return trajectory.Trajectory(
    step_type=tf.constant(step_type[np.newaxis], tf.int32),
    observation=tf.one_hot(state[np.newaxis], 2, dtype=tf.float64),
    action=tf.constant(action[np.newaxis], tf.int32),
    policy_info=({'logits': tf.constant(THETA[state][np.newaxis])},),
    next_step_type=tf.constant(next_step_type[np.newaxis], tf.int32),
    reward=tf.constant(reward[np.newaxis]),
    discount=tf.constant(discount[np.newaxis]),
  )


def _frames_of(episode):
  """An episode's transitions and its boundary."""
  frames = [
    (
      ts.StepType.FIRST if t == 0 else ts.StepType.MID,
      ts.StepType.MID if t < len(episode) - 1 else ts.StepType.LAST,
      *pair,
      REWARD[pair],
      1.0 - TERMINATES[pair],
    )
    for t, pair in enumerate(episode)
  ]
  boundary = (ts.StepType.LAST, ts.StepType.FIRST, 0, 0, 99.0, 1.0)
  return [*frames, boundary]


def _step_of_training(agent, batch):
  """What `train` adds to the table, [4]."""
  (before,) = small_agent.values(agent)
  agent.train(batch)
  (after,) = small_agent.values(agent)
  return (after - before).ravel()


def test_the_outer_gradient_is_that_of_the_expected_return():
  batch = meta_batch.MetaBatch((), _enumeration())
  agent = _agent(THETA, 0)
  np.testing.assert_allclose(
    _step_of_training(agent, batch), GRADIENT, rtol=1e-9
  )


def test_a_step_of_adaptation_ascends_the_expected_return():
  agent = _agent(THETA, 1)
  (phi,) = agent.adapt(_enumeration(), agent.policy.get_initial_state(1))
  np.testing.assert_allclose(
    phi.numpy().ravel(), THETA.ravel() + STEP_SIZE * GRADIENT, rtol=1e-10
  )


def _meta_gradient(exact):
  """The meta-gradient on a query, the query's gradient at phi, and phi, [4]."""
  support = _enumeration()
  agent = _agent(THETA, 1, exact)
  (phi,) = agent.adapt(support, agent.policy.get_initial_state(1))
  # Any query serves: the adaptation's derivative multiplies its gradient.
  query = support._replace(reward=support.reward * support.observation[..., 0])
  at_phi = _step_of_training(
    _agent(phi[0].numpy(), 0, exact), meta_batch.MetaBatch((), query)
  )
  batch = meta_batch.MetaBatch((support,), query)
  return _step_of_training(agent, batch), at_phi, phi.numpy().ravel()


def test_the_derivative_of_adaptation_is_exact():
  step, at_phi, _ = _meta_gradient(exact=True)
  # phi = theta + a J'(theta), so d phi / d theta = 1 + a J''.
  np.testing.assert_allclose(
    step, at_phi + STEP_SIZE * HESSIAN @ at_phi, rtol=1e-9
  )
  # The second derivative matters.
  assert np.abs(step - at_phi).max() > 0.1 * np.abs(at_phi).max()


@pytest.mark.slow
def test_the_default_is_not_exact():
  step, at_phi, phi = _meta_gradient(exact=False)
  # It adapts by about c J'. Then its derivative should have c J''.
  c = np.linalg.norm(phi - THETA.ravel()) / np.linalg.norm(GRADIENT)
  second_order = c * HESSIAN @ at_phi
  error = np.linalg.norm(step - at_phi - second_order)
  assert error > 0.01 * np.linalg.norm(second_order)
