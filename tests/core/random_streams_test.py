"""A stream's numbers depend on its key, and on all of it."""

import numpy as np
import pytest

from maml_tf.core import random_streams

KEY = random_streams.key(1, 2, 3, 4, random_streams.Purpose.RESET)


def _draw(key):
  return random_streams.generator(key).standard_normal(8)


def test_the_same_key_gives_the_same_numbers():
  again = random_streams.key(1, 2, 3, 4, random_streams.Purpose.RESET)
  np.testing.assert_array_equal(_draw(KEY), _draw(again))
  assert len(set(_draw(KEY))) == 8


@pytest.mark.parametrize('position', range(5))
def test_any_other_component_gives_other_numbers(position):
  other = list(KEY)
  other[position] += 1
  assert not np.isin(_draw(tuple(other)), _draw(KEY)).any()


def test_components_do_not_stand_for_each_other():
  purpose = random_streams.Purpose.TASK
  keys = [
    random_streams.key(*numbers, purpose)
    for numbers in (
      (0, 0, 0, 0),
      (0, 0, 0, 1),
      (0, 0, 1, 0),
      (0, 1, 0, 0),
      (1, 0, 0, 0),
      # Of more than 32 bits, the size of a seed's words.
      (2**32, 0, 0, 0),
      (2**64, 0, 0, 0),
    )
  ]
  assert len({_draw(key)[0] for key in keys}) == len(keys)


def test_purposes_are_different_streams():
  draws = [
    _draw(random_streams.key(0, 0, 0, 0, purpose))[0]
    for purpose in random_streams.Purpose
  ]
  assert len(set(draws)) == 3


def test_tasks_have_the_keys_of_their_indices():
  purpose = random_streams.Purpose.RESET
  assert random_streams.task_keys(1, 2, 3, range(4, 6), purpose) == [
    KEY,
    (1, 2, 3, 5, 1),
  ]


def test_the_held_out_task_is_the_first_of_iteration_0():
  purpose = random_streams.Purpose.ACTION
  key = random_streams.held_out_key(7, 3, purpose)
  assert key == random_streams.key(7, 0, 3, 0, purpose)


def test_a_key_is_made_of_plain_ints():
  assert KEY == (1, 2, 3, 4, 1)
  assert {type(word) for word in KEY} == {int}
