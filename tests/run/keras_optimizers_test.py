"""Keras' optimizers and schedules, as configs name them."""

import inspect

import gin
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.learning import meta_updates
from maml_tf.run import keras_optimizers  # noqa: F401  Registers the names.
from tests.learning import function_problem

OPTIMIZERS = (
  *('Adadelta', 'Adafactor', 'Adagrad', 'Adam', 'AdamW', 'Adamax', 'Ftrl'),
  *('Lion', 'Nadam', 'RMSprop', 'SGD'),
)
_INITIAL = 'initial_learning_rate = 0.5'
SCHEDULES = {
  'CosineDecay': (_INITIAL, 'decay_steps = 9'),
  'CosineDecayRestarts': (_INITIAL, 'first_decay_steps = 9'),
  'ExponentialDecay': (_INITIAL, 'decay_steps = 9', 'decay_rate = 0.5'),
  'InverseTimeDecay': (_INITIAL, 'decay_steps = 9', 'decay_rate = 0.5'),
  'PiecewiseConstantDecay': ('boundaries = [0]', 'values = [0.5, 0.25]'),
  'PolynomialDecay': (_INITIAL, 'decay_steps = 9'),
}


@pytest.fixture(autouse=True)
def clear_config():
  gin.clear_config()
  yield
  gin.clear_config()


def _update(optimizer, *bindings):
  gin.parse_config([f'GradientUpdate.optimizer = @{optimizer}()', *bindings])
  return meta_updates.GradientUpdate()


def _steps(update, variable, num_calls):
  """Returns the learning rates that the metrics show."""
  update.build([variable])
  problem = function_problem.FunctionProblem(
    gradient=lambda theta: ((), [tf.ones([])], tf.ones([1]))
  )
  return [
    float(update([variable], problem).learning_rate) for _ in range(num_calls)
  ]


@pytest.mark.parametrize('module', ['', 'tf.keras.optimizers.'])
@pytest.mark.parametrize('name', OPTIMIZERS)
def test_every_optimizer_of_keras(name, module):
  update = _update(module + name, f'{module}{name}.learning_rate = 0.25')
  assert float(update.learning_rate) == 0.25
  variable = tf.Variable(1.0)
  _steps(update, variable, 1)
  assert float(variable) < 1


@pytest.mark.parametrize('module', ['', 'tf.keras.optimizers.schedules.'])
@pytest.mark.parametrize('name', list(SCHEDULES))
def test_every_schedule_of_keras(name, module):
  update = _update(
    'SGD',
    'GradientUpdate.num_steps = 1',
    f'SGD.learning_rate = @{module}{name}()',
    *(f'{module}{name}.{binding}' for binding in SCHEDULES[name]),
  )
  assert float(update.learning_rate) == 0.5
  first, second = _steps(update, tf.Variable(0.0), 2)
  assert first == 0.5 > second > 0


def _piecewise(boundary):
  return _update(
    'SGD',
    'GradientUpdate.num_steps = 2',
    'SGD.learning_rate = @PiecewiseConstantDecay()',
    f'PiecewiseConstantDecay.boundaries = [{boundary}]',
    'PiecewiseConstantDecay.values = [0.5, 0.25]',
  )


def test_a_schedule_counts_optimizer_steps():
  variable = tf.Variable(0.0)
  # Two steps a call: steps 0 to 3 take 0.5, steps 4 and 5 take 0.25.
  assert _steps(_piecewise(3), variable, 3) == [0.5, 0.5, 0.25]
  np.testing.assert_allclose(variable, -(4 * 0.5 + 2 * 0.25))


def test_a_schedule_goes_on_where_a_checkpoint_was_saved(tmp_path):
  update = _piecewise(3)
  _steps(update, tf.Variable(0.0), 1)
  path = tf.train.Checkpoint(update=update).write(str(tmp_path / 'saved'))
  gin.clear_config()
  resumed, variable = _piecewise(3), tf.Variable(0.0)
  resumed.build([variable])
  tf.train.Checkpoint(update=resumed).read(path).assert_consumed()
  assert _steps(resumed, variable, 2) == [0.5, 0.25]
  np.testing.assert_allclose(variable, -(2 * 0.5 + 2 * 0.25))


@pytest.mark.parametrize(
  'value, word',
  [
    ('None', 'None'),
    ("'0.1'", "'0.1'"),
    ('-1.0', '-1.0'),
    ('0.0', '0.0'),
    ('1e999', 'inf'),
    ('True', 'True'),
    ('@PiecewiseConstantDecay', '@PiecewiseConstantDecay()'),
  ],
)
def test_learning_rates_that_are_none(value, word):
  with pytest.raises(ValueError) as caught:
    _update('Adam', f'Adam.learning_rate = {value}')
  message = str(caught.value).splitlines()[0]
  assert 'Adam.learning_rate is' in message and word in message
  assert 'give a' in message


# The Keras of TensorFlow 2.21 has Adam.adaptive_epsilon, that of 2.15 has not.
def test_settings_of_a_newer_keras_that_change_nothing_are_taken():
  update = _update(
    'Adam', 'Adam.adaptive_epsilon = False', 'GradientUpdate.num_steps = 1'
  )
  variable = tf.Variable(1.0)
  _steps(update, variable, 1)
  # Adam's first step is the learning rate.
  np.testing.assert_allclose(variable, 1 - 1e-3, rtol=1e-6)


def test_settings_of_a_newer_keras_that_change_the_run_are_refused():
  if (
    'adaptive_epsilon' in inspect.signature(tf.keras.optimizers.Adam).parameters
  ):
    pytest.skip('this Keras has Adam.adaptive_epsilon')
  with pytest.raises(ValueError) as caught:
    _update('Adam', 'Adam.adaptive_epsilon = True')
  message = str(caught.value).splitlines()[0]
  assert 'Adam.adaptive_epsilon is True' in message
  assert 'leave it out, or use a newer TensorFlow' in message


def test_optimizers_of_the_legacy_module_are_refused():
  with pytest.raises(ValueError, match='legacy'):
    meta_updates.GradientUpdate(tf.keras.optimizers.legacy.SGD(0.1))
