"""What a family in TensorFlow operations may return, and how faults read."""

import numpy as np
import pytest
import tensorflow as tf

import maml_tf
from maml_tf.core import errors
from maml_tf.environments.in_graph import batched_rows
from maml_tf.environments.in_graph import tensor_environment
from tests.environments.in_graph import drifting_tasks


def _environment(tasks=drifting_tasks.DriftingTasks, num_tasks=3, horizon=6):
  return tensor_environment.TensorEnvironment(num_tasks, 5, horizon, tasks)


def test_nests_keep_the_contract():
  maml_tf.testing.check_task_environment(_environment())


def test_two_steps_by_hand():
  environment = _environment(num_tasks=2)
  environment.set_tasks([0.2, 0.6])
  environment.seed(0)
  x = environment.reset().observation['x']
  action = np.full((10, 1), 0.5, np.float32)
  for age in (1, 2):
    time_step = environment.step(action)
    # The task and a tenth of the sine.
    x = x + np.repeat([[0.2], [0.6]], 5, axis=0) + 0.1 * np.sin(0.5)
    np.testing.assert_allclose(time_step.observation['x'], x, atol=1e-6)
    np.testing.assert_array_equal(time_step.observation['age'], [age] * 10)
    np.testing.assert_allclose(time_step.reward, [0.5] * 10)
  # 0.6 + 0.05 twice is more than 1.
  np.testing.assert_array_equal(time_step.discount, [1] * 5 + [0] * 5)
  np.testing.assert_array_equal(time_step.step_type, [1] * 5 + [2] * 5)
  # The next step starts these anew and goes on with the others.
  time_step = environment.step(action)
  np.testing.assert_array_equal(time_step.observation['age'], [3] * 5 + [0] * 5)


def test_a_rows_bits_do_not_depend_on_the_number_of_rows():
  def play(tasks):
    environment = _environment(num_tasks=len(tasks))
    environment.set_tasks(tasks)
    environment.seed([(int(100 * task),) for task in tasks])
    environment.reset()
    action = np.linspace(0.1, 0.9, 5, dtype=np.float32)[:, np.newaxis]
    for _ in range(3):
      time_step = environment.step(np.tile(action, (len(tasks), 1)))
    return time_step.observation['x'].reshape(len(tasks), 5)

  tasks = np.arange(0.1, 0.3, 0.01)
  whole = play(tasks)
  for part in (slice(0, 1), slice(3, 10), slice(7, 20)):
    np.testing.assert_array_equal(play(tasks[part]), whole[part])


@pytest.mark.parametrize(
  'replaced, message',
  [
    (
      {'reward': lambda r: r[tf.newaxis]},
      r'DriftingTasks.step returns float32 \[1\] as reward, not float32 \[\]:'
      ' cast or reshape it',
    ),
    (
      {'reward': lambda r: tf.cast(r, tf.float64)},
      r'step returns float64 \[\] as reward, not float32 \[\]',
    ),
    (
      {'terminated': lambda t: tf.cast(t, tf.float32)},
      r'step returns float32 \[\] as terminated, not bool \[\]',
    ),
    (
      {'observation': lambda o: o['x']},
      r'step returns float32 \[1\] as observation, not \{x: float32 \[1\], age',
    ),
    (
      {'state': lambda s: {**s, 'age': tf.cast(s['age'], tf.float32)}},
      r'step returns \{.*\} as state, not',
    ),
  ],
)
def test_wrong_shapes_and_dtypes_are_one_line(replaced, message):
  with pytest.raises(ValueError, match=message) as caught:
    batched_rows.BatchedRows(drifting_tasks.DriftingTasks(**replaced))
  assert '\n' not in str(caught.value)


class _ShortResults(drifting_tasks.DriftingTasks):
  def step(self, task, state, action):
    return super().step(task, state, action)[:3]


class _ShortNoise(drifting_tasks.DriftingTasks):
  def draw_noise(self, generator, num_rows):
    return generator.normal(0, 1, 2)


class _Unvectorised(drifting_tasks.DriftingTasks):
  def step(self, task, state, action):
    state = {**state, 'x': tf.numpy_function(np.sin, [state['x']], tf.float32)}
    state['x'] = tf.ensure_shape(state['x'], [])
    return super().step(task, state, action)


@pytest.mark.parametrize(
  'cls, message',
  [
    (_ShortResults, r'_ShortResults.step returns \(.*\): give 4 results'),
    (_ShortNoise, r'draw_noise returns float64 of shape \(2,\) for 3 rows'),
    (_Unvectorised, '_Unvectorised.step cannot be vectorised over rows'),
  ],
)
def test_other_faults_are_one_line(cls, message):
  with pytest.raises(ValueError, match=message) as caught:
    batched_rows.BatchedRows(cls())
  assert '\n' not in str(caught.value)


def test_another_class_is_refused():
  with pytest.raises(ValueError, match='tasks is a dict: give a subclass of'):
    _environment(dict)


def test_a_family_without_a_renderer_says_so():
  with pytest.raises(errors.UsageError, match='DriftingTasks cannot be rend'):
    _environment().prepare_rendering()


def test_the_kinds_are_those_of_the_tasks():
  class OfThreeKinds(drifting_tasks.DriftingTasks):
    num_kinds = 3

  assert _environment().num_kinds == 1
  assert _environment(OfThreeKinds).num_kinds == 3
