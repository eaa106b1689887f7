"""The meta-gradient on an MDP whose episodes are all enumerated, to 1e-9.

Here the expectation of an estimator is an exact sum. J and its derivatives come
from dynamic programming, which does not use episodes.
"""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import tabular_mdp
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import surrogates
from tests.learning import enumerated_derivatives

STEP_SIZE = 2.0
THETA = tabular_mdp.policy_table()
SURROGATES = enumerated_derivatives.SURROGATES
# Any function of t and s is a valid baseline; rows are env steps.
BASELINE = np.array([[2.0, -1.0, 0.5], [1.5, 3.0, -0.5], [0.3, -2.0, 1.0]])

# The discount and the baseline of the advantages.
PROBLEMS = {
  'returns': (tabular_mdp.three_states(), 0.0),
  'constant baseline': (tabular_mdp.three_states(), 1.7),
  'discount and state baseline': (
    tabular_mdp.three_states(discount=0.7),
    BASELINE,
  ),
}

every_problem = pytest.mark.parametrize('problem', PROBLEMS)
every_surrogate = pytest.mark.parametrize('name', SURROGATES)
every_num_steps = pytest.mark.parametrize('num_steps', [1, 2, 3])


def _assert_equal(actual, expected, rtol=1e-9):
  """Relative to the largest number: single entries may be zero."""
  expected = np.asarray(expected)
  np.testing.assert_allclose(
    np.reshape(actual, expected.shape),
    expected,
    rtol=0,
    atol=rtol * np.abs(expected).max(),
  )


def _central_differences(function, theta, step=1e-5):
  """d function / d theta, [..., P]; good to some 1e-9."""
  columns = [
    (function(theta + step * unit) - function(theta - step * unit)) / (2 * step)
    for unit in np.eye(theta.size).reshape(-1, *theta.shape)
  ]
  return np.stack(columns, axis=-1)


def _exact_hessian(mdp, theta):
  """The Hessian of J by dynamic programming, [P, P]."""
  theta = tf.constant(theta)
  with tf.GradientTape() as tape:
    tape.watch(theta)
    gradient = tabular_mdp.return_gradient(mdp, theta)
  return tape.jacobian(gradient, theta).numpy().reshape(theta.numpy().size, -1)


def _log_prob(theta, stage):
  policy = tabular_mdp.evaluate((theta,), stage).distribution
  return policy.log_prob(stage.action)


def _derivatives(surrogate, stage, theta):
  """A surrogate's gradient [P] and Hessian [P, P]."""
  theta = tf.constant(theta)
  with tf.GradientTape(persistent=True) as outer:
    outer.watch(theta)
    with tf.GradientTape() as inner:
      inner.watch(theta)
      value = surrogate(_log_prob(theta, stage), stage)
    gradient = tf.unstack(tf.reshape(inner.gradient(value, theta), [-1]))
  rows = [tf.reshape(outer.gradient(g, theta), [-1]) for g in gradient]
  return np.array(gradient), np.array(rows)


def _inner_loop(surrogate, num_steps=1, first_order=False):
  inner_loop = inner_loop_lib.InnerLoop(
    num_steps=num_steps,
    step_size=STEP_SIZE,
    surrogate=surrogate,
    first_order=first_order,
  )
  inner_loop.build([tf.Variable(THETA)])
  return inner_loop


def _meta_gradient(inner_loop, support, outer_loss):
  """Adapts to one task with the package and differentiates through it."""
  theta = tf.constant(THETA)
  with tf.GradientTape() as tape:
    tape.watch(theta)
    adapted = inner_loop.run(
      inner_loop_lib.Theta((theta,)), support, tabular_mdp.evaluate
    )
    loss = outer_loss(adapted.parameters)
  return adapted.parameters[0], tape.gradient(loss, theta)


def _support_and_query(mdp, baseline, num_steps):
  """Stages, each enumerated under the parameters that collect it."""
  path = tabular_mdp.adapt_exactly(mdp, THETA, num_steps, STEP_SIZE)
  *support, query = [
    tabular_mdp.enumerated_stage(mdp, phi, baseline) for phi in path
  ]
  return path, support, query


def _query_surrogate(query, parameters):
  return surrogates.likelihood_ratio(_log_prob(parameters[0], query), query)


