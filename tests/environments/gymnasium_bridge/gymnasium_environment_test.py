"""Wrapped environments follow TF-Agents' contract and Gymnasium's results."""

import warnings

import gymnasium
from gymnasium import spaces
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.drivers import dynamic_episode_driver
from tf_agents.environments import tf_py_environment
from tf_agents.environments import utils
from tf_agents.metrics import tf_metrics
from tf_agents.policies import py_tf_eager_policy
from tf_agents.policies import random_tf_policy
from tf_agents.train import actor
from tf_agents.trajectories import time_step as ts

from maml_tf.collection import episode_buffer
from maml_tf.collection import episode_driver
from maml_tf.environments.gymnasium_bridge import gymnasium_environment
from maml_tf.environments.gymnasium_bridge import supervised_environments
from tests import point_agent
from tests.environments import corridor
from tests.environments.gymnasium_bridge import faulty_walk
from tests.environments.gymnasium_bridge import scripted_returns

FIRST, MID, LAST = (
  int(step_type)
  for step_type in (ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST)
)

# Names, with the shapes of an observation and an action. () is a number.
SHAPES = {
  'CartPole-v1': ((4,), ()),
  'MountainCar-v0': ((2,), ()),
  'MountainCarContinuous-v0': ((2,), (1,)),
  'Acrobot-v1': ((6,), ()),
  'Pendulum-v1': ((3,), (1,)),
  'FrozenLake-v1': ((), ()),
  'CliffWalking-v1': ((), ()),
  'Blackjack-v1': (((), (), ()), ()),
  'InvertedDoublePendulum-v5': ((9,), (1,)),
  'Reacher-v5': ((10,), (2,)),
  'Swimmer-v5': ((8,), (2,)),
  'Hopper-v5': ((11,), (3,)),
  'Walker2d-v5': ((17,), (6,)),
  'HalfCheetah-v5': ((17,), (6,)),
  'Ant-v5': ((105,), (8,)),
  'Humanoid-v5': ((348,), (17,)),
}
HORIZON = 12


def _make(name, horizon=HORIZON):
  return gymnasium.make(name, max_episode_steps=horizon)


def _make_vec(name, num_envs, horizon=HORIZON):
  return gymnasium.make_vec(
    name, num_envs, vectorization_mode='sync', max_episode_steps=horizon
  )


def _actions(environment, num_steps, seed=0):
  """Returns random actions [num_steps, ...], some outside the bounds."""
  spec = environment.action_spec()
  shape = (num_steps, *([environment.batch_size] * environment.batched))
  generator = np.random.default_rng(seed)
  if np.issubdtype(spec.dtype, np.integer):
    return generator.integers(
      spec.minimum, spec.maximum + 1, shape, dtype=spec.dtype
    )
  return 1.5 * generator.uniform(
    spec.minimum, spec.maximum, (*shape, *spec.shape)
  ).astype(spec.dtype)


def _cast(observation):
  """Returns Gymnasium's observation in the dtypes of the spec."""

  def cast(part):
    part = np.asarray(part)
    return part.astype(np.float32) if part.dtype == np.float64 else part

  return tf.nest.map_structure(cast, observation)


def _assert_time_step(time_step, step_type, reward, discount, observation):
  assert time_step.step_type.dtype == np.int32
  assert time_step.reward.dtype == time_step.discount.dtype == np.float32
  np.testing.assert_array_equal(time_step.step_type, step_type)
  np.testing.assert_array_equal(time_step.reward, np.float32(reward))
  np.testing.assert_array_equal(time_step.discount, discount)
  np.testing.assert_equal(time_step.observation, observation)


