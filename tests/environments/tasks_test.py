"""The names of tasks, and what counts as numbers."""

import dataclasses

import numpy as np
import pytest

from maml_tf.environments import tasks


@dataclasses.dataclass
class _Goal:
  x: int


@pytest.mark.parametrize(
  ('task', 'name'),
  [
    (-1.0, '-1'),
    (np.float64(0.123456), '0.123'),
    (np.array([0.5, -2.25]), '0.5, -2.25'),
    (np.array([[1], [2]]), '1, 2'),
    (np.arange(10), '0, 1, 2, 3, 4, 5, 6, 7, 8, 9'),
    (np.arange(11) + 0.1234, '0.123, 1.12, 2.12, ... (11 numbers)'),
    ('reach', 'reach'),
    ({'goal': 'left', 'mass': 2}, "{'goal': 'left', 'mass': 2}"),
    (_Goal(3), '_Goal(x=3)'),
    ('two\n  lines\t', 'two lines'),
    ('x' * 60, 'x' * 60),
    ('x' * 61, 'x' * 57 + '...'),
  ],
)
def test_names_are_one_short_line(task, name):
  assert tasks.name(task) == name


def test_only_numbers_are_numbers():
  for task in (1, 2.5, np.float32(3), np.arange(4).reshape(2, 2)):
    values = tasks.to_numbers(task)
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, np.ravel(task))
  for task in ('1', [1, 2], {'a': 1}, None, np.array(['a']), 1j):
    assert tasks.to_numbers(task) is None


def test_the_parts_of_a_task_have_names():
  assert tasks.parts(-1) == [('0', -1.0)]
  assert tasks.parts(np.array([[1, 2], [3, 4]])) == [
    ('0', 1.0),
    ('1', 2.0),
    ('2', 3.0),
    ('3', 4.0),
  ]
  assert tasks.parts('reach') == [('', None)]
  assert tasks.parts({}) == []
  task = {'goal': np.array([0.5, 2]), 'door': 'left', 'body': (_Goal(3), [4])}
  assert tasks.parts(task) == [
    ('goal_0', 0.5),
    ('goal_1', 2.0),
    ('door', None),
    ('body_0_x', 3.0),
    ('body_1_0', 4.0),
  ]
  assert tasks.parts(tasks.TaskList(training=1, held_out=None)) == [
    ('training', 1.0),
    ('held_out', None),
  ]
  # What contains itself ends.
  endless = {}
  endless['more'] = endless
  ((name, value),) = tasks.parts(endless)
  assert name.startswith('more_more') and value is None


def test_what_is_evaluated_is_held_out_if_anything_is():
  assert tasks.TaskList((1, 2), (3,)).evaluated == (3,)
  assert tasks.TaskList((1, 2)).evaluated == (1, 2)
  held_out = np.array([[1.0]])
  assert tasks.TaskList(np.zeros((2, 1)), held_out).evaluated is held_out
