"""Adapts any environment to a policy: shapes, types, bounds, finiteness."""

import numpy as np
import pytest
from tf_agents.environments import batched_py_environment

from maml_tf.collection import matched_environment
from maml_tf.environments import point_navigation
from tests import point_agent
from tests.environments.gymnasium_bridge import counted_episodes


@pytest.fixture(name='policy', scope='module')
def create_policy():
  return point_agent.create_agent().collect_policy


def _match(environment, policy):
  return matched_environment.MatchedEnvironment(environment, policy)


def test_a_single_environment_gets_a_batch_axis(policy):
  environment = counted_episodes.CountedEpisodes((3,))
  matched = _match(environment, policy)
  assert matched.num_rows == 1
  time_step = matched.reset()
  assert time_step.observation.shape == (1, 2)
  assert time_step.observation.dtype == np.float32
  assert time_step.step_type.dtype == np.int32
  time_step = matched.step(np.array([[0.01, 0.02]], np.float32))
  np.testing.assert_array_equal(time_step.observation, [[0, 1]])
  np.testing.assert_array_equal(time_step.reward, [1])
  # The environment itself has no batch axis.
  np.testing.assert_array_equal(
    environment.actions, np.array([[0.01, 0.02]], np.float32)
  )


def test_a_batched_environment_keeps_its_rows(policy):
  rows = [counted_episodes.CountedEpisodes((3, 2), row, 2) for row in (0, 1)]
  environment = batched_py_environment.BatchedPyEnvironment(
    rows, multithreading=False
  )
  matched = _match(environment, policy)
  assert matched.num_rows == 2
  np.testing.assert_array_equal(matched.reset().observation, [[0, 0], [1, 0]])
  environment.close()


def test_actions_are_clipped_unless_the_environment_prices_them(policy):
  beyond = np.array([[0.2, -0.2]], np.float32)
  foreign = counted_episodes.CountedEpisodes((3,))
  seen = []

  class Points(point_navigation.PointNavigation):
    def _advance(self, action):
      seen.append(action)
      return super()._advance(action)

  ours = Points(1, 1)
  for environment in (foreign, ours):
    matched = _match(environment, policy)
    matched.reset()
    matched.step(beyond)
  np.testing.assert_allclose(foreign.actions, [[0.05, -0.025]])
  np.testing.assert_array_equal(seen, [beyond])


def test_discarded_is_always_an_array(policy):
  single = counted_episodes.CountedEpisodes((1,), discards=(0,))
  matched = _match(single, policy)
  matched.reset()
  matched.step(np.zeros((1, 2), np.float32))
  np.testing.assert_array_equal(matched.discarded, [True])
  # An environment without `discarded` discards nothing.
  points = _match(point_navigation.PointNavigation(1, 3), policy)
  np.testing.assert_array_equal(points.discarded, [False] * 3)


def test_an_action_that_is_not_finite_is_not_sent(policy):
  environment = counted_episodes.CountedEpisodes((3,))
  matched = _match(environment, policy)
  matched.reset()
  matched.step(np.zeros((1, 2), np.float32))
  with pytest.raises(FloatingPointError, match='action of step 2 of an epis'):
    matched.step(np.array([[0, np.nan]], np.float32))
  assert len(environment.actions) == 1


def test_steps_are_counted_from_each_reset(policy):
  environment = counted_episodes.CountedEpisodes(
    (3, 3), faults={(1, 1): 'reward'}
  )
  matched = _match(environment, policy)
  action = np.zeros((1, 2), np.float32)
  matched.reset()
  for _ in range(3):
    matched.step(action)
  matched.reset()
  with pytest.raises(FloatingPointError, match='reward of step 1 of an episo'):
    matched.step(action)


def test_specs_that_do_not_match_are_refused(policy):
  class OneNumber(counted_episodes.CountedEpisodes):
    def observation_spec(self):
      return super().action_spec().replace(shape=(1,))

  with pytest.raises(ValueError, match="the environment's observations are"):
    _match(OneNumber((3,)), policy)
