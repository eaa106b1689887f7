"""Optimizer steps by hand on functions with simple gradients."""

import math

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.learning import meta_updates
from tests.learning import function_problem

SGD = tf.keras.optimizers.SGD


def _problem(gradient=None, reptile_direction=None):
  return function_problem.FunctionProblem(
    gradient=gradient, reptile_direction=reptile_direction
  )


def _constant(*gradients):
  """A problem whose gradient is the same everywhere."""
  return _problem(
    lambda theta: ((), [tf.constant(g) for g in gradients], tf.ones([1]))
  )


def _quadratic():
  """f = x^2; returns the problem and the points of its evaluations."""
  points = []

  def gradient(theta):
    points.append(float(theta[0]))
    finite_tasks = tf.constant([1.0, len(points) != 2, 1.0])
    return {'loss': theta[0] ** 2}, [2 * theta[0]], finite_tasks

  return _problem(gradient), points


def test_each_step_takes_a_fresh_gradient():
  variable = tf.Variable(4.0)
  update = meta_updates.GradientUpdate(SGD(0.1), num_steps=3)
  update.build([variable])
  problem, points = _quadratic()
  info = update([variable], problem)
  # x - 0.1 * 2 x = 0.8 x each time.
  np.testing.assert_allclose(points, [4, 3.2, 2.56], rtol=1e-6)
  np.testing.assert_allclose(variable, 2.048, rtol=1e-6)
  # The report describes the state before the last step.
  np.testing.assert_allclose(info.metrics['loss'], 2.56**2, rtol=1e-6)
  np.testing.assert_allclose(info.gradient_norm, 2 * 2.56, rtol=1e-6)
  np.testing.assert_allclose(info.learning_rate, 0.1, rtol=1e-6)
  # A task counts as finite if it was so at every step.
  np.testing.assert_array_equal(info.finite_tasks, [1, 0, 1])


def test_the_default_is_five_steps():
  variable = tf.Variable(4.0)
  problem, points = _quadratic()
  meta_updates.GradientUpdate(SGD(0.1))([variable], problem)
  assert len(points) == 5


def test_the_optimizer_keeps_its_state_between_calls():
  variable = tf.Variable(0.0)
  update = meta_updates.GradientUpdate(SGD(1.0, momentum=0.5), num_steps=1)
  update.build([variable])
  for _ in range(3):
    update([variable], _constant(1.0))
  # Steps of 1, 1.5 and 1.75.
  np.testing.assert_allclose(variable, -4.25, rtol=1e-6)


@pytest.mark.parametrize(
  'max_norm, step',
  # The gradient (3, (0, 4)) has norm 5.
  [(1.0, 0.2), (5.0, 1.0), (7.0, 1.0), (None, 1.0)],
)
def test_clips_by_the_global_norm(max_norm, step):
  variables = [tf.Variable(10.0), tf.Variable([10.0, 10.0])]
  update = meta_updates.GradientUpdate(
    SGD(1.0), num_steps=1, max_gradient_norm=max_norm
  )
  info = update(variables, _constant(3.0, [0.0, 4.0]))
  np.testing.assert_allclose(variables[0], 10 - 3 * step, rtol=1e-6)
  np.testing.assert_allclose(variables[1], [10, 10 - 4 * step], rtol=1e-6)
  # Before clipping.
  np.testing.assert_allclose(info.gradient_norm, 5, rtol=1e-6)


def test_inside_a_function():
  variable = tf.Variable(4.0)
  update = meta_updates.GradientUpdate(SGD(0.1), num_steps=2)
  update.build([variable])
  problem = _problem(
    lambda theta: (theta[0] ** 2, [2 * theta[0]], tf.ones([1]))
  )
  run = tf.function(lambda: update([variable], problem))
  info = run()
  np.testing.assert_allclose(variable, 2.56, rtol=1e-6)
  np.testing.assert_allclose(info.metrics, 3.2**2, rtol=1e-6)


def test_a_schedule_of_learning_rates():
  variable = tf.Variable(0.0)
  schedule = tf.keras.optimizers.schedules.PiecewiseConstantDecay(
    [0, 1], [1.0, 0.1, 0.01]
  )
  update = meta_updates.GradientUpdate(SGD(schedule), num_steps=3)
  update.build([variable])
  update([variable], _constant(1.0))
  np.testing.assert_allclose(variable, -1.11, rtol=1e-6)


def test_reptile_moves_towards_the_adapted_parameters():
  variables = [tf.Variable(1.0), tf.Variable([2.0, 4.0])]
  update = meta_updates.ReptileUpdate(0.25)
  update.build(variables)

  def reptile_direction(theta):
    # phi = 3 theta.
    return {'loss': theta[0]}, tuple(2 * p for p in theta), tf.ones([1])

  info = update(variables, _problem(reptile_direction=reptile_direction))
  np.testing.assert_allclose(variables[0], 1.5)
  np.testing.assert_allclose(variables[1], [3, 6])
  np.testing.assert_allclose(info.metrics['loss'], 1)
  # (2, (4, 8))
  np.testing.assert_allclose(info.gradient_norm, 84**0.5, rtol=1e-6)
  np.testing.assert_allclose(info.learning_rate, 0.25)


@pytest.mark.parametrize('step_size', [0.0, -0.1, 1.5, math.nan, '1'])
def test_bad_step_size_of_reptile(step_size):
  with pytest.raises(ValueError, match='step_size'):
    meta_updates.ReptileUpdate(step_size)


@pytest.mark.parametrize('num_steps', [0, -1, 2.5, '3', None, True])
def test_bad_number_of_steps(num_steps):
  with pytest.raises(ValueError, match='num_steps'):
    meta_updates.GradientUpdate(SGD(0.1), num_steps=num_steps)


@pytest.mark.parametrize('rate', [0.0, -0.1, math.nan, math.inf])
def test_bad_learning_rate(rate):
  with pytest.raises(ValueError, match='learning_rate'):
    meta_updates.GradientUpdate(SGD(rate))


@pytest.mark.parametrize('norm', [0.0, -1.0, math.nan, math.inf, '1'])
def test_bad_maximal_norm(norm):
  with pytest.raises(ValueError, match='max_gradient_norm'):
    meta_updates.GradientUpdate(SGD(0.1), max_gradient_norm=norm)
