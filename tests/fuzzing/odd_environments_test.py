"""Whole iterations with episodes of one step and rewards of any size."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.collection import meta_collector
from maml_tf.core import finite_checks
from maml_tf.environments import point_navigation
from maml_tf.learning import meta_learner
from tests import point_agent


class _PaidNavigation(point_navigation.PointNavigation):
  """Gives the rows `rewards`, and terminates all episodes if `terminates`."""

  rewards = None
  terminates = False

  def _advance(self, action):
    observation, _, terminated = super()._advance(action)
    rewards = np.array(self.rewards, np.float32)
    return observation, rewards, terminated | self.terminates


class _Run:
  """Collects and learns from two tasks of two episodes of one step."""

  def __init__(self):
    self.environment = _PaidNavigation(2, 2, horizon=1)
    self.agent = point_agent.create_agent(self.environment, optimizer_steps=1)
    self.collector = meta_collector.MetaCollector(
      self.environment, self.agent.collect_policy, self.agent.adapt, 1, seed=0
    )
    self.learner = meta_learner.MetaLearner(self.agent)
    self.initial = [v.numpy() for v in self.agent.training_variables]


@pytest.fixture(name='run', scope='module')
def make_run():
  return _Run()


_REWARD = st.one_of(
  st.floats(-1e3, 1e3, width=32),
  st.sampled_from([0.0, 1e18, 1e30, -1e30, 3e38, np.nan, np.inf, -np.inf]),
)


@pytest.mark.fuzz
@hypothesis.example([0.0] * 4, False)
@hypothesis.example([1e30] * 4, True)
@hypothesis.example([1e30, -1e30, 0.0, 1.0], False)
@hypothesis.given(
  st.one_of(
    _REWARD.map(lambda reward: [reward] * 4),
    st.lists(_REWARD, min_size=4, max_size=4),
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=4, max_size=4),
  ),
  st.booleans(),
)
def test_any_rewards_of_single_steps(run, rewards, terminates):
  for variable, value in zip(run.agent.training_variables, run.initial):
    variable.assign(value)
  run.environment.rewards = rewards
  run.environment.terminates = terminates
  is_finite = np.isfinite(rewards).all()
  try:
    collected = run.collector.collect(1)
    assert is_finite
    assert collected.env_steps == 8
    np.testing.assert_array_equal(
      collected.returns,
      np.broadcast_to(np.float32(rewards).reshape(2, 2), (2, 2, 2)),
    )
    loss_info = run.learner.run(collected.meta_batch)
  except finite_checks.NonFiniteError as error:
    # The squares of all other rewards are finite in float32.
    assert not np.all(np.abs(rewards) < 1e18)
    assert is_finite or 'reward' in str(error)
    for variable, value in zip(run.agent.training_variables, run.initial):
      np.testing.assert_array_equal(variable, value)
  else:
    for tensor in tf.nest.flatten((loss_info, run.agent.training_variables)):
      assert np.isfinite(tensor.numpy()).all()
