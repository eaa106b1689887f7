"""Stages that one compiled call plays, against the rollout of single steps."""

import gin
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.collection import episode_buffer
from maml_tf.collection import episode_driver
from maml_tf.collection import graph_driver
from maml_tf.collection import meta_collector
from maml_tf.collection import stage_holder
from maml_tf.core import finite_checks
from maml_tf.environments import classic_control
from maml_tf.environments.in_graph import classic_control as tensor_control
from maml_tf.environments.in_graph import tensor_environment
from tests import point_agent
from tests.environments.in_graph import drifting_tasks

NUM_TASKS, NUM_EPISODES, HORIZON = 5, 3, 7


def _drifting(num_tasks=NUM_TASKS, horizon=HORIZON, **replaced):
  environment = tensor_environment.TensorEnvironment(
    num_tasks,
    NUM_EPISODES,
    horizon,
    drifting_tasks.DriftingTasks(**replaced),
  )
  # Episodes of about 9, 5, 3, 2 and 2 steps.
  environment.set_tasks([0.1, 0.2, 0.35, 0.5, 0.6][:num_tasks])
  return environment


def _noise(policy, num_tasks=NUM_TASKS, horizon=HORIZON):
  return policy.distributions.draw_noise(
    np.random.default_rng(0), (num_tasks, horizon, NUM_EPISODES)
  )


def _holder(policy, num_tasks=NUM_TASKS, horizon=HORIZON):
  return stage_holder.StageHolder(
    policy.collect_data_spec, num_tasks, NUM_EPISODES, horizon
  )


def _play(environment, agent, horizon=HORIZON, **keywords):
  """One stage of a driver, with a state and noise of its own."""
  policy = agent.collect_policy
  holder = _holder(policy, horizon=horizon)
  driver = graph_driver.GraphDriver(
    environment, policy, [holder], horizon, **keywords
  )
  environment.seed(3)
  driver.run(
    point_agent.different_parameters(agent, NUM_TASKS),
    _noise(policy, horizon=horizon),
  )
  assert driver.policy_seconds > 0
  return holder


@pytest.fixture(name='agent', scope='module')
def create_agent():
  return point_agent.create_agent(_drifting())


@pytest.fixture(name='played', scope='module')
def play(agent):
  return _play(_drifting(), agent)


def test_frames_are_those_of_single_steps(agent, played):
  environment, policy = _drifting(), agent.collect_policy
  buffer = episode_buffer.EpisodeBuffer(
    policy.collect_data_spec, NUM_TASKS, NUM_EPISODES, HORIZON
  )
  driver = episode_driver.EpisodeDriver(environment, policy, [buffer], HORIZON)
  environment.seed(3)
  driver.run(
    point_agent.different_parameters(agent, NUM_TASKS),
    tuple(np.concatenate(list(noise), axis=1) for noise in _noise(policy)),
  )
  np.testing.assert_allclose(
    played.episode_returns(), buffer.episode_returns(), atol=1e-5
  )
  assert played.num_transitions() == buffer.num_transitions()
  frames, expected = played.frames(), buffer.frames()
  np.testing.assert_array_equal(frames.step_type, expected.step_type)
  valid = ~expected.is_boundary()
  observed = valid.copy()
  observed[:, 1:] |= valid[:, :-1]
  for name, used in (
    ('observation', observed),
    ('action', valid),
    ('policy_info', valid),
    ('next_step_type', valid),
    ('reward', valid),
    ('discount', valid),
  ):
    for one, other in zip(
      tf.nest.flatten(getattr(frames, name)),
      tf.nest.flatten(getattr(expected, name)),
    ):
      np.testing.assert_allclose(one[used], other[used], atol=1e-5)
  # Some episodes end early, some at the horizon, and some of them terminate.
  assert 0 < (~valid).sum() - NUM_TASKS * NUM_EPISODES
  assert {0, 1} == set(frames.discount[valid & (frames.next_step_type == 2)])