@pytest.mark.parametrize('name', SHAPES)
def test_time_steps_match_the_specs(name):
  single = gymnasium_environment.GymnasiumEnvironment(_make(name))
  observation_shape, action_shape = SHAPES[name]
  shapes = tf.nest.map_structure(
    lambda spec: spec.shape, single.observation_spec()
  )
  assert shapes == observation_shape
  assert single.action_spec().shape == action_shape
  assert not single.batched and single.batch_size is None
  utils.validate_py_environment(single, episodes=3)
  batch = gymnasium_environment.GymnasiumEnvironment(_make_vec(name, 3))
  assert batch.batched and batch.batch_size == 3
  utils.validate_py_environment(batch, episodes=4)
  for environment in (single, batch):
    environment.close()


@pytest.mark.parametrize('name', SHAPES)
def test_steps_equal_those_of_gymnasium(name):
  raw = _make(name)
  observation, _ = raw.reset(seed=7)
  low = getattr(raw.action_space, 'low', -np.inf)
  high = getattr(raw.action_space, 'high', np.inf)
  environment = gymnasium_environment.GymnasiumEnvironment(_make(name))
  environment.seed(7)
  _assert_time_step(environment.reset(), FIRST, 0, 1, _cast(observation))
  ended = False
  for action in _actions(environment, 30):
    time_step = environment.step(action)
    if ended:
      observation, _ = raw.reset()
      _assert_time_step(time_step, FIRST, 0, 1, _cast(observation))
      ended = False
      continue
    clipped = np.clip(action, low, high).astype(raw.action_space.dtype)
    if not raw.action_space.shape:
      clipped = int(clipped)
    observation, reward, terminated, truncated, info = raw.step(clipped)
    ended = terminated or truncated
    _assert_time_step(
      time_step,
      LAST if ended else MID,
      reward,
      0 if terminated else 1,
      _cast(observation),
    )
    np.testing.assert_equal(environment.get_info(), info)


@pytest.mark.parametrize('name', ['CartPole-v1', 'Hopper-v5', 'Blackjack-v1'])
def test_rows_of_a_vector_environment_equal_single_environments(name):
  batch = gymnasium_environment.GymnasiumEnvironment(_make_vec(name, 3, 50))
  actions = _actions(batch, 100)
  batch.seed([5, 3, 8])
  whole = [batch.reset(), *(batch.step(action) for action in actions)]
  ends = np.stack([time_step.is_last() for time_step in whole])
  # In some steps one row ends and another continues.
  assert (ends.any(axis=1) & ~ends.all(axis=1)).any()
  for row, seed in enumerate([5, 3, 8]):
    single = gymnasium_environment.GymnasiumEnvironment(_make(name, 50))
    single.seed(seed)
    own = [single.reset(), *(single.step(action[row]) for action in actions)]
    for time_step, row_step in zip(own, whole):
      row_step = tf.nest.map_structure(lambda a, row=row: a[row], row_step)
      _assert_time_step(time_step, *row_step)


def test_an_int_seed_gives_the_rows_successive_seeds():
  batch = gymnasium_environment.GymnasiumEnvironment(_make_vec('Acrobot-v1', 2))
  batch.seed(np.int64(5))
  one = batch.reset()
  batch.seed([5, 6])
  np.testing.assert_equal(batch.reset(), one)
  # A seed is used once: the next episode differs.
  assert (batch.reset().observation != one.observation).any()


