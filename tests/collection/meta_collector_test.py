"""All stages of a meta-batch, repeatable and the same on any worker."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.collection import meta_collector
from maml_tf.environments import point_navigation
from tests import point_agent
from tests.environments import countdown_environment

NUM_TASKS, NUM_EPISODES, HORIZON, NUM_STEPS = 4, 2, 3, 2


def _shift(experience, policy_state, step):
  """Stands for an adaptation step: adds each task's mean reward, squashed."""
  del step
  reward = tf.tanh(tf.reduce_mean(experience.reward, axis=1))
  return tuple(
    p + tf.reshape(reward, [-1] + [1] * (p.shape.rank - 1))
    for p in policy_state
  )


def _collector(
  environment_class=countdown_environment.CountdownEnvironment,
  num_tasks=NUM_TASKS,
  adapt=_shift,
  seed=0,
  first_task_index=0,
  meta_batch_size=None,
):
  """A collector with an agent of fixed initial parameters."""
  environment = environment_class(num_tasks, NUM_EPISODES, HORIZON)
  agent = point_agent.create_agent(environment)
  return meta_collector.MetaCollector(
    environment,
    agent.collect_policy,
    adapt,
    NUM_STEPS,
    seed,
    first_task_index=first_task_index,
    meta_batch_size=meta_batch_size,
  )


@pytest.fixture(name='collected', scope='module')
def collect():
  return _collector().collect(3)


def _stages(collected):
  return (*collected.meta_batch.support, collected.meta_batch.query)


def _assert_equal(one, other):
  tf.nest.map_structure(
    np.testing.assert_array_equal,
    one._replace(seconds=()),
    other._replace(seconds=()),
  )


def test_shapes(collected):
  num_frames = NUM_EPISODES * (HORIZON + 1)
  assert len(collected.meta_batch.support) == NUM_STEPS
  for stage in _stages(collected):
    assert stage.observation.shape == (NUM_TASKS, num_frames, 2)
    assert stage.action.shape == (NUM_TASKS, num_frames, 1)
    assert stage.step_type.shape == (NUM_TASKS, num_frames)
  assert collected.tasks.shape == (NUM_TASKS,)
  assert collected.returns.shape == (NUM_STEPS + 1, NUM_TASKS, NUM_EPISODES)
  assert len(collected.policy_states) == NUM_STEPS + 1
  assert set(collected.seconds) == {'physics', 'acting', 'adaptation', 'other'}
  assert all(seconds >= 0 for seconds in collected.seconds.values())


def test_env_steps_are_the_transitions_of_all_stages(collected):
  # The task sets the length of its episodes, in every stage.
  lengths = np.minimum(collected.tasks, HORIZON)
  assert collected.env_steps == (NUM_STEPS + 1) * NUM_EPISODES * lengths.sum()
  assert len(set(lengths)) > 1


def test_returns_are_those_of_the_frames(collected):
  for returns, stage in zip(collected.returns, _stages(collected)):
    # This environment pays the action.
    paid = np.where(stage.is_boundary(), 0, stage.action[..., 0])
    episodes = paid.reshape(NUM_TASKS, NUM_EPISODES, HORIZON + 1)
    np.testing.assert_allclose(returns, episodes.sum(axis=2), rtol=1e-5)


def test_policy_states_are_the_results_of_adaptation(collected):
  environment = countdown_environment.CountdownEnvironment(1, 1, HORIZON)
  policy = point_agent.create_agent(environment).collect_policy
  meta_parameters = policy.get_initial_state(NUM_TASKS)
  tf.nest.map_structure(
    np.testing.assert_array_equal, collected.policy_states[0], meta_parameters
  )
  for stage in range(NUM_STEPS):
    expected = _shift(
      collected.meta_batch.support[stage],
      collected.policy_states[stage],
      stage,
    )
    tf.nest.map_structure(
      np.testing.assert_array_equal,
      collected.policy_states[stage + 1],
      expected,
    )


def test_each_stage_acts_with_its_own_state():
  steps = []

  # A step of 1 on every parameter moves the mean by at least its own bias.
  def add_one(experience, policy_state, step):
    del experience
    steps.append(step)
    return tuple(p + 1 for p in policy_state)

  collected = _collector(adapt=add_one).collect(0)
  means = [
    np.mean(s.policy_info[0]['loc'][~s.is_boundary()])
    for s in _stages(collected)
  ]
  assert means[0] < means[1] < means[2]
  assert steps == [0, 1]


@pytest.mark.parametrize(
  'iterations, is_warned', [((0, 1), True), ((1, 2), False), ((1, 0, 2), False)]
)
def test_a_loop_that_counts_from_0_is_warned(iterations, is_warned, recwarn):
  collector = _collector()
  for iteration in iterations:
    collector.collect(iteration)
  messages = [str(w.message) for w in recwarn if 'held out' in str(w.message)]
  assert len(messages) == is_warned
  if is_warned:
    assert 'count iterations from 1' in messages[0]


