"""The exploration term of the meta-gradient, with one sampled support episode.

One episode tau is the support: phi(tau) = theta + a * mean_t A_t grad log pi_t.
The value of a policy before adaptation is
U(theta) = sum_tau p(tau) J(phi(tau)). Its derivative has two parts (E-MAML,
arXiv:1803.01118):

  J_post = sum_tau p(tau) dphi(tau)/dtheta^T grad J(phi(tau))
  J_pre = sum_tau p(tau) grad log p(tau) J(phi(tau))

The inner loop's own derivative is J_post; an exploration term is J_pre.
"""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import tabular_mdp
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_objectives
from maml_tf.learning import task_map
from tests.learning import enumerated_derivatives

STEP_SIZE = 1.5
MDP = tabular_mdp.three_states()
THETA = tabular_mdp.policy_table()
EPISODES = tabular_mdp.all_episodes(MDP)
PROBABILITY = tabular_mdp.probability(MDP, THETA, EPISODES)
SURROGATES = enumerated_derivatives.SURROGATES
# A task for each episode.
SUPPORT = tabular_mdp.stage(
  MDP, THETA, tabular_mdp.Episodes(*(x[:, np.newaxis] for x in EPISODES))
)


def _adapted(theta, step_size):
  """phi(tau) of every episode by formula, [E, S, A]; differentiable."""
  num_states, num_actions = THETA.shape
  policy = tf.nn.softmax(theta)
  states = np.eye(num_states)[EPISODES.states]
  # grad log pi(a|s) = 1_s (1_a - pi(s)).
  actions = np.eye(num_actions)[EPISODES.actions]
  directions = actions - tf.gather(policy, EPISODES.states)
  advantage = tabular_mdp.advantage(MDP, EPISODES)
  gradient = tf.einsum('et,ets,eta->esa', advantage, states, directions)
  return theta + step_size / MDP.horizon * gradient


def _return_before_adaptation(theta, step_size):
  """U(theta), differentiable."""
  frames = np.stack([EPISODES.states, EPISODES.actions], axis=-1)
  log_policy = tf.gather_nd(tf.nn.log_softmax(theta), frames)
  dynamics = tabular_mdp.dynamics_probability(MDP, EPISODES)
  probability = dynamics * tf.exp(tf.reduce_sum(log_policy, axis=-1))
  returns = tabular_mdp.expected_return(MDP, _adapted(theta, step_size))
  return tf.reduce_sum(probability * returns)


def _exact_gradient(step_size=STEP_SIZE):
  """Gradient of U, [P]."""
  theta = tf.constant(THETA)
  with tf.GradientTape() as tape:
    tape.watch(theta)
    value = _return_before_adaptation(theta, step_size)
  return tape.gradient(value, theta).numpy().ravel()


def _exploration_gradient(step_size=STEP_SIZE):
  """J_pre, [P]."""
  scores, _ = enumerated_derivatives.log_policy_derivatives(THETA)
  score = scores[EPISODES.states, EPISODES.actions].sum(axis=1)
  phi = _adapted(tf.constant(THETA), step_size)
  returns = tabular_mdp.expected_return(MDP, phi).numpy()
  return (PROBABILITY * returns) @ score


def _inner_loop(name, step_size):
  inner_loop = inner_loop_lib.InnerLoop(
    step_size=step_size, surrogate=SURROGATES[name].surrogate
  )
  inner_loop.build([tf.Variable(THETA)])
  return inner_loop


def _inner_loop_gradient(name, step_size=STEP_SIZE):
  """The package's meta-gradient, a task for each episode, and phi(tau)."""
  inner_loop = _inner_loop(name, step_size)

  def task_gradient(stage):
    theta = tf.constant(THETA)
    with tf.GradientTape() as tape:
      tape.watch(theta)
      adapted = inner_loop.run(
        inner_loop_lib.Theta((theta,)), [stage], tabular_mdp.evaluate
      )
      value = tabular_mdp.expected_return(MDP, adapted.parameters[0])
    return adapted.parameters[0], tape.gradient(value, theta)

  phi, gradients = task_map.vmap_in_chunks(task_gradient, SUPPORT)
  return phi.numpy(), PROBABILITY @ gradients.numpy().reshape(len(phi), -1)


def _assert_equal(actual, expected, rtol=1e-9):
  """Relative to the largest number: single entries may be zero."""
  np.testing.assert_allclose(
    actual, expected, rtol=0, atol=rtol * np.abs(expected).max()
  )