@pytest.mark.parametrize('mode', ['NextStep', 'Disabled'])
def test_rows_that_end_at_different_times(mode):
  vector = corridor.corridors([2, 4], autoreset_mode=mode)
  # The shared metadata of the class now holds the mode of this environment.
  corridor.corridors([1], autoreset_mode='SameStep')
  environment = gymnasium_environment.GymnasiumEnvironment(vector)
  time_steps = [environment.reset()]
  # The effort of a row that is reset has no effect.
  actions = np.array([1, 1]), np.array([[0.25], [7.0]])
  time_steps += [environment.step(actions) for _ in range(8)]
  got = tf.nest.map_structure(lambda *parts: np.stack(parts, 1), *time_steps)
  # The lengths are 2 and 4. A step after LAST is a reset.
  np.testing.assert_array_equal(
    got.step_type,
    [
      [FIRST, MID, LAST, FIRST, MID, LAST, FIRST, MID, LAST],
      [FIRST, MID, MID, MID, LAST, FIRST, MID, MID, MID],
    ],
  )
  np.testing.assert_array_equal(
    got.reward,
    [
      [0, 0.25, 0.25, 0, 0.25, 0.25, 0, 0.25, 0.25],
      [0, 1, 1, 1, 1, 0, 1, 1, 1],
    ],
  )
  np.testing.assert_array_equal(
    got.discount, [[1, 1, 0, 1, 1, 0, 1, 1, 0], [1, 1, 1, 1, 0, 1, 1, 1, 1]]
  )
  cells = np.array([[0, 1, 2, 0, 1, 2, 0, 1, 2], [0, 1, 2, 3, 4, 0, 1, 2, 3]])
  ahead = np.array([[2], [4]]) - cells
  np.testing.assert_array_equal(got.observation['cell'], cells)
  sides, parity = got.observation['sides']
  np.testing.assert_array_equal(sides, np.stack([ahead, -ahead], 2) / 8)
  np.testing.assert_array_equal(parity, cells[..., np.newaxis] % 2)


@pytest.mark.parametrize('mode', ['NextStep', 'Disabled'])
def test_rows_that_end_together_are_reset_once(mode):
  vector = corridor.corridors([1, 1], autoreset_mode=mode)
  environment = gymnasium_environment.GymnasiumEnvironment(vector)
  environment.reset()
  action = np.array([1, 1]), np.zeros([2, 1])
  for step_type in (LAST, FIRST, LAST):
    np.testing.assert_array_equal(environment.step(action).step_type, step_type)
  assert [len(env.actions) for env in vector.envs] == [1, 1]


@pytest.mark.parametrize(
  'length, horizon, discount',
  [(3, 9, 0), (9, 3, 1), (3, 3, 0)],
  ids=['terminated', 'truncated', 'both'],
)
def test_only_a_terminated_episode_ends_with_discount_0(
  length, horizon, discount
):
  environment = gymnasium_environment.GymnasiumEnvironment(
    gymnasium.wrappers.TimeLimit(corridor.Corridor(length), horizon)
  )
  time_steps = [environment.step((1, [0.5])) for _ in range(5)]
  np.testing.assert_array_equal(
    [time_step.step_type for time_step in time_steps],
    [FIRST, MID, MID, LAST, FIRST],
  )
  np.testing.assert_array_equal(
    [time_step.discount for time_step in time_steps], [1, 1, 1, discount, 1]
  )


def test_nested_spaces():
  environment = gymnasium_environment.GymnasiumEnvironment(
    corridor.Corridor(length=5)
  )
  utils.validate_py_environment(environment, episodes=2)
  environment.seed(11)
  environment.reset()
  assert environment.get_info() == {'seed': 11}
  action = np.array(1), np.array([3.5], np.float32)
  time_step = environment.step(action)
  # The environment receives an effort clipped to its space.
  assert environment.gym.actions == [(1, [1.0])]
  assert time_step.reward == 1
  np.testing.assert_equal(
    time_step.observation,
    {'cell': 1, 'sides': (np.array([0.5, -0.5]), np.array([1]))},
  )
  assert environment.get_info() == {'cell': 1}
  environment.step((-1, [0.0]))
  assert environment.step((-1, [0.0])).observation['cell'] == 0
  environment.close()
  assert environment.gym.closed


def test_a_reward_in_an_array():
  environment = gymnasium_environment.GymnasiumEnvironment(
    gymnasium.wrappers.TransformReward(corridor.Corridor(), np.atleast_1d)
  )
  environment.reset()
  time_step = environment.step((1, [0.5]))
  np.testing.assert_equal(time_step.reward, np.array(0.5, np.float32))