def test_the_same_iteration_is_collected_again_bit_for_bit(collected):
  collector = _collector()
  collector.collect(7)
  _assert_equal(collector.collect(3), collected)


def test_other_iterations_seeds_and_stages_draw_otherwise(collected):
  first = collected.meta_batch.support[0]
  for other in (_collector().collect(4), _collector(seed=1).collect(3)):
    stage = other.meta_batch.support[0]
    # The random start and the noise of the action.
    assert np.all(stage.observation[:, 0, 0] != first.observation[:, 0, 0])
    assert np.all(stage.action[:, 0] != first.action[:, 0])
  for stage in _stages(collected)[1:]:
    assert np.all(stage.observation[:, 0, 0] != first.observation[:, 0, 0])
    assert np.all(np.abs(_noise(stage) - _noise(first))[:, 0] > 1e-3)
  # Neither tasks nor the episodes of one task share random numbers.
  starts = first.observation.numpy()[:, :: HORIZON + 1, 0]
  assert np.unique(starts).size == NUM_TASKS * NUM_EPISODES


def test_other_iterations_draw_other_tasks():
  collector = _collector(point_navigation.PointNavigation)
  one, other = collector.collect(1).tasks, collector.collect(2).tasks
  assert np.all(one != other)


@pytest.mark.parametrize(
  'environment_class',
  [
    countdown_environment.CountdownEnvironment,
    point_navigation.PointNavigation,
  ],
)
def test_dividing_tasks_over_workers_changes_no_draw(environment_class):
  whole = _collector(environment_class).collect(3)
  parts = [
    _collector(environment_class, 2, first_task_index=first).collect(3)
    for first in (0, 2)
  ]
  np.testing.assert_array_equal(
    np.concatenate([part.tasks for part in parts]), whole.tasks
  )
  tf.nest.map_structure(
    lambda one, *others: np.testing.assert_array_equal(
      np.concatenate(others), one
    ),
    whole.meta_batch.support[0],
    *[part.meta_batch.support[0] for part in parts],
  )
  np.testing.assert_array_equal(
    np.concatenate([part.returns[0] for part in parts]), whole.returns[0]
  )
  # Resets and noise of later stages too, where frames may differ in rounding.
  for stage in range(NUM_STEPS + 1):
    starts = [
      np.concatenate([_stages(c)[stage].observation[:, 0] for c in group])
      for group in ([whole], parts)
    ]
    np.testing.assert_array_equal(*starts)
    noises = [
      np.concatenate([_noise(_stages(c)[stage]) for c in group])
      for group in ([whole], parts)
    ]
    np.testing.assert_allclose(*noises, atol=1e-4)


class _TwoKinds(countdown_environment.CountdownEnvironment):
  """The tasks are 1 and 2, which the places take in turn."""

  num_kinds = 2

  def sample_task(self, index, rng):
    return np.float64(1 + index % 2)


@pytest.mark.parametrize('num_workers, share', [(1, 1), (3, 1), (1, 3)])
def test_a_meta_batch_goes_on_with_the_kind_after_its_last(num_workers, share):
  collectors = [
    _collector(
      *(_TwoKinds, share),
      first_task_index=worker * share,
      meta_batch_size=num_workers * share,
    )
    for worker in range(num_workers)
  ]
  drawn = [
    task
    for iteration in (1, 2, 3, 4)
    for collector in collectors
    for task in collector.collect(iteration).tasks
  ]
  assert drawn == [1, 2] * (2 * num_workers * share)


def test_a_place_keeps_its_kind_if_the_meta_batch_is_a_multiple():
  collector = _collector(_TwoKinds, 2, first_task_index=2, meta_batch_size=6)
  for iteration in (1, 2):
    assert list(collector.collect(iteration).tasks) == [1, 2]


def _noise(stage):
  """The parameters of the actions' distributions, 0 on boundaries."""
  info = stage.policy_info[0]
  noise = (stage.action - info['loc']) / info['scale_diag']
  return np.where(stage.is_boundary()[..., tf.newaxis], 0, noise)


def test_works_with_the_agents_own_adaptation():
  environment = point_navigation.PointNavigation(2, NUM_EPISODES, HORIZON)
  agent = point_agent.create_agent(environment)
  collector = meta_collector.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 1, seed=0
  )
  collected = collector.collect(1)
  adapted = agent.adapt(
    collected.meta_batch.support[0], collected.policy_states[0]
  )
  tf.nest.map_structure(
    np.testing.assert_array_equal, collected.policy_states[1], adapted
  )
  assert all(
    np.all(np.any((a != m).numpy().reshape(2, -1), axis=1))
    for a, m in zip(adapted, collected.policy_states[0])
  )
