"""The agent works as TF-Agents expects, and with TF-Agents' own parts."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents import test_util
from tf_agents.agents import tf_agent
from tf_agents.drivers import dynamic_episode_driver
from tf_agents.drivers import tf_driver
from tf_agents.environments import tf_py_environment
from tf_agents.policies import policy_saver
from tf_agents.policies import tf_policy
from tf_agents.replay_buffers import tf_uniform_replay_buffer
from tf_agents.specs import tensor_spec
from tf_agents.train import learner
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.utils import common
from tf_agents.utils import test_utils

from maml_tf.collection import episode_buffer
from maml_tf.collection import episode_driver
from maml_tf.collection import meta_collector
from maml_tf.core import meta_batch
from maml_tf.environments import point_navigation
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_learner
from tests import point_agent
from tests.environments import countdown_environment
from tests.learning import recorded_batches

NUM_TASKS, NUM_EPISODES, HORIZON = 2, 3, 4
NUM_ROWS = NUM_TASKS * NUM_EPISODES
F, M, L = (
  int(t) for t in (ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST)
)


def _values(agent):
  return [v.numpy() for v in agent.meta_parameters]


def _assert_close(actual, expected, **tolerance):
  tf.nest.map_structure(
    lambda a, b: np.testing.assert_allclose(a, b, **tolerance), actual, expected
  )


def test_members_of_an_agent():
  environment = point_navigation.PointNavigation()
  agent = point_agent.create_agent(environment)
  assert isinstance(agent, tf_agent.TFAgent)
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  assert agent.time_step_spec == time_step_spec
  assert agent.action_spec == tensor_spec.from_spec(environment.action_spec())
  for policy in (agent.policy, agent.collect_policy):
    assert isinstance(policy, tf_policy.TFPolicy)
    assert policy.time_step_spec == time_step_spec
    assert policy.action_spec == agent.action_spec
  # Drivers record, buffers store and stages consist of the same frames.
  assert isinstance(agent.collect_data_spec, trajectory.Trajectory)
  assert agent.collect_data_spec == agent.collect_policy.collect_data_spec
  assert agent.collect_data_spec.policy_info
  assert agent.training_data_spec == meta_batch.MetaBatch(
    (agent.collect_data_spec,), agent.collect_data_spec
  )
  assert agent.train_sequence_length is None
  assert agent.train_step_counter.dtype == tf.int64


def test_calls_of_an_agent():
  agent = point_agent.create_agent()
  before = _values(agent)
  assert agent.initialize() is None
  batch = recorded_batches.create(agent)
  _assert_close(agent.preprocess_sequence(batch.query), batch.query)
  loss_info = agent.loss(batch)
  assert isinstance(loss_info, tf_agent.LossInfo)
  _assert_close(_values(agent), before)
  assert agent.train_step_counter.numpy() == 0
  # Two optimizer steps are one train step.
  loss_info = agent.train(batch)
  assert isinstance(loss_info, tf_agent.LossInfo)
  assert loss_info.loss.shape == ()
  assert agent.train_step_counter.numpy() == 1
  assert all(np.any(a != b) for a, b in zip(before, _values(agent)))


class LossAndTrainTest(test_utils.TestCase):
  """TF-Agents' own check of an agent's loss and train."""

  def test_one_optimizer_step(self):
    agent = point_agent.create_agent(optimizer_steps=1)
    batch = recorded_batches.create(agent)
    test_util.test_loss_and_train_output(
      self, expect_equal_loss_values=True, agent=agent, experience=batch
    )

  def test_several_optimizer_steps(self):
    agent = point_agent.create_agent(optimizer_steps=3)
    batch = recorded_batches.create(agent)
    test_util.test_loss_and_train_output(
      self, expect_equal_loss_values=False, agent=agent, experience=batch
    )


def test_checkpoint_round_trip(tmp_path):
  def checkpointer(agent):
    # Restores an existing checkpoint.
    return common.Checkpointer(
      str(tmp_path), agent=agent, train_step=agent.train_step_counter
    )

  agent, restored = (
    point_agent.create_agent(normalize_observations=True) for _ in range(2)
  )
  batches = [recorded_batches.create(agent, seed) for seed in range(3)]
  for batch in batches[:2]:
    agent.train(batch)
  checkpointer(agent).save(agent.train_step_counter)

  for variable in restored.meta_parameters:
    variable.assign(tf.zeros_like(variable))
  assert checkpointer(restored).checkpoint_exists
  assert restored.train_step_counter.numpy() == 2
  # Moments of the optimizer, KL coefficients and statistics too: the next step
  # is the same.
  losses = [a.train(batches[2]) for a in (agent, restored)]
  _assert_close(losses[1], losses[0], rtol=1e-6)
  _assert_close(_values(restored), _values(agent), rtol=1e-6)


def test_saved_policies_take_a_state_a_task(tmp_path):
  agent = point_agent.create_agent()
  state = point_agent.different_parameters(agent, NUM_TASKS)
  observation = tf.random.normal([NUM_ROWS, 2])
  time_step = ts.restart(observation, batch_size=NUM_ROWS)
  policy_saver.PolicySaver(agent.collect_policy, batch_size=None).save(
    str(tmp_path)
  )
  loaded = tf.saved_model.load(str(tmp_path))
  rows_state = tuple(tf.repeat(p, NUM_EPISODES, axis=0) for p in state)
  expected = agent.collect_policy.action(time_step, state).info
  for given in (state, rows_state):
    step = loaded.action(time_step, given)
    assert step.action.shape == (NUM_ROWS, 2)
    _assert_close(step.info, expected, rtol=1e-5, atol=1e-6)
    _assert_close(step.state, given)


def _stock_rows(environment, agent, state, num_frames):
  """Rows [N, T'] of a stock driver, read from a stock buffer."""
  replay_buffer = tf_uniform_replay_buffer.TFUniformReplayBuffer(
    agent.collect_data_spec, environment.batch_size, max_length=num_frames
  )
  driver = dynamic_episode_driver.DynamicEpisodeDriver(
    tf_py_environment.TFPyEnvironment(environment),
    agent.collect_policy,
    [replay_buffer.add_batch],
    num_episodes=environment.batch_size * num_frames,
  )
  driver.run(policy_state=state, maximum_iterations=num_frames)
  return replay_buffer.gather_all()


@pytest.fixture(name='points', scope='module')
def collect_points():
  """A stage of stock rows, the same actions as our driver's [B, T], and more.

  The goals are out of reach: each row is one whole episode and its boundary.
  """
  environment = point_navigation.PointNavigation(
    NUM_TASKS, NUM_EPISODES, HORIZON
  )
  environment.set_tasks([[2, 0], [0, -3]])
  agent = point_agent.create_agent(environment)
  state = point_agent.different_parameters(agent, NUM_TASKS)
  rows = _stock_rows(environment, agent, state, HORIZON + 1)
  (info,) = rows.policy_info
  noise = (rows.action - info['loc']) / info['scale_diag']
  buffer = episode_buffer.EpisodeBuffer(
    agent.collect_data_spec, NUM_TASKS, NUM_EPISODES, HORIZON
  )
  driver = episode_driver.EpisodeDriver(
    environment, agent.collect_policy, [buffer], HORIZON
  )
  driver.run(state, (np.swapaxes(noise, 0, 1)[:-1],))
  return agent, state, rows, buffer.read()


def test_stock_parts_give_the_same_results(points):
  agent, state, rows, stage = points
  batch = agent.meta_batch([rows, rows], NUM_TASKS)
  assert isinstance(batch, meta_batch.MetaBatch)
  (support,), query = batch.support, batch.query
  _assert_close(support, query)
  assert query.reward.shape == (NUM_TASKS, NUM_EPISODES * (HORIZON + 1))
  np.testing.assert_array_equal(query.step_type, stage.step_type)
  valid = ~stage.is_boundary().numpy()
  assert valid.sum() == NUM_ROWS * HORIZON
  for actual, expected in zip(
    tf.nest.flatten(query), tf.nest.flatten(stage), strict=True
  ):
    np.testing.assert_allclose(
      actual[valid], expected[valid], rtol=1e-4, atol=1e-5
    )
  # The final observations, from which truncated episodes bootstrap.
  np.testing.assert_allclose(
    query.observation, stage.observation, rtol=1e-4, atol=1e-5
  )
  expected = agent.adapt(stage, state)
  moved = max(np.abs(a - b).max() for a, b in zip(expected, state))
  assert moved > 0.01
  # The parameters of each task, or those of each row as a driver makes them.
  rows_state = tuple(tf.repeat(p, NUM_EPISODES, axis=0) for p in state)
  for adapted in (
    agent.adapt(rows, state),
    agent.adapt(rows, state, num_tasks=NUM_TASKS),
    agent.adapt(rows, rows_state, num_tasks=NUM_TASKS),
  ):
    _assert_close(adapted, expected, rtol=1e-3, atol=1e-5)


def test_gradients_of_regrouped_rows(points):
  _, _, rows, stage = points
  by_hand = tf.nest.map_structure(
    lambda t: np.stack(
      [np.concatenate(t[:NUM_EPISODES]), np.concatenate(t[NUM_EPISODES:])]
    ),
    rows,
  )
  trained = []
  agent = point_agent.create_agent()
  start = [v.numpy() for v in agent.training_variables]
  for batch in (
    agent.meta_batch([rows, rows], NUM_TASKS),
    meta_batch.MetaBatch((by_hand,), by_hand),
    meta_batch.MetaBatch((stage,), stage),
  ):
    # Each time as if it were new: its graphs take seconds to trace.
    for variable, value in zip(agent.training_variables, start, strict=True):
      variable.assign(value)
    before = _values(agent)
    loss_info = agent.train(batch)
    changes = [b - a for a, b in zip(before, _values(agent), strict=True)]
    trained.append((changes, loss_info))
  regrouped, exact, ours = trained
  _assert_close(regrouped, exact, rtol=1e-6)
  np.testing.assert_allclose(
    regrouped[1].extra.gradient_norm, ours[1].extra.gradient_norm, rtol=1e-3
  )
  assert regrouped[1].extra.gradient_norm > 1e-3
  np.testing.assert_allclose(regrouped[1].loss, ours[1].loss, rtol=1e-3)


def test_rows_of_several_episodes_and_a_cut_one():
  environment = countdown_environment.CountdownEnvironment(2, 2, horizon=4)
  environment.set_tasks([2, 9])  # The second is cut off by the horizon.
  agent = point_agent.create_agent(environment)
  state = agent.collect_policy.get_initial_state(2)
  rows = _stock_rows(environment, agent, state, 6)
  np.testing.assert_array_equal(
    rows.step_type, 2 * [[F, M, L, F, M, L]] + 2 * [[F, M, M, M, L, F]]
  )
  query = agent.meta_batch([rows, rows], 2).query
  # The last frame of the second task's rows leads to where nobody saw.
  np.testing.assert_array_equal(
    query.step_type, [2 * [F, M, L, F, M, L], 2 * [F, M, M, M, L, L]]
  )
  np.testing.assert_array_equal(query.reward, np.reshape(rows.reward, [2, 12]))
  # Both tasks, each by itself and without the cut frames, adapt alike.
  adapted = agent.adapt(rows, state)
  for task, frames in ((0, slice(0, 6)), (1, slice(0, 5))):
    alone = tf.nest.map_structure(
      lambda t, task=task, frames=frames: np.concatenate(
        t[2 * task : 2 * task + 2, frames]
      )[np.newaxis],
      rows,
    )
    expected = agent.adapt(alone, tuple(p[task : task + 1] for p in state))
    _assert_close(
      tuple(p[task] for p in adapted),
      tuple(p[0] for p in expected),
      rtol=1e-4,
      atol=1e-6,
    )


def test_a_stock_tf_driver_collects_with_adapted_parameters():
  environment = point_navigation.PointNavigation(
    NUM_TASKS, NUM_EPISODES, HORIZON
  )
  agent = point_agent.create_agent(environment)
  replay_buffer = tf_uniform_replay_buffer.TFUniformReplayBuffer(
    agent.collect_data_spec, NUM_ROWS, max_length=HORIZON + 1
  )
  tf_environment = tf_py_environment.TFPyEnvironment(environment)
  driver = tf_driver.TFDriver(
    tf_environment,
    agent.collect_policy,
    [replay_buffer.add_batch],
    max_episodes=NUM_ROWS,
  )
  # What DynamicEpisodeDriver makes without a state: one for each row.
  state = agent.collect_policy.get_initial_state(NUM_ROWS)
  stages = []
  for _ in range(2):
    replay_buffer.clear()
    _, after = driver.run(tf_environment.reset(), state)
    _assert_close(after, state)
    stages.append(replay_buffer.gather_all())
    state = agent.adapt(stages[-1], state, num_tasks=NUM_TASKS)
    assert state[0].shape[0] == NUM_TASKS
  loss_info = agent.train(agent.meta_batch(stages, NUM_TASKS))
  assert np.isfinite(loss_info.loss)
  # The inner loop computes again the parameters that collected stage 1.
  np.testing.assert_allclose(
    agent.loss(agent.meta_batch(stages, NUM_TASKS)).extra.kl, 0, atol=1e-2
  )


@pytest.mark.parametrize('number', [0, 1, 3])
def test_a_stage_for_each_number_of_steps(points, number):
  agent, _, rows, _ = points
  message = f'^{number} stages were given: give 2, collected'
  with pytest.raises(ValueError, match=message):
    agent.meta_batch([rows] * number, NUM_TASKS)


def test_errors_of_adapt_name_the_mismatch(points):
  agent, state, rows, _ = points
  with pytest.raises(ValueError, match='6 rows, which 4 tasks cannot share'):
    agent.adapt(rows, agent.collect_policy.get_initial_state(4))
  with pytest.raises(ValueError, match='policy_state has 2 parameter sets'):
    agent.adapt(rows, state, num_tasks=3)
  uninformed = rows._replace(policy_info=())
  with pytest.raises(ValueError, match='not what collect_policy records'):
    agent.adapt(uninformed, state)


@pytest.mark.slow
def test_the_stock_learner_on_two_replicas(two_replicas, tmp_path):
  num_tasks = 4
  environment = point_navigation.PointNavigation(num_tasks, NUM_EPISODES, 3)

  def create():
    return point_agent.create_agent(
      environment,
      optimizer_steps=1,
      inner_loop=inner_loop_lib.InnerLoop(num_steps=2, step_size=0.2),
    )

  agent = create()
  collector = meta_collector.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 2, seed=0
  )
  batches = [collector.collect(i).meta_batch for i in range(2)]
  ours = meta_learner.MetaLearner(agent)
  expected = [ours.run(batch) for batch in batches]

  with two_replicas.scope():
    distributed = create()
  stock = learner.Learner(
    str(tmp_path),
    distributed.train_step_counter,
    distributed,
    strategy=two_replicas,
    run_optimizer_variable_init=False,
  )
  for batch, expected_info in zip(batches, expected):
    data = tf.data.Dataset.from_tensor_slices((batch, ()))
    data = data.batch(num_tasks, drop_remainder=True)
    loss_info = stock.run(
      iterator=iter(two_replicas.experimental_distribute_dataset(data))
    )
    # The Learner sums over replicas, and over the elements of vectors.
    _assert_close(
      loss_info,
      tf.nest.map_structure(tf.reduce_sum, expected_info),
      rtol=1e-4,
      atol=1e-5,
    )
  _assert_close(_values(distributed), _values(agent), rtol=1e-4, atol=1e-6)
  assert stock.train_step_numpy == 2


@pytest.mark.slow
def test_batches_of_a_size_unknown_when_traced():
  agents = [point_agent.create_agent() for _ in range(2)]
  batch = recorded_batches.create(agents[0])
  specs = tf.nest.map_structure(
    lambda t: tf.TensorSpec([None, *t.shape[1:]], t.dtype), batch
  )
  train = tf.function(agents[0].train, [specs], autograph=False)
  _assert_close(train(batch), agents[1].train(batch), rtol=1e-4, atol=1e-6)
  _assert_close(*map(_values, agents), rtol=1e-4, atol=1e-6)