def test_rendering():
  environment = gymnasium_environment.GymnasiumEnvironment(
    corridor.Corridor(render_mode='rgb_array')
  )
  environment.reset()
  environment.step((1, [0.0]))
  np.testing.assert_array_equal(environment.render(), np.ones([2, 3, 3]))
  with pytest.raises(ValueError, match="render_mode='rgb_array': .*'human'"):
    environment.render('human')
  batch = gymnasium_environment.GymnasiumEnvironment(
    gymnasium.make_vec('CartPole-v1', 2, render_mode='rgb_array')
  )
  batch.reset()
  frames = batch.render()
  assert frames.shape == (2, 400, 600, 3) and frames.dtype == np.uint8
  batch.close()
  # One row is often the only one that is drawn.
  rows = gymnasium_environment.GymnasiumEnvironment(
    gymnasium.vector.SyncVectorEnv(
      [lambda: corridor.Corridor(render_mode='rgb_array'), corridor.Corridor]
    )
  )
  rows.reset()
  with pytest.raises(ValueError, match="row 1 gave no picture: .*'rgb_array'"):
    rows.render()


@pytest.mark.parametrize('mode', ['NextStep', 'Disabled'])
def test_worker_processes(mode):
  environment = gymnasium_environment.GymnasiumEnvironment(
    gymnasium.vector.AsyncVectorEnv(
      [corridor.Corridor, lambda: corridor.Corridor(1)],
      context='spawn',
      autoreset_mode=mode,
    )
  )
  action = np.array([1, 1]), np.zeros([2, 1])
  step_types = [environment.step(action).step_type for _ in range(6)]
  environment.close()
  np.testing.assert_array_equal(
    np.stack(step_types, axis=1),
    [
      [FIRST, MID, MID, LAST, FIRST, MID],
      [FIRST, LAST, FIRST, LAST, FIRST, LAST],
    ],
  )


def test_stock_driver_and_metrics():
  environment = tf_py_environment.TFPyEnvironment(
    gymnasium_environment.GymnasiumEnvironment(_make('CartPole-v1'))
  )
  policy = random_tf_policy.RandomTFPolicy(
    environment.time_step_spec(), environment.action_spec()
  )
  returns = tf_metrics.AverageReturnMetric()
  lengths = tf_metrics.AverageEpisodeLengthMetric()
  dynamic_episode_driver.DynamicEpisodeDriver(
    environment, policy, [returns, lengths], num_episodes=4
  ).run()
  # CartPole's reward is 1 in every step.
  assert returns.result() == lengths.result()
  assert 8 <= lengths.result() <= HORIZON


def test_a_stock_actor_stores_sampled_actions_and_steps_clipped_ones():
  environment = gymnasium_environment.GymnasiumEnvironment(
    _make_vec('Pendulum-v1', 4)
  )
  agent = point_agent.create_agent(environment)
  frames = []
  environment.seed(3)
  actor.Actor(
    environment,
    py_tf_eager_policy.PyTFEagerPolicy(
      agent.adapted_policy(agent.meta_parameters),
      use_tf_function=True,
      batch_time_steps=False,
    ),
    agent.train_step_counter,
    steps_per_run=4 * 20,
    observers=[frames.append],
  ).run()
  actions = np.stack([frame.action for frame in frames])
  assert (abs(actions) > 2).any()
  raw = _make_vec('Pendulum-v1', 4)
  observation, _ = raw.reset(seed=3)
  for frame, action in zip(frames, actions):
    np.testing.assert_array_equal(frame.observation, observation)
    observation, reward, *_ = raw.step(np.clip(action, -2, 2))
    np.testing.assert_array_equal(frame.reward, reward.astype(np.float32))


