"""The distribution of random actions, and their returns."""

import numpy as np
import pytest
from tf_agents.specs import array_spec

from maml_tf.core import random_streams
from maml_tf.environments import action_draws
from maml_tf.environments import point_navigation
from maml_tf.evaluation import random_actions
from tests.environments import countdown_environment
from tests.environments import labelled_corridors


def _draw(spec, num=20000, num_tasks=1, seed=0):
  return action_draws.draw(
    spec, [np.random.default_rng([seed, i]) for i in range(num_tasks)], num
  )


def test_bounded_actions_are_uniform():
  spec = array_spec.BoundedArraySpec((2,), np.float32, [-1.0, 2.0], [3.0, 2.5])
  actions = _draw(spec)
  assert actions.shape == (20000, 2)
  assert actions.dtype == np.float32
  # A quarter of the actions in every quarter of the range; 0.003 is one
  # standard deviation of a share.
  for column, low, high in zip(actions.T, (-1, 2), (3, 2.5)):
    shares = np.histogram(column, 4, (low, high))[0] / 20000
    np.testing.assert_allclose(shares, 0.25, atol=0.015)


@pytest.mark.parametrize(
  'spec',
  [
    array_spec.ArraySpec((3,), np.float32),
    array_spec.BoundedArraySpec((3,), np.float64, -np.inf, np.inf),
  ],
)
def test_unbounded_actions_are_standard_normal(spec):
  actions = _draw(spec)
  assert actions.dtype == spec.dtype
  np.testing.assert_allclose(actions.mean(axis=0), 0, atol=0.04)
  np.testing.assert_allclose(actions.std(axis=0), 1, atol=0.03)
  # 95% of a standard normal.
  np.testing.assert_allclose(np.mean(np.abs(actions) < 1.96), 0.95, atol=0.01)


def test_actions_with_one_bound_are_normal_and_keep_it():
  spec = array_spec.BoundedArraySpec((1,), np.float32, 0.5, np.inf)
  actions = _draw(spec)
  assert actions.min() == 0.5
  # Of a standard normal 69.1% are below 0.5.
  assert np.mean(actions == 0.5) == pytest.approx(0.691, abs=0.015)


def test_nests_and_discrete_actions():
  spec = {
    'move': array_spec.BoundedArraySpec((), np.int64, 2, 4),
    'push': array_spec.BoundedArraySpec((2,), np.int32, [0, 0], [1, 2]),
  }
  actions = _draw(spec)
  assert actions['move'].dtype == np.int64
  counts = np.unique(actions['move'], return_counts=True)
  np.testing.assert_array_equal(counts[0], [2, 3, 4])
  np.testing.assert_allclose(counts[1] / 20000, 1 / 3, atol=0.02)
  np.testing.assert_array_equal(np.unique(actions['push'][:, 0]), [0, 1])
  np.testing.assert_array_equal(np.unique(actions['push'][:, 1]), [0, 1, 2])


def test_each_task_has_actions_of_its_own():
  spec = array_spec.BoundedArraySpec((1,), np.float32, -1.0, 1.0)
  first, second = np.split(_draw(spec, 5, num_tasks=2), 2)
  assert np.all(first != second)
  np.testing.assert_array_equal(first, _draw(spec, 5))


def test_returns_stop_where_episodes_end():
  # A task's value is its number of steps; the actions are the rewards.
  environment = countdown_environment.CountdownEnvironment(3, 2, horizon=10)
  environment.set_tasks([1, 2, 3])
  returns, successes = random_actions.play(environment, seed=4, iteration=0)
  expected = []
  for task, length in enumerate((1, 2, 3)):
    rng = random_streams.generator(
      random_streams.key(4, 0, 0, task, random_streams.Purpose.ACTION)
    )
    spec = environment.action_spec()
    actions = [action_draws.draw(spec, [rng], 2) for _ in range(length)]
    expected.append(np.sum(actions, axis=0)[:, 0])
  np.testing.assert_allclose(returns, expected, rtol=1e-6)
  assert successes is None
  # It stops where the longest episode ends.
  assert environment.advanced == 3


def test_plays_the_current_tasks_repeatably():
  environment = point_navigation.PointNavigation(2, 3, horizon=4)
  goals = np.array([[0.5, 0.5], [50.0, 0.0]])
  environment.set_tasks(goals)
  one, again, other = (
    random_actions.play(environment, seed, 0).returns for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(environment.tasks, goals)
  # Four steps at a distance of 50, less 0.1 a step at most.
  np.testing.assert_allclose(one[1], -200, atol=1.1)
  np.testing.assert_array_equal(one, again)
  assert np.all(one != other)


@pytest.mark.parametrize('dtype', [np.uint8, np.int8, np.int32, np.int64])
def test_integers_are_uniform_from_any_start(dtype):
  spec = {
    'parts': (
      array_spec.BoundedArraySpec((2,), dtype, [3, 1], [4, 1]),
      array_spec.BoundedArraySpec((), dtype, 5, 7),
    )
  }
  (pair, single) = _draw(spec, 3000)['parts']
  assert pair.dtype == single.dtype == dtype
  np.testing.assert_array_equal(np.unique(pair[:, 0]), [3, 4])
  np.testing.assert_array_equal(np.unique(pair[:, 1]), [1])
  values, counts = np.unique(single, return_counts=True)
  np.testing.assert_array_equal(values, [5, 6, 7])
  np.testing.assert_allclose(counts / 3000, 1 / 3, atol=0.05)


def test_negative_starts_are_drawn_too():
  spec = array_spec.BoundedArraySpec((), np.int32, -1, 1)
  np.testing.assert_array_equal(np.unique(_draw(spec, 200)), [-1, 0, 1])


def test_booleans_are_drawn_evenly():
  spec = array_spec.ArraySpec((2,), np.bool_)
  actions = _draw(spec, 3000)
  assert actions.dtype == np.bool_
  np.testing.assert_allclose(actions.mean(axis=0), 0.5, atol=0.05)


def test_successes_count_in_the_first_episode_of_a_row_alone():
  environment = labelled_corridors.DarkCorridors(2, 200, horizon=3)
  tasks = [{'door': d, 'length': 1} for d in ('left', 'right')]
  environment.set_tasks(tasks)
  returns, successes = random_actions.play(environment, 0, 1)
  assert successes.shape == returns.shape == (2, 200)
  # A success has a reward of 1, after at most two steps of -0.1.
  np.testing.assert_array_equal(successes, returns > 0.7)
  # Of three actions one stays: (1 - 1/27) / 2 reach the door in three steps;
  # 0.025 is one standard deviation.
  assert successes.mean() == pytest.approx(0.48, abs=0.1)
