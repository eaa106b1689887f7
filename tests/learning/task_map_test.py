"""With chunks of any size, the map equals a Python loop."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.learning import task_map

Output = collections.namedtuple('Output', ['loss', 'gradients'])


def _tasks(num_tasks):
  generator = np.random.default_rng(num_tasks)
  return (
    {'x': tf.constant(generator.normal(size=(num_tasks, 5)), tf.float32)},
    tf.constant(generator.normal(size=num_tasks), tf.float32),
  )


def _second_order(weight):
  """A function of one task with nested tapes and a nested result."""

  def fn(task):
    inputs, target = task
    with tf.GradientTape() as outer:
      outer.watch(weight)
      with tf.GradientTape() as inner:
        inner.watch(weight)
        output = tf.reduce_sum(tf.tanh(weight * inputs['x']))
        loss = (output - target) ** 2
      adapted = weight - 0.1 * inner.gradient(loss, weight)
      loss = tf.reduce_sum(tf.tanh(adapted * inputs['x'])) * target
    return Output(loss, (outer.gradient(loss, weight), {'adapted': adapted}))

  return fn


def _loop(fn, tasks, num_tasks):
  results = [
    fn(tf.nest.map_structure(lambda t, b=b: t[b], tasks))
    for b in range(num_tasks)
  ]
  return tf.nest.map_structure(lambda *parts: tf.stack(parts), *results)


@pytest.mark.parametrize('mode', ['eager', 'graph', 'compiled'])
@pytest.mark.parametrize(
  'num_tasks, chunk_size',
  # Chunks of all, all, all; 1, 2, 3 of 6; 3, since 4 does not divide 6; 1,
  # since only 1 divides 5; the only task.
  [(6, None), (6, 6), (6, 99), (6, 1), (6, 2), (6, 3), (6, 4), (5, 3), (1, 4)],
)
def test_equals_a_loop(mode, num_tasks, chunk_size):
  weight = tf.constant([0.5, -1, 2, 0.1, 1])
  tasks = _tasks(num_tasks)

  def mapped(weight, tasks):
    return task_map.vmap_in_chunks(_second_order(weight), tasks, chunk_size)

  if mode != 'eager':
    mapped = tf.function(mapped, jit_compile=mode == 'compiled')
  result = mapped(weight, tasks)
  expected = _loop(_second_order(weight), tasks, num_tasks)
  tf.nest.assert_same_structure(result, expected)
  assert isinstance(result, Output)
  for a, b in zip(tf.nest.flatten(result), tf.nest.flatten(expected)):
    assert a.shape == b.shape and a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
  'num_tasks, chunk_size, chunk', [(6, 4, 3), (8, 4, 4), (7, 3, 1), (6, 9, 6)]
)
def test_chunks_are_as_large_as_allowed(num_tasks, chunk_size, chunk):
  sizes = []

  def fn(task):
    # A vectorised operation sees all tasks of a chunk: record at run time.
    return task

  original = tf.vectorized_map

  def recorded(function, elements):
    sizes.append(tf.nest.flatten(elements)[0].shape[0])
    return original(function, elements)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(tf, 'vectorized_map', recorded)
    task_map.vmap_in_chunks(fn, tf.range(num_tasks), chunk_size)
  assert set(sizes) == {chunk}


def test_integers_and_flags_pass_through():
  tasks = (tf.range(6), tf.constant([True, False] * 3))
  numbers, flags = task_map.vmap_in_chunks(
    lambda t: (t[0] * 2, ~t[1]), tasks, 2
  )
  np.testing.assert_array_equal(numbers, [0, 2, 4, 6, 8, 10])
  np.testing.assert_array_equal(flags, [False, True] * 3)


def test_unknown_number_of_tasks():
  @tf.function(input_signature=[tf.TensorSpec([None, 2])])
  def mapped(tasks):
    return task_map.vmap_in_chunks(lambda t: tf.reduce_sum(t) ** 2, tasks, 2)

  np.testing.assert_array_equal(
    mapped(tf.constant([[1.0, 2], [3, 4], [5, 6]])), [9, 49, 121]
  )


def test_mapped_tensors_are_not_copied():
  @tf.function(input_signature=[tf.TensorSpec([6, 2])])
  def mapped(tasks):
    return task_map.vmap_in_chunks(lambda t: tf.reduce_sum(t) ** 2, tasks, 2)

  # Only the indices of the chunks, which are integers, become a list.
  operations = mapped.get_concrete_function().graph.get_operations()
  lists = [o for o in operations if o.type == 'TensorListFromTensor']
  assert [o.get_attr('element_dtype') for o in lists] == [tf.int32]