def test_an_agent_adapts_to_discrete_actions():
  """Adapts on three episodes of Gymnasium's vectorised CartPole."""
  environment = gymnasium_environment.GymnasiumEnvironment(
    gymnasium.make_vec('CartPole-v1', 3, max_episode_steps=HORIZON)
  )
  tf.keras.utils.set_random_seed(0)
  agent = point_agent.create_agent(environment)
  policy = agent.collect_policy
  buffer = episode_buffer.EpisodeBuffer(policy.collect_data_spec, 1, 3, HORIZON)
  driver = episode_driver.EpisodeDriver(environment, policy, [buffer], HORIZON)
  noise = policy.distributions.draw_noise(
    np.random.default_rng(0), (HORIZON, 3)
  )
  environment.seed(0)
  state = policy.get_initial_state(1)
  driver.run(state, noise)
  returns, num_transitions = buffer.episode_returns(), buffer.num_transitions()
  assert returns.sum() == num_transitions
  assert (returns >= 8).all() and (returns <= HORIZON).all()
  adapted = agent.adapt(buffer.read(), state)
  assert all(np.isfinite(p).all() for p in adapted)
  assert any((p != q).numpy().any() for p, q in zip(adapted, state))


OBSERVATION, REWARD, *_ = scripted_returns.STEP


@pytest.mark.parametrize('number', [1, 3])
@pytest.mark.parametrize(
  ('returned', 'message'),
  [
    (
      scripted_returns.STEP[:4],
      r"step of ScriptedReturns returned 4 values, Gymnasium's has 5",
    ),
    (
      (OBSERVATION[None], REWARD, False, False, {}),
      r'observation of ScriptedReturns has shape \(1, 3\), .* says \(3,\): m',
    ),
    (
      (OBSERVATION, None, False, False, {}),
      'the reward of ScriptedReturns is None: return a number',
    ),
  ],
)
def test_a_step_against_gymnasiums_api_is_an_error(number, returned, message):
  steps = [scripted_returns.STEP] * (number - 1) + [returned]
  environment = gymnasium_environment.GymnasiumEnvironment(
    scripted_returns.ScriptedReturns(steps=steps)
  )
  environment.reset()
  action = np.zeros(2, np.float32)
  for _ in range(number - 1):
    environment.step(action)
  with pytest.raises(ValueError, match=message) as error:
    environment.step(action)
  assert '\n' not in str(error.value)


def test_a_reset_against_gymnasiums_api_is_an_error():
  inside = scripted_returns.ScriptedReturns(reset_values=OBSERVATION)
  for environment, message in (
    (inside, 'returned one value, of type ndarray'),
    # The wrapper unpacks the value itself.
    (
      gymnasium.wrappers.TransformReward(
        gymnasium.wrappers.FrameStackObservation(inside, 2), abs
      ),
      r'does not return .* \(observation, info\): too many values',
    ),
  ):
    with pytest.raises(ValueError, match='reset of ScriptedRe.*' + message):
      gymnasium_environment.GymnasiumEnvironment(environment).reset()


def test_wrappers_and_rows_of_environments_with_four_values():
  def make():
    inside = scripted_returns.ScriptedReturns(steps=[scripted_returns.STEP[:4]])
    return gymnasium.wrappers.TimeLimit(inside, 9)

  for environment in (make(), gymnasium.vector.SyncVectorEnv([make] * 2)):
    wrapped = gymnasium_environment.GymnasiumEnvironment(environment)
    wrapped.reset()
    action = np.zeros(wrapped.batch_size and (2, 2) or 2, np.float32)
    with pytest.raises(
      ValueError, match="step of ScriptedReturns does not return Gymnasium's 5"
    ):
      wrapped.step(action)


def test_an_environment_without_info():
  environment = gymnasium_environment.GymnasiumEnvironment(
    scripted_returns.ScriptedReturns(
      (OBSERVATION, None), [(OBSERVATION, REWARD, True, False, None)]
    )
  )
  environment.reset()
  assert environment.get_info() == {}
  assert environment.step(np.zeros(2, np.float32)).is_last()
  assert environment.get_info() == {} and not environment.discarded