def test_the_exact_gradient_by_differences():
  def value(theta):
    return _return_before_adaptation(tf.constant(theta), STEP_SIZE).numpy()

  differences = [
    (value(THETA + 1e-5 * unit) - value(THETA - 1e-5 * unit)) / 2e-5
    for unit in np.eye(THETA.size).reshape(-1, *THETA.shape)
  ]
  _assert_equal(differences, _exact_gradient(), rtol=1e-7)


@pytest.mark.parametrize('name', SURROGATES)
def test_the_inner_loop_gives_j_post_with_its_own_jacobian(name):
  phi, gradient = _inner_loop_gradient(name)
  expected_phi = _adapted(tf.constant(THETA), STEP_SIZE)
  _assert_equal(phi, expected_phi.numpy())
  # sum_tau p(tau) (I + a / H hessian(tau)) grad J(phi(tau)).
  after = tabular_mdp.return_gradient(MDP, expected_phi).numpy()
  after = after.reshape(len(after), -1)
  terms = enumerated_derivatives.episode_hessian_terms(MDP, THETA)
  curvature = STEP_SIZE / MDP.horizon * SURROGATES[name].hessian(terms)
  expected = after + np.einsum('eij,ej->ei', curvature, after)
  _assert_equal(gradient, PROBABILITY @ expected)


def test_log_likelihood_omits_the_exploration_term():
  # A sampled update theta + a * mean_t A_t grad log pi_t has the derivative of
  # log-likelihood: its Hessian is biased for infinitely many episodes, exact
  # for one that is taken as it is.
  _, gradient = _inner_loop_gradient('log_likelihood')
  exact, exploration = _exact_gradient(), _exploration_gradient()
  _assert_equal(gradient + exploration, exact)
  # The term is not small.
  assert np.linalg.norm(exploration) > 0.2 * np.linalg.norm(exact)


def _as_collected(evaluated):
  """The stage with its own policy as the behaviour, so that the KL is 0."""
  return evaluated._replace(behaviour=evaluated.distribution)


def test_the_exploration_objective_makes_log_likelihood_exact():
  inner_loop = _inner_loop('log_likelihood', STEP_SIZE)
  # One support episode: a coefficient of 1.
  objective = meta_objectives.ExplorationObjective(1, 1.0)

  def task_gradient(stages):
    support, query = stages
    theta = tf.constant(THETA)
    with tf.GradientTape() as tape:
      tape.watch(theta)
      adapted = inner_loop.run(
        inner_loop_lib.Theta((theta,)), [support], tabular_mdp.evaluate
      )
      after = tabular_mdp.evaluate(adapted.parameters, query)
      loss, _ = objective(
        tf.zeros([1], tf.float64),
        tuple(map(_as_collected, adapted.evaluated)),
        _as_collected(after),
        query.episode_return,
      )
    return tape.gradient(loss, theta)

  # Each query is enumerated under its phi(tau), whose return is exact.
  phi = _adapted(tf.constant(THETA), STEP_SIZE)
  query = tabular_mdp.stage(
    MDP,
    phi,
    tabular_mdp.Episodes(*(np.tile(x, [len(x), 1, 1]) for x in EPISODES)),
    tabular_mdp.probability(MDP, phi, EPISODES),
  )._replace(episode_return=tabular_mdp.expected_return(MDP, phi))
  gradients = task_map.vmap_in_chunks(
    task_gradient, (SUPPORT, query), 54
  ).numpy()
  # The loss is minus a mean over frames.
  gradient = -MDP.horizon * PROBABILITY @ gradients.reshape(len(phi), -1)
  _assert_equal(gradient, _exact_gradient())


@pytest.mark.parametrize(
  'name, explores, order',
  [
    ('log_likelihood', False, 1),
    ('likelihood_ratio', False, 1),
    ('dice', False, 2),
    ('dice', True, 1),
  ],
)
def test_dice_explores_to_first_order(name, explores, order):
  # To first order in the step size J_pre is a / H (H1 + H12 + H12^T) grad J.
  # These are the terms that dice's Hessian has and log-likelihood's lacks. With
  # dice, an exploration term counts them twice.
  def error(step_size):
    _, gradient = _inner_loop_gradient(name, step_size)
    if explores:
      gradient = gradient + _exploration_gradient(step_size)
    return np.linalg.norm(gradient - _exact_gradient(step_size))

  np.testing.assert_allclose(error(2e-3) / error(1e-3), 2**order, rtol=0.01)
