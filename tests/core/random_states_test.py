"""Random numbers are seeded for a while, and the caller's go on."""

import random

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.core import random_states


@tf.function
def _compiled_draw():
  return tf.random.uniform([])


def _draws():
  """The next number of every generator of the process."""
  return [
    random.random(),
    np.random.rand(),
    float(tf.random.uniform([])),
    float(tf.random.uniform([], seed=9)),
    float(_compiled_draw()),
    float(tf.random.get_global_generator().normal([])),
    float(tf.keras.initializers.GlorotUniform()([1, 1])[0, 0]),
  ]


def _weights():
  initializers = (
    tf.compat.v1.truncated_normal_initializer(),
    tf.compat.v1.variance_scaling_initializer(distribution='uniform'),
    tf.keras.initializers.GlorotUniform(),
    tf.keras.initializers.Orthogonal(),
  )
  drawn = [i([3, 4]).numpy() for i in initializers]
  return [*drawn, tf.random.normal([3]).numpy(), np.random.rand(3)]


def _seed():
  tf.keras.utils.set_random_seed(3)
  tf.random.set_global_generator(tf.random.Generator.from_seed(4))
  _draws()


def _draw_and_fail():
  with random_states.seeded(3):
    _weights()
    raise ValueError


def test_the_callers_numbers_go_on():
  _seed()
  expected = _draws()
  _seed()
  with random_states.seeded(3):
    _weights()
  assert _draws() == expected
  _seed()
  with pytest.raises(ValueError):
    _draw_and_fail()
  assert _draws() == expected


def test_a_process_without_a_seed_gets_none():
  tf.random.set_seed(None)
  with random_states.seeded(3):
    pass
  assert tf.random.uniform([]) != tf.random.uniform([])


def test_the_numbers_are_those_of_the_seed_every_time():
  with random_states.seeded(7):
    first = _weights()
  with random_states.seeded(7):
    second = _weights()
  tf.keras.utils.set_random_seed(7)
  for one, other, expected in zip(first, second, _weights(), strict=True):
    np.testing.assert_array_equal(one, expected)
    np.testing.assert_array_equal(other, expected)