def test_boundaries_hold_zeros(played):
  frames = played.frames()
  boundary = frames.is_boundary()
  np.testing.assert_array_equal(frames.next_step_type[boundary], 2)
  for array in tf.nest.flatten(
    (frames.action, frames.policy_info, frames.reward)
  ):
    assert not array[boundary].any()
  # All but the LAST frame, which holds the final observation.
  padding = boundary[:, 1:] & boundary[:, :-1]
  assert padding.any()
  for array in tf.nest.flatten(frames.observation):
    assert not array[:, 1:][padding].any()


def test_the_loop_stops_when_all_have_ended(agent, played):
  # With a horizon of thousands, frames after the ends are padding all the same.
  longer = _play(_drifting(horizon=2000), agent, horizon=2000).frames()
  assert longer.reward.shape == (NUM_TASKS, NUM_EPISODES * 2001)
  assert np.count_nonzero(~longer.is_boundary()) < 20 * NUM_TASKS * NUM_EPISODES


@pytest.mark.parametrize('chunk_size', [1, 2, 5])
def test_bits_do_not_depend_on_the_chunk(agent, played, chunk_size):
  other = _play(_drifting(), agent, task_chunk_size=chunk_size)
  tf.nest.map_structure(
    np.testing.assert_array_equal, other.frames(), played.frames()
  )


def test_xla_gives_the_same_to_rounding(agent, played):
  other = _play(_drifting(), agent, jit_compile=True)
  np.testing.assert_allclose(
    other.episode_returns(), played.episode_returns(), atol=1e-4
  )
  np.testing.assert_array_equal(
    other.frames().step_type, played.frames().step_type
  )


def test_an_empty_holder_gives_boundaries(agent):
  holder = _holder(agent.collect_policy)
  assert holder.num_transitions() == 0
  frames = holder.read()
  assert np.all(frames.is_boundary())
  frame = NUM_EPISODES * (HORIZON + 1)
  assert frames.observation['x'].shape == (NUM_TASKS, frame, 1)


def _collector(environment_class, agent, num_tasks=4, first_task_index=0):
  return meta_collector.MetaCollector(
    environment_class(num_tasks, NUM_EPISODES, 12),
    agent.collect_policy,
    agent.adapt,
    1,
    seed=0,
    first_task_index=first_task_index,
    prepare=agent.prepare,
  )


def test_a_collection_is_that_of_the_numpy_form_and_repeats():
  agent = point_agent.create_agent(classic_control.PendulumMass(4, 3, 12))
  expected = _collector(classic_control.PendulumMass, agent).collect(3)
  cls = tensor_control.PendulumMassTensors
  collector = _collector(cls, agent)
  collector.collect(2)
  one, other = collector.collect(3), _collector(cls, agent).collect(3)
  np.testing.assert_array_equal(one.tasks, expected.tasks)
  np.testing.assert_allclose(one.returns, expected.returns, atol=1e-3)
  assert one.env_steps == expected.env_steps
  tf.nest.map_structure(
    np.testing.assert_array_equal,
    one._replace(seconds=()),
    other._replace(seconds=()),
  )
  # However tasks are divided over workers.
  parts = [
    _collector(cls, agent, 2, first_task_index=first).collect(3)
    for first in (0, 2)
  ]
  tf.nest.map_structure(
    lambda whole, *halves: np.testing.assert_array_equal(
      np.concatenate(halves), whole
    ),
    one.meta_batch,
    *[part.meta_batch for part in parts],
  )


def test_numbers_that_are_not_finite_are_found(agent):
  gin.clear_config()

  def environment_class(*sizes):
    return tensor_environment.TensorEnvironment(
      *sizes, drifting_tasks.DriftingTasks(reward=lambda r: r / 0.0)
    )

  with pytest.raises(
    finite_checks.NonFiniteError, match='the reward of task 0'
  ):
    _collector(environment_class, agent).collect(1)
