"""A policy that acts for many tasks, each with its own parameters."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.drivers import py_driver
from tf_agents.drivers import tf_driver
from tf_agents.environments import tf_py_environment
from tf_agents.policies import policy_saver
from tf_agents.policies import py_tf_eager_policy
from tf_agents.replay_buffers import tf_uniform_replay_buffer
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts

from maml_tf.environments import point_navigation
from tests import point_agent

NUM_TASKS, NUM_EPISODES = 3, 2
NUM_ROWS = NUM_TASKS * NUM_EPISODES


@pytest.fixture(name='agent')
def create_agent():
  return point_agent.create_agent()


def _time_step(num_rows=NUM_ROWS, seed=0):
  """Time steps at random positions; the first is FIRST, the others MID."""
  rng = np.random.default_rng(seed)
  step_type = np.full([num_rows], ts.StepType.MID, np.int32)
  step_type[0] = ts.StepType.FIRST
  return tf.nest.map_structure(
    tf.constant,
    ts.TimeStep(
      step_type,
      np.zeros([num_rows], np.float32),
      np.ones([num_rows], np.float32),
      rng.normal(size=[num_rows, 2]).astype(np.float32),
    ),
  )


def _noise(num_rows=NUM_ROWS, seed=1):
  rng = np.random.default_rng(seed)
  return (tf.constant(rng.normal(size=[num_rows, 2]).astype(np.float32)),)


def _rows(nest, start, stop):
  return tf.nest.map_structure(lambda t: t[start:stop], nest)


def _own_distributions(agent, parameters, time_step):
  """Mean and deviation [N, A] of each task, from the network's own variables.

  The tasks' parameters are assigned to the network one after the other. So this
  uses neither the swap of parameters nor the vectorisation.
  """
  meta_parameters = [v.numpy() for v in agent.meta_parameters]
  network = agent.policy._network.network
  num_tasks = parameters[0].shape[0]
  per_task = time_step.step_type.shape[0] // num_tasks
  means, deviations = [], []
  for b in range(num_tasks):
    for variable, value in zip(agent.meta_parameters, parameters):
      variable.assign(value[b])
    own = _rows(time_step, b * per_task, (b + 1) * per_task)
    distribution, _ = network(
      own.observation, step_type=own.step_type, network_state=()
    )
    means.append(distribution.mean())
    deviations.append(distribution.stddev())
  for variable, value in zip(agent.meta_parameters, meta_parameters):
    variable.assign(value)
  return np.concatenate(means), np.concatenate(deviations)


def test_action_is_mean_plus_deviation_times_noise_of_each_task(agent):
  parameters = point_agent.different_parameters(agent, NUM_TASKS)
  time_step, noise = _time_step(), _noise()
  mean, deviation = _own_distributions(agent, parameters, time_step)

  step = agent.policy.act(time_step, parameters, noise)

  np.testing.assert_allclose(
    step.action, mean + deviation * noise[0], rtol=1e-5, atol=1e-6
  )
  assert step.action.shape == (NUM_ROWS, 2)
  assert step.info == ()
  # The tasks differ by more than the tolerance above.
  assert np.ptp(mean, axis=0).min() > 1e-3
  assert np.ptp(deviation, axis=0).min() > 1e-3


def test_state_is_handed_on_unchanged(agent):
  parameters = point_agent.different_parameters(agent, NUM_TASKS)
  step = agent.policy.action(_time_step(), parameters)
  for before, after in zip(parameters, step.state, strict=True):
    np.testing.assert_array_equal(after, before)


def test_tasks_do_not_touch_each_other(agent):
  parameters = point_agent.different_parameters(agent, NUM_TASKS)
  time_step, noise = _time_step(), _noise()
  action = agent.policy.act(time_step, parameters, noise).action
  changed = tuple(
    tf.tensor_scatter_nd_add(p, [[1]], [tf.ones_like(p[0])]) for p in parameters
  )
  other = agent.policy.act(time_step, changed, noise).action
  same = np.all(action.numpy() == other.numpy(), axis=1)
  # Rows 2 and 3 are task 1's.
  np.testing.assert_array_equal(same, [True, True, False, False, True, True])


def test_a_state_per_row_acts_like_a_state_per_task(
  agent,
):
  parameters = point_agent.different_parameters(agent, NUM_TASKS)
  repeated = tuple(tf.repeat(p, NUM_EPISODES, axis=0) for p in parameters)
  time_step, noise = _time_step(), _noise()
  np.testing.assert_allclose(
    agent.policy.act(time_step, repeated, noise).action,
    agent.policy.act(time_step, parameters, noise).action,
    rtol=1e-5,
    atol=1e-6,
  )


def test_without_state_acts_with_the_initial_parameters(agent):
  time_step, noise = _time_step(), _noise()
  state = agent.policy.get_initial_state(1)
  mean, deviation = _own_distributions(agent, state, time_step)
  np.testing.assert_allclose(
    agent.policy.act(time_step, (), noise).action,
    mean + deviation * noise[0],
    rtol=1e-5,
    atol=1e-6,
  )


def test_action_without_state_acts_with_the_initial_parameters(agent):
  policy = agent.adapted_policy(agent.meta_parameters, deterministic=True)
  time_step = _time_step()
  mean, _ = _own_distributions(agent, policy.get_initial_state(1), time_step)
  np.testing.assert_allclose(
    policy.action(time_step).action, mean, rtol=1e-5, atol=1e-6
  )


def test_initial_state_follows_the_meta_parameters(agent):
  for variable in agent.meta_parameters:
    variable.assign_add(tf.ones_like(variable))
  state = agent.policy.get_initial_state(NUM_TASKS)
  for tensor, variable in zip(state, agent.meta_parameters, strict=True):
    np.testing.assert_array_equal(
      tensor, np.stack([variable.numpy()] * NUM_TASKS)
    )


def test_rows_that_the_tasks_cannot_share_are_an_error(agent):
  parameters = point_agent.different_parameters(agent, NUM_TASKS)
  with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
    agent.policy.act(_time_step(4), parameters, _noise(4))


def test_info_holds_the_behaviour(agent):
  parameters = point_agent.different_parameters(agent, NUM_TASKS)
  time_step = _time_step()
  mean, deviation = _own_distributions(agent, parameters, time_step)

  step = agent.collect_policy.act(time_step, parameters, _noise())

  tf.nest.map_structure(
    lambda tensor, spec: spec.shape.assert_is_compatible_with(tensor.shape[1:]),
    step.info,
    agent.collect_policy.info_spec,
  )
  behaviour = agent.collect_policy.distributions.from_tensors(step.info)
  np.testing.assert_allclose(behaviour.mean(), mean, rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(behaviour.stddev(), deviation, rtol=1e-5)


def test_deterministic_policy_acts_by_the_mode(agent):
  parameters = point_agent.different_parameters(agent, 1)
  policy = agent.adapted_policy(
    tuple(p[0] for p in parameters), deterministic=True
  )
  time_step = _time_step()
  mean, _ = _own_distributions(agent, parameters, time_step)
  for step in (
    policy.action(time_step, policy.get_initial_state(1)),
    policy.action(time_step, policy.get_initial_state(NUM_ROWS)),
    policy.act(time_step, parameters, _noise()),
  ):
    np.testing.assert_allclose(step.action, mean, rtol=1e-5, atol=1e-6)


def test_actions_are_not_clipped(agent):
  parameters = point_agent.different_parameters(agent, NUM_TASKS)
  time_step = _time_step()
  mean, deviation = _own_distributions(agent, parameters, time_step)
  # Twenty deviations are far outside of the action spec, [-0.1, 0.1].
  noise = (tf.fill([NUM_ROWS, 2], 20.0),)
  action = agent.policy.act(time_step, parameters, noise).action
  np.testing.assert_allclose(action, mean + 20 * deviation, rtol=1e-5)
  assert np.all(np.abs(action) > 0.1)
  sampled = [agent.policy.action(time_step, parameters).action for _ in 'abc']
  assert np.abs(sampled).max() > 0.1


def _stock_environment():
  """Episodes of two steps, so that resets come often."""
  return point_navigation.PointNavigation(NUM_TASKS, NUM_EPISODES, horizon=2)


def _deterministic_policy(agent):
  """A policy whose actions would reveal a return to its initial state."""
  return agent.adapted_policy(
    tuple(v.read_value() for v in agent.meta_parameters), deterministic=True
  )


def _assert_acted_with(agent, parameters, frames):
  """All actions of several episodes are the means under `parameters`.

  Args:
    agent: The agent whose network computes the means.
    parameters: The parameters, leaves [B, ...].
    frames: A `Trajectory` of arrays [T', N, ...].
  """
  assert np.all(np.sum(np.asarray(frames.is_first()), axis=0) >= 2)
  for observation, action, boundary in zip(
    frames.observation, frames.action, np.asarray(frames.is_boundary())
  ):
    time_step = _time_step()._replace(observation=tf.constant(observation))
    mean, _ = _own_distributions(agent, parameters, time_step)
    np.testing.assert_allclose(
      action[~boundary], mean[~boundary], rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize('compiled', [False, True])
def test_state_survives_resets_under_a_stock_tf_driver(agent, compiled):
  environment = tf_py_environment.TFPyEnvironment(_stock_environment())
  policy = _deterministic_policy(agent)
  parameters = point_agent.different_parameters(agent, NUM_TASKS)
  replay_buffer = tf_uniform_replay_buffer.TFUniformReplayBuffer(
    policy.trajectory_spec, batch_size=NUM_ROWS, max_length=20
  )
  driver = tf_driver.TFDriver(
    environment,
    policy,
    [replay_buffer.add_batch],
    max_steps=6 * NUM_ROWS,
    disable_tf_function=not compiled,
  )

  _, state = driver.run(environment.reset(), parameters)

  frames = tf.nest.map_structure(
    lambda t: np.swapaxes(t, 0, 1), replay_buffer.gather_all()
  )
  _assert_acted_with(agent, parameters, frames)
  for before, after in zip(parameters, state, strict=True):
    np.testing.assert_array_equal(after, before)


def test_state_survives_resets_under_a_stock_py_driver(agent):
  environment = _stock_environment()
  policy = py_tf_eager_policy.PyTFEagerPolicy(
    _deterministic_policy(agent), batch_time_steps=False
  )
  parameters = point_agent.different_parameters(agent, NUM_TASKS)
  frames = []
  driver = py_driver.PyDriver(
    environment, policy, [frames.append], max_steps=6 * NUM_ROWS
  )

  _, state = driver.run(environment.reset(), parameters)

  stacked = tf.nest.map_structure(lambda *arrays: np.stack(arrays), *frames)
  _assert_acted_with(agent, parameters, stacked)
  for before, after in zip(parameters, state, strict=True):
    np.testing.assert_array_equal(after, before)


def test_global_seed_decides_what_is_sampled_without_noise(agent):
  time_step, state = _time_step(), agent.policy.get_initial_state(NUM_TASKS)

  def sample(seed):
    tf.random.set_seed(seed)
    policy = agent.adapted_policy(agent.meta_parameters)
    return np.stack([policy.action(time_step, state).action for _ in range(2)])

  one = sample(3)
  np.testing.assert_array_equal(one, sample(3))
  assert np.all(one != sample(4))
  # Each call draws anew.
  assert np.all(one[0] != one[1])


@pytest.mark.parametrize('compiles', [False, True])
@pytest.mark.parametrize(
  ('time_step', 'num_tasks', 'message'),
  [
    (
      ts.restart(tf.zeros([2])),
      1,
      r'observation has shape \(2,\), expected \[N, 2\]: give a time step of N',
    ),
    (
      ts.restart(tf.zeros([6, 2])),
      1,
      r'step_type has shape \(\), expected \[N\]: give a time step of N rows',
    ),
    (
      ts.restart(tf.zeros([6, 3]), 6),
      1,
      r'observation has shape \(6, 3\), expected \[6, 2\]: give',
    ),
    (
      ts.restart(tf.zeros([5, 2]), 6),
      1,
      r'observation has shape \(5, 2\), expected \[6, 2\]: give',
    ),
    (
      ts.restart(tf.zeros([5, 2]), 5),
      3,
      '5 rows, the policy state the parameters of 3 tasks: give each task the',
    ),
    (
      ts.restart(tf.zeros([6, 2]), 6),
      None,
      r'parameter in the policy state has shape \(2, 8\), expected \[B, 2, 8\]',
    ),
  ],
)
def test_shapes_that_are_not_of_rows_and_tasks(
  agent, time_step, num_tasks, message, compiles
):
  policy = agent.policy
  state = policy.get_initial_state(num_tasks)
  action = tf.function(policy.action) if compiles else policy.action
  for act in (
    lambda: action(time_step, state),
    lambda: policy.distribution(time_step, state),
    lambda: policy.act(time_step, state, _noise()),
  ):
    with pytest.raises(ValueError, match=message):
      act()


@pytest.mark.parametrize('seed', [7, (7, 8)])
def test_a_given_seed_decides_what_is_sampled(agent, seed):
  time_step, state = _time_step(), agent.policy.get_initial_state(NUM_TASKS)

  def sample(s):
    return agent.policy.action(time_step, state, seed=s).action.numpy()

  other = 8 if seed == 7 else (7, 9)
  np.testing.assert_array_equal(sample(seed), sample(seed))
  assert np.all(sample(seed) != sample(other))


def test_saved_policy_acts_like_the_policy(agent, tmp_path):
  parameters = point_agent.different_parameters(agent, NUM_TASKS)
  policy = agent.adapted_policy(
    tuple(p[0] for p in parameters), deterministic=True
  )
  policy_saver.PolicySaver(policy, batch_size=None).save(str(tmp_path))
  loaded = tf.saved_model.load(str(tmp_path))

  for num_tasks, num_rows in ((3, 6), (3, 3), (1, 4)):
    state = tuple(p[:num_tasks] for p in parameters)
    time_step = _time_step(num_rows)
    step = loaded.action(time_step, state)
    mean, _ = _own_distributions(agent, state, time_step)
    np.testing.assert_allclose(step.action, mean, rtol=1e-5, atol=1e-6)
    for before, after in zip(state, step.state, strict=True):
      np.testing.assert_array_equal(after, before)

  for tensor, parameter in zip(loaded.get_initial_state(2), parameters):
    np.testing.assert_array_equal(tensor, np.stack([parameter[0]] * 2))


def test_specs_are_those_of_its_outputs(agent):
  policy = agent.collect_policy
  step = policy.action(_time_step(), policy.get_initial_state(NUM_TASKS))
  assert array_spec.check_arrays_nest(
    tf.nest.map_structure(lambda t: t[0].numpy(), step.info),
    tf.nest.map_structure(
      lambda s: array_spec.ArraySpec(s.shape, s.dtype.as_numpy_dtype),
      policy.info_spec,
    ),
  )
  for tensor, spec in zip(step.state, policy.policy_state_spec, strict=True):
    assert tensor.shape[1:] == spec.shape
    assert tensor.dtype == spec.dtype