def _chain(mdp, path, hessians):
  """grad J(phi_X) through phi_{s+1} = phi_s + a / H grad J(phi_s), a step size.

  prod_s (I + a / H hessian_s) grad J(phi_X), the last step's factor first.
  """
  gradient = tabular_mdp.return_gradient(mdp, path[-1]).numpy().ravel()
  for hessian in reversed(hessians):
    gradient = gradient + STEP_SIZE / mdp.horizon * hessian @ gradient
  return gradient


def test_enumeration_and_dynamic_programming_agree():
  mdp = tabular_mdp.three_states(discount=0.7)
  episodes = tabular_mdp.all_episodes(mdp)
  probability = tabular_mdp.probability(mdp, THETA, episodes)
  assert probability.shape == (6**3,)
  np.testing.assert_allclose(probability.sum(), 1, rtol=1e-12)
  expected_return = tabular_mdp.expected_return(mdp, THETA)
  # The advantage of the first frame is the episode's return.
  returns = tabular_mdp.advantage(mdp, episodes)[:, 0]
  _assert_equal(probability @ returns, expected_return, rtol=1e-12)


@every_problem
def test_the_references_agree(problem):
  mdp, baseline = PROBLEMS[problem]
  gradient = tabular_mdp.return_gradient(mdp, tf.constant(THETA)).numpy()
  _assert_equal(
    enumerated_derivatives.policy_gradient(mdp, THETA, baseline),
    gradient.ravel(),
    rtol=1e-12,
  )
  hessian = _exact_hessian(mdp, THETA)
  terms = enumerated_derivatives.hessian_terms(mdp, THETA, baseline)
  _assert_equal(SURROGATES['dice'].hessian(terms), hessian, rtol=1e-12)
  differences = _central_differences(
    lambda theta: (
      tabular_mdp.return_gradient(mdp, tf.constant(theta)).numpy().ravel()
    ),
    THETA,
  )
  _assert_equal(differences, hessian, rtol=1e-7)
  # No part is so small that an error in it would be lost.
  for term in terms:
    assert np.abs(term).max() > 0.1 * np.abs(hessian).max()


@every_surrogate
@every_problem
def test_the_first_two_derivatives(problem, name):
  mdp, baseline = PROBLEMS[problem]
  for phi in tabular_mdp.adapt_exactly(mdp, THETA, 1, STEP_SIZE):
    stage = tabular_mdp.enumerated_stage(mdp, phi, baseline)
    gradient, hessian = _derivatives(SURROGATES[name].surrogate, stage, phi)
    exact = tabular_mdp.return_gradient(mdp, phi).numpy().ravel()
    _assert_equal(gradient * mdp.horizon, exact)
    hessian *= mdp.horizon
    terms = enumerated_derivatives.hessian_terms(mdp, phi, baseline)
    _assert_equal(hessian, SURROGATES[name].hessian(terms))
    # In other words: the missing part of the Hessian of J.
    cross = terms.h12 + terms.h12.T
    missing = {'dice': 0.0 * cross, 'log_likelihood': terms.h1 + cross}
    _assert_equal(hessian + missing.get(name, cross), _exact_hessian(mdp, phi))


@pytest.mark.parametrize('causal_discount', [0.0, 0.6])
def test_the_hessian_of_discounted_causes(causal_discount):
  mdp, baseline = PROBLEMS['discount and state baseline']
  stage = tabular_mdp.enumerated_stage(mdp, THETA, baseline)
  dice = functools.partial(surrogates.dice, causal_discount=causal_discount)
  gradient, hessian = _derivatives(dice, stage, THETA)
  # It does not change the gradient. At 0 no cross term is left.
  exact = tabular_mdp.return_gradient(mdp, tf.constant(THETA)).numpy().ravel()
  _assert_equal(gradient, exact / mdp.horizon)
  terms = enumerated_derivatives.hessian_terms(
    mdp, THETA, baseline, causal_discount
  )
  _assert_equal(hessian * mdp.horizon, SURROGATES['dice'].hessian(terms))
  if not causal_discount:
    _assert_equal(
      hessian * mdp.horizon, SURROGATES['likelihood_ratio'].hessian(terms)
    )


