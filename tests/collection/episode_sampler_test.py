"""Whole episodes of unknown lengths, against arithmetic and our collector."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.environments import batched_py_environment
from tf_agents.trajectories import time_step as ts

from maml_tf.collection import episode_sampler
from maml_tf.collection import meta_collector
from maml_tf.core import random_streams
from maml_tf.environments import point_navigation
from tests import point_agent
from tests.environments.gymnasium_bridge import counted_episodes

FIRST, MID, LAST = (
  int(step_type)
  for step_type in (ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST)
)
LENGTHS = (3, 1, 2, 4)


@pytest.fixture(name='agent', scope='module')
def create_agent():
  return point_agent.create_agent()


def _sample(agent, environment, num_episodes, seed=0, **kwargs):
  sampler = episode_sampler.EpisodeSampler(
    environment, agent.collect_policy, **kwargs
  )
  return sampler.sample(
    agent.collect_policy.get_initial_state(1),
    num_episodes,
    np.random.default_rng(seed),
  )


def _assert_frames(experience, name, expected):
  """Compares the first frames of the only task."""
  values = getattr(experience, name)[0, : len(expected)].numpy()
  np.testing.assert_array_equal(values, expected)


def test_a_single_environment_plays_one_episode_after_the_other(agent):
  environment = counted_episodes.CountedEpisodes(LENGTHS)
  episodes = _sample(agent, environment, 3)
  experience = episodes.experience
  # Episode 0 has three transitions, episode 1 one, episode 2 two; each is
  # followed by a boundary with its final observation.
  _assert_frames(
    experience,
    'observation',
    [[0, 0], [0, 1], [0, 2], [0, 3]]
    + [[1, 0], [1, 1]]
    + [[2, 0], [2, 1], [2, 2]],
  )
  _assert_frames(
    experience,
    'step_type',
    [FIRST, MID, MID, LAST] + [FIRST, LAST] + [FIRST, MID, LAST],
  )
  _assert_frames(
    experience,
    'next_step_type',
    [MID, MID, LAST, LAST] + [LAST, LAST] + [MID, LAST, LAST],
  )
  _assert_frames(experience, 'reward', [1, 2, 3, 0, 11, 0, 21, 22, 0])
  # Episode 0 and 2 terminate, episode 1 is truncated.
  discount = experience.discount.numpy()[0]
  np.testing.assert_array_equal(
    discount[[0, 1, 2, 4, 6, 7]], [1, 1, 0, 1, 1, 0]
  )
  np.testing.assert_array_equal(episodes.returns, [6, 11, 43])
  np.testing.assert_array_equal(episodes.lengths, [3, 1, 2])
  # All other frames are boundaries.
  assert experience.step_type.shape == (1, 256)
  assert np.all(experience.is_boundary().numpy()[0, 9:])
  for tensor in tf.nest.flatten(experience):
    assert np.isfinite(tensor.numpy()).all()


class _ReusedArrays(counted_episodes.CountedEpisodes):
  """Writes all its time steps into the same arrays."""

  def _faulty(self, time_step):
    if not hasattr(self, '_shared'):
      self._shared = tf.nest.map_structure(np.array, time_step)
    tf.nest.map_structure(np.copyto, self._shared, time_step)
    return self._shared


@pytest.mark.parametrize('is_batched', [False, True])
def test_an_environment_may_reuse_its_arrays(agent, is_batched):
  environment = _ReusedArrays(LENGTHS)
  if is_batched:
    # The batch of one row is a view of the row's arrays.
    environment = batched_py_environment.BatchedPyEnvironment(
      [environment], multithreading=False
    )
  episodes = _sample(agent, environment, 2)
  _assert_frames(
    episodes.experience,
    'observation',
    [[0, 0], [0, 1], [0, 2], [0, 3]] + [[1, 0], [1, 1]],
  )
  _assert_frames(episodes.experience, 'reward', [1, 2, 3, 0, 11, 0])
  np.testing.assert_array_equal(episodes.returns, [6, 11])


def test_a_batched_environment_plays_them_in_rounds(agent):
  # Row 0 has the episodes 0 and 2, row 1 the episodes 1 and 3.
  rows = [counted_episodes.CountedEpisodes(LENGTHS, row, 2) for row in (0, 1)]
  environment = batched_py_environment.BatchedPyEnvironment(
    rows, multithreading=False
  )
  episodes = _sample(agent, environment, 3)
  # Row 1 goes on to episode 3 while row 0 still plays episode 0, and is reset
  # with it: its episode of the second round would be episode 5.
  np.testing.assert_array_equal(episodes.returns, [6, 11, 43])
  np.testing.assert_array_equal(episodes.lengths, [3, 1, 2])
  _assert_frames(
    episodes.experience,
    'observation',
    [[0, 0], [0, 1], [0, 2], [0, 3]]
    + [[1, 0], [1, 1]]
    + [[2, 0], [2, 1], [2, 2]],
  )
  environment.close()


def test_discarded_episodes_are_played_again(agent):
  environment = counted_episodes.CountedEpisodes(LENGTHS, discards=(0, 2))
  episodes = _sample(agent, environment, 2)
  # Episode i has the rewards 10 i + 1, 10 i + 2, ...: 11; 31 + 32 + 33 + 34.
  np.testing.assert_array_equal(episodes.returns, [11, 130])
  np.testing.assert_array_equal(episodes.lengths, [1, 4])
  assert episodes.num_discarded == 2
  _assert_frames(
    episodes.experience,
    'observation',
    [[1, 0], [1, 1]] + [[3, 0], [3, 1], [3, 2], [3, 3], [3, 4]],
  )
  assert np.all(episodes.experience.is_boundary().numpy()[0, 7:])


class _Rows(batched_py_environment.BatchedPyEnvironment):
  @property
  def discarded(self):
    return np.array([row.discarded for row in self.envs])


def test_a_row_loses_its_own_episode_of_the_round(agent):
  # Row 0 has the episodes 0, 2, ..., row 1 the episodes 1, 3, ...
  rows = [
    counted_episodes.CountedEpisodes((3, 1, 2, 1), row, 2, discards=(1, 5))
    for row in (0, 1)
  ]
  environment = _Rows(rows, multithreading=False)
  episodes = _sample(agent, environment, 3)
  # First round: 0, and 1, which is lost; row 1 waits with episode 3. Second:
  # 2 (21 + 22), and 5, which is lost, row 1 waits with 7. Third: 4, and 9.
  np.testing.assert_array_equal(episodes.returns, [6, 43, 41 + 42 + 43])
  assert episodes.num_discarded == 2
  environment.close()


def test_episodes_discarded_while_a_row_waits_do_not_count(agent):
  rows = [
    counted_episodes.CountedEpisodes((4, 1), row, 2, discards=(3,))
    for row in (0, 1)
  ]
  environment = _Rows(rows, multithreading=False)
  episodes = _sample(agent, environment, 2)
  np.testing.assert_array_equal(episodes.returns, [1 + 2 + 3 + 4, 11])
  assert episodes.num_discarded == 0
  environment.close()


def test_an_episode_without_end_is_truncated(agent):
  environment = counted_episodes.CountedEpisodes((0, 2))
  episodes = _sample(agent, environment, 2, max_episode_steps=4)
  experience = episodes.experience
  np.testing.assert_array_equal(episodes.lengths, [4, 2])
  _assert_frames(
    experience, 'step_type', [FIRST, MID, MID, MID, LAST, FIRST, MID, LAST]
  )
  _assert_frames(
    experience, 'next_step_type', [MID, MID, MID, LAST, LAST, MID, LAST, LAST]
  )
  # Truncation, as by a time limit: the value of the rest counts.
  assert experience.discount[0, 3] == 1
  np.testing.assert_array_equal(experience.observation[0, 4], [0, 4])
  assert experience.reward[0, 4] == 0


def test_actions_are_clipped_on_their_way_and_remembered_as_sampled(agent):
  environment = counted_episodes.CountedEpisodes((50,))
  experience = _sample(agent, environment, 1).experience
  sampled = experience.action.numpy()[0, :50]
  assert (sampled < -0.025).any() and (sampled > 0.05).any()
  np.testing.assert_array_equal(
    np.stack(environment.actions), np.clip(sampled, -0.025, 0.05)
  )
  mean = experience.policy_info[0]['loc'].numpy()[0, :50]
  noise = np.random.default_rng(0).standard_normal((50, 2), np.float32)
  # The small agent's initial deviation is 0.5 times its action bound, 0.1.
  np.testing.assert_allclose(sampled, mean + 0.05 * noise, atol=1e-6)


def test_t_grows_but_does_not_shrink(agent):
  environment = counted_episodes.CountedEpisodes((300, 10, 10))
  sampler = episode_sampler.EpisodeSampler(environment, agent.collect_policy)
  state = agent.collect_policy.get_initial_state(1)
  generator = np.random.default_rng(0)
  for _ in range(3):
    experience = sampler.sample(state, 1, generator).experience
    assert experience.reward.shape == (1, 512)


@pytest.mark.parametrize(
  ('fault', 'name', 'num_steps', 'named'),
  [
    ((1, 0), 'observation', 3, 'observation of step 0'),
    ((1, 2), 'observation', 5, 'observation of step 2'),
    ((0, 2), 'reward', 2, 'reward of step 2'),
  ],
)
def test_a_number_that_is_not_finite_ends_the_sampling(
  agent, fault, name, num_steps, named
):
  environment = counted_episodes.CountedEpisodes((3, 4), faults={fault: name})
  with pytest.raises(FloatingPointError, match=named):
    _sample(agent, environment, 2)
  assert len(environment.actions) == num_steps


@pytest.mark.parametrize('name', ['observation', 'reward'])
@pytest.mark.parametrize(
  ('lengths', 'fault'),
  [
    # Episode 1 is surplus.
    ((5, 5), (1, 2)),
    ((5, 5), (1, 5)),
    # Episode 3 begins while row 1 waits for row 0.
    ((5, 2), (3, 1)),
    ((5, 2), (3, 0)),
  ],
)
def test_episodes_that_nobody_keeps_may_have_nan(agent, name, lengths, fault):
  rows = [
    counted_episodes.CountedEpisodes(lengths, row, 2, {fault: name})
    for row in (0, 1)
  ]
  environment = batched_py_environment.BatchedPyEnvironment(
    rows, multithreading=False
  )
  num_episodes = 1 if fault[0] == 1 else 2
  episodes = _sample(agent, environment, num_episodes)
  returns = [15, 23 if lengths[1] == 2 else 65][:num_episodes]
  np.testing.assert_array_equal(episodes.returns, returns)
  for row in rows:
    assert np.isfinite(row.actions).all()
  environment.close()


@pytest.mark.parametrize('name', ['observation', 'reward'])
def test_the_end_of_a_discarded_episode_may_be_nan(agent, name):
  environment = counted_episodes.CountedEpisodes(
    (3, 4), faults={(0, 3): name}, discards=(0,)
  )
  episodes = _sample(agent, environment, 1)
  assert episodes.num_discarded == 1
  np.testing.assert_array_equal(episodes.returns, [50])


def test_a_surplus_episode_that_is_needed_after_all(agent):
  class Rows(batched_py_environment.BatchedPyEnvironment):
    @property
    def discarded(self):
      return np.array([row.discarded for row in self.envs])

  environment = Rows(
    [
      counted_episodes.CountedEpisodes((3, 3), row, 2, {(1, 2): 'reward'}, (0,))
      for row in (0, 1)
    ],
    multithreading=False,
  )
  with pytest.raises(FloatingPointError, match='reward of step 2'):
    _sample(agent, environment, 1)
  environment.close()


def test_nan_actions_are_not_sent(agent):
  environment = counted_episodes.CountedEpisodes((3,))
  sampler = episode_sampler.EpisodeSampler(environment, agent.collect_policy)
  state = tuple(
    tf.fill(p.shape, np.nan) for p in agent.collect_policy.get_initial_state(1)
  )
  with pytest.raises(FloatingPointError, match='action of step 1'):
    sampler.sample(state, 1, np.random.default_rng(0))
  assert not environment.actions


def test_frames_are_those_of_the_collector():
  environment = point_navigation.PointNavigation(1, 3, horizon=40)
  agent = point_agent.create_agent(environment)
  collected = meta_collector.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 1, seed=4
  ).collect(2)
  stage = collected.meta_batch.support[0]

  environment.set_tasks(collected.tasks)
  purpose = random_streams.Purpose
  environment.seed([random_streams.key(4, 2, 0, 0, purpose.RESET)])
  sampler = episode_sampler.EpisodeSampler(environment, agent.collect_policy)
  episodes = sampler.sample(
    agent.collect_policy.get_initial_state(1),
    3,
    random_streams.generator(random_streams.key(4, 2, 0, 0, purpose.ACTION)),
  )
  np.testing.assert_array_equal(episodes.returns, collected.returns[0, 0])
  ours, theirs = (
    tf.nest.map_structure(
      lambda t: tf.boolean_mask(t, ~s.is_boundary()).numpy(),  # noqa: B023
      s,
    )
    for s in (episodes.experience, stage)
  )
  tf.nest.map_structure(np.testing.assert_array_equal, ours, theirs)
