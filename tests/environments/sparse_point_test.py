"""The rewards of the sparse point by hand, and which tasks are sparse."""

import gin
import numpy as np
import pytest

from maml_tf.core import random_streams
from maml_tf.environments import observed_task
from maml_tf.environments import sparse_point
from maml_tf.run import config as run_config


def _environment(tasks, horizon=20):
  environment = sparse_point.SparsePoint(len(tasks), 1, horizon)
  environment.set_tasks(tasks)
  environment.reset()
  return environment


def test_a_goal_is_paid_densely_or_within_a_fifth():
  # Each goal twice, dense and sparse. Three steps to the right lead to 0.3.
  goals = [[0.5001, 0], [0.4999, 0], [0.3, -0.2001], [0.3, 0.1999], [0.3, 0]]
  environment = _environment([[*g, s] for g in goals for s in (0, 1)])
  right = np.tile([0.1, 0.0], (10, 1))
  for _ in range(3):
    time_step = environment.step(right)
  np.testing.assert_allclose(
    time_step.reward,
    # Pairs: minus the distance; 1 - distance within 0.2, else 0.
    [-0.2001, 0, -0.1999, 0.8001, -0.2001, 0, -0.1999, 0.8001, 0, 1],
    atol=1e-6,
  )
  np.testing.assert_allclose(time_step.observation, [[0.3, 0]] * 10, atol=1e-7)


def test_positions_and_returns_along_a_path():
  environment = _environment([[0, 1, 0], [0, 1, 1], [-1, 0, 1]])
  up = np.tile([0.0, 7.0], (3, 1))
  # Actions are clipped to 0.1, so the step t ends at (0, 0.1 t).
  rewards = [environment.step(up).reward for _ in range(10)]
  distances = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0]
  # Whether 0.2 is reached after eight steps is a matter of rounding.
  rewards = np.delete(np.transpose(rewards), 7, axis=1)
  distances = np.delete(distances, 7)
  sparse = [0, 0, 0, 0, 0, 0, 0, 0.9, 1]
  np.testing.assert_allclose(
    rewards, [-distances, sparse, np.zeros(9)], atol=1e-6
  )


def test_only_the_horizon_ends_an_episode():
  environment = _environment([[0, 0, 0], [0, 0, 1]], horizon=3)
  stay = np.zeros((2, 2))
  for _ in range(2):
    time_step = environment.step(stay)
    assert not time_step.is_last().any()
  last = environment.step(stay)
  assert last.is_last().all()
  np.testing.assert_array_equal(last.discount, [1, 1])
  np.testing.assert_array_equal(last.reward, [0, 1])


def test_goals_lie_on_the_upper_half_circle():
  environment = _environment([[1, 0, 0]])
  tasks = environment.sample_tasks(10_000, np.random.default_rng(0))
  np.testing.assert_allclose(np.hypot(*tasks[:, :2].T), 1, rtol=1e-12)
  angles = np.arctan2(tasks[:, 1], tasks[:, 0])
  counts, _ = np.histogram(angles, bins=10, range=(0, np.pi))
  # Each tenth has 1,000 of them, with a standard deviation of 30.
  assert counts.sum() == 10_000
  assert np.abs(counts - 1000).max() < 150


def test_training_is_dense_and_evaluation_sparse():
  environment = _environment([[1, 0, 0]])
  tasks = environment.sample_tasks(5, np.random.default_rng(0))
  assert tasks[:, 2].tolist() == [0] * 5
  training, held_out = (
    draw(3, np.random.default_rng(2))
    for draw in (environment.sample_task, environment.held_out_task)
  )
  assert training[2] == 0
  assert held_out[2] == 1
  np.testing.assert_array_equal(held_out[:2], training[:2])
  assert environment.task_list is None


@pytest.mark.parametrize('sparse', [0.5, -1, 2])
def test_another_reward_is_refused_in_one_line(sparse):
  environment = _environment([[1, 0, 0], [0, 1, 1]])
  with pytest.raises(ValueError, match='give 0 or 1 as the third') as error:
    environment.set_tasks([[1, 0, 0], [1, 0, sparse]])
  assert '\n' not in str(error.value)
  np.testing.assert_array_equal(environment.tasks, [[1, 0, 0], [0, 1, 1]])


def test_films_say_which_reward_it_is():
  environment = _environment([[1, 0, 0]])
  assert environment.describe_task(np.array([0.6, 0.8, 0])) == (
    'task 0.6, 0.8: goal, dense reward'
  )
  assert environment.describe_task(np.array([0.6, 0.8, 1])) == (
    'task 0.6, 0.8: goal, sparse reward'
  )
  states = environment.render_state()
  render = environment.create_renderer(np.array([0.6, 0.8, 1]), states, 40, 30)
  assert render(states).shape == (30, 40, 3)


def test_an_oracle_sees_the_goal_alone():
  environment = observed_task.ObservedTask(sparse_point.SparsePoint(2, 1))
  assert environment.observation_spec().shape == (4,)
  environment.set_tasks([[0.6, 0.8, 0], [-1, 0, 1]])
  # A number that is 0 in all of training would mislead it in the test.
  np.testing.assert_allclose(
    environment.reset().observation,
    [[0, 0, 0.6, 0.8], [0, 0, -1, 0]],
    rtol=1e-6,
  )


def test_the_config_has_the_numbers_of_its_source():
  gin.clear_config()
  run_config.parse(['sparse_point.gin'], [])
  assert gin.query_parameter('train_eval.horizon') == 20
  assert gin.query_parameter('MamlAgent.discount') == 0.9
  gin.clear_config()


def test_a_place_of_an_evaluation_has_a_goal_of_its_own():
  environment = _environment([[1, 0, 0]])
  keys = random_streams.task_keys(
    0, random_streams.HELD_OUT, 0, range(40), random_streams.Purpose.TASK
  )
  tasks = [
    environment.held_out_task(place, random_streams.generator(key))
    for place, key in enumerate(keys)
  ]
  assert len(np.unique(tasks, axis=0)) == 40