def test_observations_outside_their_space_are_warned_of_at_first():
  outside = np.full(3, 1.5, np.float32)
  environment = gymnasium_environment.GymnasiumEnvironment(
    scripted_returns.ScriptedReturns(
      (outside, {}), [(outside, REWARD, False, False, {})]
    )
  )
  with pytest.warns(UserWarning, match='of ScriptedReturns lies outside its'):
    environment.reset()
  action = np.zeros(2, np.float32)
  environment.step(action)
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    environment.step(action)
    time_step = environment.reset()
  np.testing.assert_array_equal(time_step.observation, outside)


@pytest.mark.parametrize(
  'make, message',
  [
    (lambda: 'CartPole-v1', "the environment is 'CartPole-v1': give a gymn"),
    (
      lambda: corridor.corridors([1], autoreset_mode='SameStep'),
      r'autoreset_mode=gymnasium\.vector\.AutoresetMode\.NEXT_STEP',
    ),
    (lambda: _undeclared(), r"set its metadata\['autoreset_mode'\]"),
    (
      lambda: gymnasium.wrappers.TransformObservation(
        corridor.Corridor(), str, spaces.Text(9)
      ),
      r'^observation is Text\(.*no spec: wrap',
    ),
  ],
  ids=['no environment', 'same step', 'undeclared', 'space'],
)
def test_other_environments_are_an_error(make, message):
  with pytest.raises(ValueError, match=message) as error:
    gymnasium_environment.GymnasiumEnvironment(make())
  assert '\n' not in str(error.value)


def _undeclared():
  """Returns a vector environment that does not declare its autoreset mode."""
  vector = gymnasium.make_vec('CartPole-v1', 2)
  vector.metadata = {}
  return vector


@pytest.mark.parametrize('seed', [-1, 0.5, None, [1, 2], [1, -2, 3], 'abc'])
def test_invalid_seeds_are_an_error(seed):
  batch = gymnasium_environment.GymnasiumEnvironment(
    corridor.corridors([1, 1, 1])
  )
  with pytest.raises(ValueError, match='seed is '):
    batch.seed(seed)
  single = gymnasium_environment.GymnasiumEnvironment(corridor.Corridor())
  with pytest.raises(ValueError, match='give an integer of at least 0'):
    single.seed(seed)


def test_an_action_of_another_shape_is_an_error():
  environment = gymnasium_environment.GymnasiumEnvironment(
    _make_vec('Reacher-v5', 3)
  )
  environment.reset()
  with pytest.raises(ValueError, match=r'shape \(2,\), expected \(3, 2\)'):
    environment.step(np.zeros(2, np.float32))
  environment.close()


def test_a_row_whose_process_fails_is_truncated(tmp_path):
  environment = gymnasium_environment.GymnasiumEnvironment(
    supervised_environments.SupervisedVectorEnv(
      [
        lambda: faulty_walk.FaultyWalk(2),
        lambda: faulty_walk.FaultyWalk(
          4, fault='exit', at='step 2', folder=tmp_path
        ),
      ]
    )
  )
  environment.seed(3)
  time_steps = [environment.reset()]
  discarded = [environment.discarded]
  for _ in range(6):
    time_steps.append(environment.step(np.zeros((2, 2), np.float32)))
    discarded.append(environment.discarded)
  # Row 0 terminates every two steps. Row 1 dies at its second step, then
  # terminates after four steps.
  np.testing.assert_array_equal(
    [t.step_type for t in time_steps],
    np.transpose(
      [
        [FIRST, MID, LAST, FIRST, MID, LAST, FIRST],
        [FIRST, MID, LAST, FIRST, MID, MID, MID],
      ]
    ),
  )
  np.testing.assert_array_equal(time_steps[2].discount, [0, 1])
  np.testing.assert_array_equal(time_steps[2].reward, [1, 0])
  np.testing.assert_array_equal(
    time_steps[2].observation[1], time_steps[1].observation[1]
  )
  np.testing.assert_array_equal(
    discarded, [[False, t == 2] for t in range(len(discarded))]
  )
  environment.reset()
  assert not environment.discarded.any()
  environment.close()
  environment.close()
