"""Finds the user's code in tracebacks."""

import importlib.util
import json

import gin
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.core import checks
from maml_tf.core import errors
from maml_tf.core import user_code
from maml_tf.run import experiment

_SIZES = {'num_tasks': 1, 'environments_per_task': 1, 'horizon': 1}


def _create(function):
  """Lets the package call a function of the user's."""
  with errors.usage_errors():
    experiment.create_environment(lambda **_: function(), False, **_SIZES)


def _raise(error):
  raise error


@pytest.mark.parametrize(
  'error',
  [
    KeyError('motor'),
    IndexError('motor'),
    ZeroDivisionError('motor'),
    AssertionError('motor'),
    RuntimeError('motor'),
    type('MotorError', (Exception,), {})('motor'),
    OSError('motor'),
    AttributeError('motor'),
  ],
)
def test_all_kinds_of_errors_of_the_user_have_a_line_and_a_traceback(error):
  with pytest.raises(errors.UsageError) as raised:
    _create(lambda: _raise(error))
  line = str(raised.value)
  assert line.startswith('_raise in user_code_test.py, line ')
  assert f'{type(error).__name__}: ' in line and 'motor' in line
  assert '\n' not in line
  assert 'raise error' in raised.value.traceback
  assert 'experiment.py' not in raised.value.traceback


def test_the_message_of_a_value_error_is_the_line():
  with pytest.raises(errors.UsageError, match='^size is 0$') as raised:
    _create(lambda: _raise(ValueError('size is 0')))
  assert 'raise error' in raised.value.traceback


def test_errors_that_libraries_raise_below_are_the_users():
  with pytest.raises(errors.UsageError) as raised:
    _create(lambda: json.loads('['))
  assert 'json.loads' in raised.value.traceback
  assert 'decoder.py' not in raised.value.traceback


def test_refused_arguments_of_the_package_are_a_line_alone():
  with pytest.raises(errors.UsageError, match='^x is 1: ') as raised:
    _create(lambda: checks.integer('x', 1, 2))
  assert not raised.value.traceback


def test_gins_additions_are_left_out():
  name = 'user_code_test_factory'
  factory = gin.external_configurable(lambda: {}['motor'], name)
  with pytest.raises(errors.UsageError) as raised:
    _create(factory)
  assert str(raised.value).endswith("raised KeyError: 'motor'")
  assert 'In call to' not in raised.value.traceback


def test_an_operation_that_fails_later_says_why_in_the_line():
  @tf.function(autograph=False)
  def fails(x):
    tf.debugging.assert_greater(x, 1.0, message='too small')
    return x

  with pytest.raises(errors.UsageError) as raised:
    _create(lambda: fails(tf.constant(0.5)))
  line = str(raised.value)
  assert 'raised InvalidArgumentError: ' in line and 'too small' in line
  assert 'File "' not in line and '{{node' not in line
  assert 'assert_greater' in raised.value.traceback


def test_a_cause_is_shown():
  def fail():
    try:
      {}['motor']
    except KeyError as error:
      raise RuntimeError('cannot start') from error

  with pytest.raises(errors.UsageError) as raised:
    _create(fail)
  assert "{}['motor']" in raised.value.traceback
  assert 'cannot start' in raised.value.traceback


def test_endless_recursion_of_the_user_is_not_that_of_a_setting():
  def again():
    return again()

  with pytest.raises(errors.UsageError, match='again in user_code_test'):
    _create(again)


def test_faults_of_the_package_pass():
  with pytest.raises(KeyError):
    with errors.usage_errors(), errors.run_errors():
      raise KeyError


def test_run_errors_translate_only_what_the_user_raised():
  with pytest.raises(errors.RunError, match="raised KeyError: 'motor'"):
    with errors.run_errors():
      experiment.create_environment(
        lambda **_: _raise(KeyError('motor')), False, **_SIZES
      )
  with pytest.raises(FloatingPointError):
    with errors.run_errors():
      raise FloatingPointError


def test_code_that_autograph_converts_keeps_its_lines():
  def surrogate(x):
    if tf.reduce_sum(x) > 0:
      x = x + {}['motor']
    return x

  with pytest.raises(errors.UsageError) as raised:
    _create(lambda: tf.function(surrogate)(tf.ones(2)))
  assert str(raised.value).startswith('surrogate in user_code_test.py, line ')
  assert str(raised.value).endswith("raised KeyError: 'motor'")
  assert "x = x + {}['motor']" in raised.value.traceback
  assert '__autograph_generated' not in raised.value.traceback


def test_python_code_in_a_graph_keeps_its_lines():
  def draw(x):
    return x / np.float32({}['motor'])

  with pytest.raises(errors.UsageError) as raised:
    _create(
      lambda: tf.function(
        lambda x: tf.numpy_function(draw, [x], tf.float32), autograph=False
      )(tf.ones(2))
    )
  assert "{}['motor']" in raised.value.traceback


def test_a_module_that_does_not_parse_is_the_users(tmp_path):
  path = tmp_path / 'broken.py'
  path.write_text('a = (\n', encoding='utf-8')

  def load():
    spec = importlib.util.spec_from_file_location('broken', path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))

  with pytest.raises(errors.UsageError, match='SyntaxError') as raised:
    _create(load)
  assert 'broken.py' in raised.value.traceback


def test_tracebacks_as_texts_lose_our_frames():
  ours, library = user_code.__file__, tf.__file__
  text = (
    'Traceback (most recent call last):\n'
    f'  File "{ours}", line 3, in step\n    self._step()\n'
    f'  File "{__file__}", line 3, in _step\n    {{}}[1]\n    ~~^^^\n'
    f'  File "{library}", line 3, in call\n    call()\n'
    'KeyError: 1\n'
  )
  assert errors.RunError('x', text).traceback == (
    'Traceback (most recent call last):\n'
    f'  File "{__file__}", line 3, in _step\n    {{}}[1]\n    ~~^^^\n'
    'KeyError: 1\n'
  )
  without_user = text.replace(__file__, library)
  assert user_code.shorten(without_user).count('  File ') == 2


@pytest.mark.parametrize(
  'path, is_of_user',
  [
    ('/home/me/my_tasks.py', True),
    ('/usr/lib/python3/dist-packages/metaworld/env.py', True),
    ('<stdin>', True),
    ('<frozen importlib>', False),
    ('/usr/lib/python3/dist-packages/gymnasium/core.py', False),
    (user_code.__file__, False),
    (json.__file__, False),
    (np.__file__, False),
    ('/tmp/__autograph_generated_file1.py', False),
  ],
)
def test_files_of_the_user(path, is_of_user):
  assert user_code.is_of_user(path) == is_of_user