@every_surrogate
def test_boundaries_between_episodes_change_nothing(name):
  mdp, baseline = PROBLEMS['discount and state baseline']
  stage = tabular_mdp.enumerated_stage(mdp, THETA, baseline)

  def with_boundaries(values, boundary):
    """Puts a frame after every episode, [T, ...] -> [T + E, ...]."""
    episodes = tf.reshape(values, [-1, mdp.horizon, *values.shape[1:]])
    frames = tf.fill(
      [episodes.shape[0], 1, *episodes.shape[2:]],
      tf.cast(boundary, values.dtype),
    )
    joined = tf.concat([episodes, frames], axis=1)
    return tf.reshape(joined, [-1, *values.shape[1:]])

  longer = stage._replace(
    observation=with_boundaries(stage.observation, 0.3),
    step_type=with_boundaries(stage.step_type, 2),  # LAST.
    action=with_boundaries(stage.action, 1),
    behaviour_log_prob=with_boundaries(stage.behaviour_log_prob, -3.0),
    advantage=with_boundaries(stage.advantage, 99.0),
    mask=with_boundaries(stage.mask, 0.0),
  )
  for actual, expected in zip(
    _derivatives(SURROGATES[name].surrogate, longer, THETA),
    _derivatives(SURROGATES[name].surrogate, stage, THETA),
  ):
    _assert_equal(actual, expected, rtol=1e-12)


@every_num_steps
@every_problem
def test_dice_gives_the_exact_meta_gradient(problem, num_steps):
  mdp, baseline = PROBLEMS[problem]
  path, support, query = _support_and_query(mdp, baseline, num_steps)
  inner_loop = _inner_loop(surrogates.dice, num_steps)
  adapted, gradient = _meta_gradient(
    inner_loop, support, functools.partial(_query_surrogate, query)
  )
  _assert_equal(adapted, path[-1])

  def objective(theta):
    """J(phi_X(theta))."""
    phis = tabular_mdp.adapt_exactly(mdp, theta, num_steps, STEP_SIZE)
    return tabular_mdp.expected_return(mdp, phis[-1])

  theta = tf.constant(THETA)
  with tf.GradientTape() as tape:
    tape.watch(theta)
    value = objective(theta)
  exact = tape.gradient(value, theta)
  _assert_equal(gradient * mdp.horizon, exact)
  _assert_equal(
    gradient * mdp.horizon,
    _central_differences(lambda t: objective(t).numpy(), THETA),
    rtol=1e-7,
  )


@every_surrogate
@every_num_steps
@every_problem
def test_the_meta_gradient_has_the_surrogates_own_hessians(
  problem, num_steps, name
):
  mdp, baseline = PROBLEMS[problem]
  path, support, query = _support_and_query(mdp, baseline, num_steps)
  outer_loss = functools.partial(_query_surrogate, query)
  adapted, gradient = _meta_gradient(
    _inner_loop(SURROGATES[name].surrogate, num_steps), support, outer_loss
  )
  _assert_equal(adapted, path[-1])
  hessians = [
    SURROGATES[name].hessian(
      enumerated_derivatives.hessian_terms(mdp, phi, baseline)
    )
    for phi in path[:-1]
  ]
  _assert_equal(gradient * mdp.horizon, _chain(mdp, path, hessians))


@every_problem
def test_the_exact_meta_gradients_of_the_surrogates_differ(problem):
  # They differ by at least 3%, so that the tests tell them apart.
  mdp, baseline = PROBLEMS[problem]
  path = tabular_mdp.adapt_exactly(mdp, THETA, 1, STEP_SIZE)
  terms = enumerated_derivatives.hessian_terms(mdp, THETA, baseline)
  dice, ratio, log_likelihood, first_order = (
    _chain(mdp, path, [hessian])
    for hessian in (
      *(
        SURROGATES[name].hessian(terms)
        for name in ('dice', 'likelihood_ratio', 'log_likelihood')
      ),
      np.zeros_like(terms.h1),
    )
  )
  for one, other in itertools.combinations(
    [dice, ratio, log_likelihood, first_order], 2
  ):
    assert np.abs(one - other).max() > 0.03 * np.abs(dice).max()


@every_surrogate
@every_num_steps
def test_the_first_order_meta_gradient_has_no_hessian(num_steps, name):
  mdp, baseline = PROBLEMS['returns']
  path, support, query = _support_and_query(mdp, baseline, num_steps)
  inner_loop = _inner_loop(
    SURROGATES[name].surrogate, num_steps, first_order=True
  )
  adapted, gradient = _meta_gradient(
    inner_loop, support, functools.partial(_query_surrogate, query)
  )
  _assert_equal(adapted, path[-1])
  exact = tabular_mdp.return_gradient(mdp, path[-1])
  _assert_equal(gradient * mdp.horizon, exact)
