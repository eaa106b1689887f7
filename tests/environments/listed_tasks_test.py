"""The names of a family's few tasks, and their places in the list."""

import numpy as np
import pytest

from maml_tf.environments import listed_tasks
from maml_tf.environments import tasks


def _listed(*training, held_out=()):
  return listed_tasks.ListedTasks(tasks.TaskList(training, held_out))


@pytest.mark.parametrize(
  ('training', 'names'),
  [
    ((-1.0, 1.0), ('-1', '1')),
    ((np.array([0.5, -2.25]), np.ones(2)), ('0.5_-2.25', '1_1')),
    ((1e20, 0.1), ('1e_20', '0.1')),
    # Neither commas nor quotes: they would divide a CSV's columns.
    (
      ({'door': 'left', 'at': 2}, 'two, "three"\n'),
      ('door_left_at_2', 'two_three'),
    ),
    (('x' * 70, 'y'), ('x' * 60, 'y')),
    # Equal names, names without a letter, and names that change with memory.
    ((0.12345, 0.12346), ('listed_0', 'listed_1')),
    (('left', 'right', '?!'), ('listed_0', 'listed_1', 'listed_2')),
    ((object(), 'right'), ('listed_0', 'listed_1')),
  ],
)
def test_names_are_short_words_that_differ(training, names):
  assert _listed(*training).names == names


def test_only_a_few_tasks_of_training_are_named():
  assert listed_tasks.ListedTasks(None).names == ()
  assert _listed(1.0, held_out=(2.0, 3.0)).names == ()
  assert len(_listed(*range(10)).names) == 10
  many = _listed(*range(11))
  assert many.names == ()
  assert many.places(np.arange(2)).tolist() == [-1, -1]


def test_places_are_those_of_the_list():
  directions = _listed(-1.0, 1.0)
  places = directions.places(np.array([1.0, 1.0, -1.0, 0.5]))
  assert places.tolist() == [1, 1, 0, -1]
  vectors = _listed(np.zeros(2), np.array([0, 1]))
  found = vectors.places(np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]))
  assert found.tolist() == [1, 0, -1]
  # A copy of an object is known by its text.
  one = object()
  objects = _listed({'door': 'left'}, one, 2.0)
  given = [one, {'door': 'left'}, '2.0', 2, object()]
  assert objects.places(given).tolist() == [1, 0, -1, 2, -1]
