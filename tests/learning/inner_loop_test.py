"""Adaptation steps of a linear Gaussian policy by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from maml_tf.core import meta_batch
from maml_tf.learning import inner_loop as inner_loop_lib

STEP_SIZE = 0.1


def _evaluate(parameters, stage):
  """N(w o + b, 1); the third parameter has no effect."""
  weight, bias, _ = parameters
  return inner_loop_lib.EvaluatedStage(
    stage,
    tfp.distributions.Normal(stage.behaviour['loc'], 1.0),
    tfp.distributions.Normal(weight * stage.observation + bias, 1.0),
  )


def _stage(observation, action, advantage, mask, behaviour_mean, ratio=1.0):
  """A stage whose stored probabilities are those of N(mean, 1) / `ratio`."""
  behaviour = tfp.distributions.Normal(tf.constant(behaviour_mean), 1.0)
  action = tf.constant(action)
  return meta_batch.Stage(
    observation=tf.constant(observation),
    step_type=tf.ones(len(observation), tf.int32),
    action=action,
    behaviour={'loc': behaviour.loc},
    behaviour_log_prob=behaviour.log_prob(action) - np.float32(np.log(ratio)),
    advantage=tf.constant(advantage),
    value=tf.zeros(len(advantage)),
    value_target=tf.zeros(len(advantage)),
    episode_return=tf.constant(0.0),
    baseline_error=tf.constant(0.0),
    mask=tf.constant(mask),
  )


# The policy w = 0.5, b = 0 gives means 0.5 and 1; the third frame is masked.
FIRST_STAGE = dict(
  observation=[1.0, 2.0, 9.0],
  action=[1.0, 0.0, 9.0],
  advantage=[1.0, -1.0, 9.0],
  mask=[1.0, 1.0, 0.0],
  behaviour_mean=[0.5, 1.0, 4.5],
)
# d/d mean = A (a - mean): 1 * 0.5 and -1 * -1.
# d/dw = (0.5 * 1 + 1 * 2) / 2 = 1.25, d/db = (0.5 + 1) / 2 = 0.75.
AFTER_FIRST = (0.5 + 0.1 * 1.25, 0.1 * 0.75)
# w = 0.625, b = 0.075 gives means 0.7 and 1.95.
SECOND_STAGE = dict(
  observation=[1.0, 3.0],
  action=[1.7, 0.95],
  advantage=[2.0, 1.0],
  mask=[1.0, 1.0],
  behaviour_mean=[0.7, 1.95],
)
# d/d mean = 2 * 1 and 1 * -1; d/dw = (2 * 1 - 1 * 3) / 2, d/db = (2 - 1) / 2.
AFTER_SECOND = (0.625 - 0.1 * 0.5, 0.075 + 0.1 * 0.5)


def _parameters():
  return tf.constant(0.5), tf.constant(0.0), tf.constant([7.0, 8.0])


def _adapt(parameters, stages):
  inner_loop = inner_loop_lib.InnerLoop(max(len(stages), 1), STEP_SIZE)
  inner_loop.build([tf.Variable(p) for p in parameters])
  theta = inner_loop_lib.Theta(parameters)
  return inner_loop.run(theta, stages, _evaluate)


def test_one_step():
  adapted = _adapt(_parameters(), [_stage(**FIRST_STAGE)])
  np.testing.assert_allclose(adapted.parameters[0], AFTER_FIRST[0], rtol=1e-6)
  np.testing.assert_allclose(adapted.parameters[1], AFTER_FIRST[1], rtol=1e-6)
  (loss,) = adapted.losses
  # Minus the mean advantage of the valid frames.
  np.testing.assert_allclose(loss, 0, atol=1e-7)
  (evaluated,) = adapted.evaluated
  np.testing.assert_allclose(
    evaluated.distribution.mean(), [0.5, 1, 4.5], rtol=1e-6
  )


def test_two_steps():
  adapted = _adapt(
    _parameters(), [_stage(**FIRST_STAGE), _stage(**SECOND_STAGE)]
  )
  np.testing.assert_allclose(adapted.parameters[0], AFTER_SECOND[0], rtol=1e-6)
  np.testing.assert_allclose(adapted.parameters[1], AFTER_SECOND[1], rtol=1e-6)
  np.testing.assert_allclose(adapted.losses, [0, -1.5], atol=1e-6)
  # Each distribution is the policy's before its step.
  np.testing.assert_allclose(
    adapted.evaluated[0].distribution.mean(), [0.5, 1, 4.5], rtol=1e-6
  )
  np.testing.assert_allclose(
    adapted.evaluated[1].distribution.mean(), [0.7, 1.95], rtol=1e-6
  )


def test_the_stored_behaviour_weighs_the_step():
  # The actions are twice as likely as when sampled: step and loss double.
  adapted = _adapt(
    _parameters(),
    [_stage(**FIRST_STAGE, ratio=2.0), _stage(**SECOND_STAGE, ratio=3.0)],
  )
  after_first = (0.5 + 0.2 * 1.25, 0.2 * 0.75)
  # w = 0.75, b = 0.15 gives means 0.9 and 2.4 where the behaviour's were 0.7
  # and 1.95; log ratio = log 3 + ((a - 0.7)^2 - (a - 0.9)^2) / 2 and so on.
  ratio = 3 * np.exp(
    [0.5 * (1.0**2 - 0.8**2), 0.5 * ((-1.0) ** 2 - (-1.45) ** 2)]
  )
  slope = ratio * [2, 1] * np.array([0.8, -1.45]) / 2
  np.testing.assert_allclose(
    adapted.parameters[0],
    after_first[0] + 0.1 * (slope @ [1, 3]),
    rtol=1e-5,
  )
  np.testing.assert_allclose(
    adapted.parameters[1], after_first[1] + 0.1 * slope.sum(), rtol=1e-5
  )
  np.testing.assert_allclose(
    adapted.losses, [0, -(ratio @ [2, 1]) / 2], rtol=1e-5, atol=1e-6
  )


def test_a_parameter_without_gradient_stays():
  parameters = _parameters()
  adapted = _adapt(parameters, [_stage(**FIRST_STAGE)])
  np.testing.assert_array_equal(adapted.parameters[2], [7, 8])


def test_no_step():
  parameters = _parameters()
  adapted = _adapt(parameters, [])
  assert adapted == inner_loop_lib.InnerLoopResult(parameters, (), ())


def test_the_step_itself_is_differentiated():
  # The first step adds 0.1 * mean(r A (a - mean) o) to w, r being the ratio.
  # With x = (a - mean) o = (0.5, -2) at the behaviour, dr/dw = r x and
  # d(a - mean)/dw = -o: the derivative is mean(A (x^2 - o^2)) =
  # (1 * (0.25 - 1) - 1 * (4 - 4)) / 2 = -0.375.
  parameters = _parameters()
  with tf.GradientTape() as tape:
    tape.watch(parameters)
    weight = _adapt(parameters, [_stage(**FIRST_STAGE)]).parameters[0]
  gradient = tape.gradient(weight, parameters[0])
  np.testing.assert_allclose(gradient, 1 + 0.1 * -0.375, rtol=1e-6)


def test_without_variables_it_cannot_adapt():
  with pytest.raises(ValueError, match='call build first'):
    theta = inner_loop_lib.Theta(_parameters())
    inner_loop_lib.InnerLoop().run(theta, [], _evaluate)


@pytest.mark.parametrize(
  'name, value',
  [
    ('num_steps', -1),
    ('num_steps', 1.5),
    ('num_steps', None),
    ('step_size', 0.0),
    ('step_size', -0.1),
    ('step_size', math.nan),
    ('step_size', '0.1'),
    ('surrogate', 'dice'),
    ('adapts', 'head'),
    ('max_gradient_norm', 0.0),
    ('max_gradient_norm', math.inf),
    ('entropy_coefficient', math.nan),
  ],
)
def test_bad_arguments(name, value):
  with pytest.raises(ValueError, match=f'^{name} is'):
    inner_loop_lib.InnerLoop(**{name: value})
