"""Checks of settings: accepted values, refused values, messages."""

import errno
import math

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.core import checks
from maml_tf.core import errors
from maml_tf.core import plain_texts

NOT_NUMBERS = (True, False, None, 'a', '3', [1], (2,), 1j, np.ones(2))


@pytest.mark.parametrize('value', [2, 7, np.int64(7), np.uint8(2)])
def test_integer_accepts_integers_of_at_least_the_minimum(value):
  taken = checks.integer('num_tasks', value, 2)
  assert taken == value
  # Gin and JSON write Python's ints, not NumPy's.
  assert type(taken) is int


@pytest.mark.parametrize(
  'value', [*NOT_NUMBERS, 1, 0, -3, 2.0, 2.5, math.nan, math.inf, -math.inf]
)
def test_integer_refuses_other_values_and_names_the_valid_ones(value):
  with pytest.raises(ValueError) as error:
    checks.integer('num_tasks', value, 2)
  assert str(error.value) == (
    f'num_tasks is {plain_texts.of(value)}: give an integer of at least 2'
  )


@pytest.mark.parametrize('value', [0.5, 1, -2, 1e-300, np.float32(0.5)])
def test_number_without_limits_accepts_finite_numbers(value):
  taken = checks.number('discount', value)
  assert taken == value
  assert type(taken) is float


@pytest.mark.parametrize(
  'value', [*NOT_NUMBERS, math.nan, math.inf, -math.inf, np.float32('nan')]
)
def test_number_refuses_everything_but_finite_numbers(value):
  with pytest.raises(ValueError) as error:
    checks.number('discount', value)
  shown = plain_texts.of(value)
  assert str(error.value) == f'discount is {shown}: give a finite number'


@pytest.mark.parametrize(
  ('limits', 'inside', 'outside', 'wanted'),
  [
    ({'above': 0}, [1e-9, 5], [0, -1e-9, math.inf, math.nan], 'above 0'),
    ({'minimum': 0}, [0, 3.5], [-1e-9, math.nan], 'of at least 0'),
    ({'maximum': 1}, [1, -9], [1.1, -math.inf], 'of at most 1'),
    (
      {'minimum': 0, 'maximum': 1},
      [0, 0.5, 1],
      [-0.1, 1.1, 'a', True],
      'of at least 0 and of at most 1',
    ),
    ({'above': 0.5, 'maximum': 1}, [1], [0.5], 'above 0.5 and of at most 1'),
  ],
)
def test_number_respects_its_limits(limits, inside, outside, wanted):
  for value in inside:
    assert checks.number('x', value, **limits) == value
  for value in outside:
    with pytest.raises(ValueError) as error:
      checks.number('x', value, **limits)
    shown = plain_texts.of(value)
    assert str(error.value) == f'x is {shown}: give a finite number {wanted}'


@pytest.mark.parametrize(
  'value, expected', [((0, 1.5), (0.0, 1.5)), ([2, 2], (2.0, 2.0))]
)
def test_intervals(value, expected):
  found = checks.interval('x', value)
  assert found == expected and all(type(end) is float for end in found)


@pytest.mark.parametrize(
  'value',
  [(1, 0), 1.0, None, '01', (), (1,), (0, 1, 2), (0, 'a'), (0, float('nan'))],
)
def test_values_that_are_no_interval(value):
  with pytest.raises(ValueError) as error:
    checks.interval('x', value)
  assert str(error.value) == (
    f'x is {plain_texts.of(value)}: give two finite numbers, the lower one'
    ' first'
  )


@pytest.mark.parametrize(
  'error', [ValueError('x is 1'), TypeError('x is 1'), OSError('x is 1')]
)
def test_usage_errors_keep_the_message(error):
  with pytest.raises(errors.UsageError, match='^x is 1$') as raised:
    with errors.usage_errors():
      raise error
  assert raised.value.__cause__ is error


def test_usage_errors_are_one_line_without_gins_call_stack():
  with pytest.raises(errors.UsageError) as raised:
    with errors.usage_errors():
      raise ValueError(
        "No parameter 'a'.\n  Known: b.\n\n  In call to configurable 'f' (<f>)"
      )
  assert str(raised.value) == "No parameter 'a'. Known: b."


def test_a_text_in_place_of_a_reference():
  for value, call, reference in (
    ('dice', '', '@dice'),
    ('@dice', '', '@dice'),
    ('GradientUpdate()', '()', '@GradientUpdate()'),
    ('GradientUpdate', '()', '@GradientUpdate()'),
  ):
    with pytest.raises(ValueError, match='with the at sign') as raised:
      checks.no_text('InnerLoop.surrogate', value, call)
    assert f': give {reference}, with' in str(raised.value)
  with pytest.raises(ValueError, match="is the text 'dice': give @dice, with"):
    checks.function('surrogate', 'dice', 'likelihood_ratio')


@pytest.mark.parametrize(
  ('error', 'reason'),
  [
    (OSError(errno.ENOSPC, 'No space left on device'), 'No space left on devi'),
    (
      tf.errors.ResourceExhaustedError(
        None,
        None,
        '{{function_node __wrapped__SaveV2_dtypes_24_device_/job:localhost}} '
        + 'x' * 300
        + '/.writing/ckpt-3.data-00000-of-00001; No space left on device',
      ),
      'No space left on device',
    ),
    (tf.errors.UnknownError(None, None, 'other\nx'), 'other'),
  ],
)
def test_a_full_disk_is_said_in_the_systems_words(error, reason):
  with pytest.raises(errors.RunError) as raised:
    with errors.disk_errors('the checkpoint of iteration 3 in runs/a'):
      raise error
  line = str(raised.value)
  assert line.startswith(
    f'the checkpoint of iteration 3 in runs/a cannot be written ({reason}'
  )
  assert 'make room' in line and len(line) < 200


def test_usage_errors_do_not_translate_bugs_of_the_program():
  with pytest.raises(ZeroDivisionError):
    with errors.usage_errors():
      raise ZeroDivisionError


def test_usage_errors_do_not_change_results():
  with errors.usage_errors():
    value = checks.integer('x', 3, 1)
  assert value == 3
