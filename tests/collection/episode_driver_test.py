"""One whole episode of every row, against a loop over single environments."""

import collections
import functools
import threading

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import time_step as ts

from maml_tf.collection import episode_buffer
from maml_tf.collection import episode_driver
from maml_tf.core import cpu
from maml_tf.environments import locomotion
from maml_tf.environments import point_navigation
from maml_tf.environments import task_groups
from tests import point_agent
from tests.collection import scripted_policy

FIRST, MID, LAST = (
  int(step_type)
  for step_type in (ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST)
)

HORIZON = 4
# Walking 0.1 a step to the right reaches goal 0 after one step and goal 1
# after three; the last goal is beyond the horizon.
GOALS = ([0.1, 0.0], [0.3, 0.0], [0.0, 0.5])
NUM_EPISODES = 2


def _environment(goals=GOALS, num_episodes=NUM_EPISODES, horizon=HORIZON):
  environment = point_navigation.PointNavigation(
    len(goals), num_episodes, horizon
  )
  environment.set_tasks(goals)
  return environment


def _actions(num_rows, horizon=HORIZON):
  """To the right and a little to the side, within the goals' radius."""
  aside = np.random.default_rng(0).uniform(-1e-3, 1e-3, (horizon, num_rows))
  return np.stack([np.full_like(aside, 0.1), aside], -1).astype(np.float32)


def _run(environment, actions, policy=None, horizon=HORIZON):
  """Runs the driver; returns its frames, a list of `Trajectory`s [N, ...]."""
  frames = []
  driver = episode_driver.EpisodeDriver(
    environment,
    policy or scripted_policy.ScriptedPolicy(),
    [frames.append],
    horizon,
  )
  driver.run((), (actions,))
  return frames


def _single_episode(goal, actions):
  """One episode in an environment of one row, as TF-Agents runs it."""
  environment = _environment([goal], num_episodes=1)
  time_step = environment.reset()
  transitions = []
  for action in actions:
    next_time_step = environment.step(action[np.newaxis])
    transitions.append((time_step, action, next_time_step))
    time_step = next_time_step
    if time_step.is_last():
      break
  return transitions, time_step


def test_frames_are_those_of_a_loop_over_single_environments():
  actions = _actions(len(GOALS) * NUM_EPISODES)
  frames = _run(_environment(), actions)
  assert len(frames) == HORIZON + 1

  lengths = []
  for row in range(len(GOALS) * NUM_EPISODES):
    goal = GOALS[row // NUM_EPISODES]
    transitions, last = _single_episode(goal, actions[:, row])
    lengths.append(len(transitions))
    for frame, (before, action, after) in zip(frames, transitions):
      assert frame.step_type[row] == before.step_type[0]
      np.testing.assert_array_equal(
        frame.observation[row], before.observation[0]
      )
      np.testing.assert_array_equal(frame.action[row], action)
      np.testing.assert_array_equal(
        frame.policy_info[row], before.observation[0]
      )
      assert frame.next_step_type[row] == after.step_type[0]
      assert frame.reward[row] == after.reward[0]
      assert frame.discount[row] == after.discount[0]
    # The frame after the last transition is a boundary with the final
    # observation.
    end = frames[len(transitions)]
    assert end.step_type[row] == LAST
    np.testing.assert_array_equal(end.observation[row], last.observation[0])
    # No later frame of this environment is valid.
    for frame in frames[len(transitions) + 1 :]:
      assert frame.step_type[row] == LAST
      assert frame.next_step_type[row] == LAST
      assert frame.reward[row] == 0
  assert lengths == [1, 1, 3, 3, 4, 4]


def test_every_environment_contributes_exactly_one_episode():
  num_rows = len(GOALS) * NUM_EPISODES
  frames = _run(_environment(), _actions(num_rows))
  first = np.sum([frame.is_first() for frame in frames], axis=0)
  np.testing.assert_array_equal(first, np.ones(num_rows))
  # A next frame of another episode would follow a LAST frame.
  boundary = np.stack([frame.is_boundary() for frame in frames])
  assert np.all(np.diff(boundary.astype(int), axis=0) >= 0)
  assert np.all(boundary[-1])


def test_stops_when_all_are_done():
  environment = _environment([[0.1, 0.0], [0.2, 0.0]], num_episodes=1)
  frames = _run(environment, _actions(2))
  # The longer episode has two transitions.
  np.testing.assert_array_equal(
    np.stack([frame.step_type for frame in frames], 1),
    [[FIRST, LAST, LAST], [FIRST, MID, LAST]],
  )


def test_rewards_and_ends_by_hand():
  environment = _environment([[0.2, 0.0], [0.0, 0.3]], num_episodes=1)
  actions = np.tile(np.array([0.1, 0.0], np.float32), (HORIZON, 2, 1))
  buffer = episode_buffer.EpisodeBuffer(
    point_agent.create_agent(environment).collect_policy.collect_data_spec,
    num_tasks=2,
    episodes_per_task=1,
    horizon=HORIZON,
  )
  policy = scripted_policy.ScriptedPolicy()
  driver = episode_driver.EpisodeDriver(
    environment,
    policy,
    [lambda frame: buffer(frame._replace(policy_info=_behaviour(frame)))],
    HORIZON,
  )
  driver.run((), (actions,))
  # Row 0 is at the goal after two steps: 0.1 away, then there. Row 1 walks off:
  # to 0.1, 0.2, 0.3 and 0.4 at right angles to its goal.
  np.testing.assert_allclose(
    buffer.episode_returns(),
    [
      [-0.1 - 0.0],
      [-sum(np.hypot(x, 0.3) for x in (0.1, 0.2, 0.3, 0.4))],
    ],
    atol=1e-6,
  )
  assert buffer.num_transitions() == 2 + 4
  frames = buffer.read()
  np.testing.assert_array_equal(
    frames.step_type,
    [[FIRST, MID, LAST, LAST, LAST], [FIRST, MID, MID, MID, LAST]],
  )
  # Row 0 terminates: discount 0 at its end. Row 1 is truncated: 1.
  np.testing.assert_array_equal(
    np.where(frames.is_boundary(), -1, frames.discount),
    [[1, 0, -1, -1, -1], [1, 1, 1, 1, -1]],
  )
  np.testing.assert_allclose(frames.observation[0, 2], [0.2, 0], atol=1e-6)
  np.testing.assert_allclose(frames.observation[1, 4], [0.4, 0], atol=1e-6)


def _behaviour(frame):
  """Anything of the right shape: a standard normal."""
  return ({'loc': 0 * frame.action, 'scale_diag': 1 + 0 * frame.action},)


def test_unstable_physics_ends_an_episode_not_the_run():
  environment = locomotion.HalfCheetahDirection(2, 1, HORIZON)
  # Motors that tear the body apart as soon as they are switched on.
  environment.physics.models[0].actuator_gear *= 1e9
  actions = np.zeros((HORIZON, 2, 6), np.float32)
  actions[1, 0] = 1
  frames = _run(environment, actions)
  assert environment.num_unstable_episodes == 1
  np.testing.assert_array_equal(
    np.stack([frame.step_type for frame in frames], 1),
    [[FIRST, MID, LAST, LAST, LAST], [FIRST, MID, MID, MID, LAST]],
  )
  # The horizon truncates the other episode.
  np.testing.assert_array_equal(frames[1].discount, [0, 1])
  np.testing.assert_array_equal(frames[3].discount, [1, 1])
  # It ends at its previous position.
  np.testing.assert_array_equal(
    frames[2].observation[0], frames[1].observation[0]
  )
  # It makes no progress and pays for six actions of 1, 0.05 each.
  np.testing.assert_allclose(frames[1].reward[0], -0.3, rtol=1e-6)
  for frame in frames:
    assert np.isfinite(frame.reward).all()
    assert np.isfinite(frame.observation).all()
  environment.close()


def test_every_observer_sees_every_frame_in_order():
  seen = []
  driver = episode_driver.EpisodeDriver(
    _environment(),
    scripted_policy.ScriptedPolicy(),
    [
      lambda frame: seen.append(('a', frame)),
      lambda frame: seen.append(('b', frame)),
    ],
    HORIZON,
  )
  driver.run((), (_actions(6),))
  assert [name for name, _ in seen] == ['a', 'b'] * (HORIZON + 1)
  for (_, one), (_, other) in zip(seen[::2], seen[1::2]):
    assert one is other


def test_a_second_run_begins_anew():
  environment = _environment()
  actions = _actions(6)
  frames = []
  driver = episode_driver.EpisodeDriver(
    environment, scripted_policy.ScriptedPolicy(), [frames.append], HORIZON
  )
  driver.run((), (actions,))
  first, frames[:] = list(frames), []
  driver.run((), (actions,))
  tf.nest.map_structure(np.testing.assert_array_equal, frames, first)


@pytest.mark.parametrize('jit_compile', [False, True])
def test_acts_with_the_policy_the_state_and_the_noise(jit_compile):
  environment = _environment()
  agent = point_agent.create_agent(environment)
  state = point_agent.different_parameters(agent, len(GOALS))
  noise = np.random.default_rng(0).normal(size=(HORIZON, 6, 2)).astype('f')
  frames = []
  driver = episode_driver.EpisodeDriver(
    environment,
    agent.collect_policy,
    [frames.append],
    HORIZON,
    jit_compile=jit_compile,
  )
  driver.run(state, (noise,))
  for t in range(HORIZON):
    time_step = ts.TimeStep(
      tf.constant(frames[t].step_type),
      tf.zeros([6]),
      tf.ones([6]),
      tf.constant(frames[t].observation),
    )
    step = agent.collect_policy.act(time_step, state, (noise[t],))
    np.testing.assert_allclose(frames[t].action, step.action, atol=1e-6)
    tf.nest.map_structure(
      lambda stored, given: np.testing.assert_allclose(
        stored, given, atol=1e-6
      ),
      frames[t].policy_info,
      step.info,
    )


def test_measures_where_the_time_goes():
  driver = episode_driver.EpisodeDriver(
    _environment(), scripted_policy.ScriptedPolicy(), [], HORIZON
  )
  driver.run((), (_actions(6),))
  assert driver.environment_seconds > 0
  assert driver.policy_seconds > 0


def _cheetahs(*sizes, num_episodes=NUM_EPISODES):
  return [
    locomotion.HalfCheetahDirection(size, num_episodes, 30) for size in sizes
  ]


def _collect(environment):
  """Collects one stage, each task with its own parameters; returns tensors."""
  num_tasks, each = environment.num_tasks, environment.environments_per_task
  environment.set_tasks(np.where(np.arange(num_tasks) % 3, 1.0, -1.0))
  environment.seed([(1, b) for b in range(num_tasks)])
  tf.keras.utils.set_random_seed(0)
  policy = point_agent.create_agent(environment).collect_policy
  buffer = episode_buffer.EpisodeBuffer(
    policy.collect_data_spec, num_tasks, each, environment.horizon
  )
  driver = episode_driver.EpisodeDriver(
    environment, policy, [buffer], environment.horizon
  )
  state = tuple(
    p + 0.1 * np.arange(num_tasks).reshape([-1] + [1] * (p.shape.rank - 1))
    for p in policy.get_initial_state(num_tasks)
  )
  noise = np.random.default_rng(0).normal(
    size=(environment.horizon, environment.batch_size, 6)
  )
  noise = noise.astype(np.float32)
  driver.run(state, (noise,))
  assert driver.environment_seconds > 0
  assert driver.policy_seconds > 0
  return buffer.read()


@pytest.mark.parametrize(
  'num_tasks, num_episodes', [(12, 10), (20, 5), (16, 9)]
)
def test_groups_that_play_side_by_side_give_the_same_bits(
  monkeypatch, num_tasks, num_episodes
):
  create = functools.partial(_cheetahs, num_episodes=num_episodes)
  (one,) = create(num_tasks)
  widths = point_agent.create_agent(one).collect_policy.widths
  assert 6 in widths
  expected = _collect(one)
  monkeypatch.setattr(task_groups, '_FEWEST_ROWS', 1)
  for num_cores in (2, 4):
    monkeypatch.setattr(cpu, 'count', lambda count=num_cores: count)
    groups = task_groups.divide(
      create(num_tasks)[0],
      functools.partial(locomotion.HalfCheetahDirection, horizon=30),
      widths,
    )
    assert isinstance(groups, task_groups.TaskGroups)
    for ours, theirs in zip(
      tf.nest.flatten(_collect(groups)),
      tf.nest.flatten(expected),
      strict=True,
    ):
      np.testing.assert_array_equal(ours, theirs)
    groups.close()


def test_a_stage_of_groups_must_be_read_before_the_next():
  environment = point_navigation.PointNavigation(2, 1, 3)
  spec = point_agent.create_agent(environment).collect_policy.collect_data_spec
  buffer = episode_buffer.EpisodeBuffer(spec, 2, 1, 3)
  buffer.of_rows(slice(0, 1))
  buffer.of_rows(slice(1, 2))
  with pytest.raises(ValueError, match='read it before collecting another'):
    buffer.of_rows(slice(0, 1))
  buffer.read()
  buffer.of_rows(slice(0, 1))


def test_observers_of_whole_frames_see_all_groups_together():
  groups = task_groups.TaskGroups(_cheetahs(2, 2))
  groups.set_tasks([1.0, -1.0, -1.0, 1.0])
  num_rows = 4 * NUM_EPISODES
  frames = _run(groups, np.zeros((HORIZON, num_rows, 6), np.float32))
  assert [len(frame.reward) for frame in frames] == [num_rows] * (HORIZON + 1)


class _Failing:
  """An observer of rows that raises in the group that begins at some row."""

  def __init__(self, first_row, error):
    self._first_row = first_row
    self._error = error
    self.num_frames = collections.Counter()

  def __call__(self, frame):
    raise AssertionError('It sees groups only.')

  def of_rows(self, rows):
    def watch(frame):
      del frame
      self.num_frames[rows.start] += 1
      if rows.start == self._first_row:
        raise self._error

    return watch


@pytest.mark.parametrize('first_row', [0, 2 * NUM_EPISODES])
@pytest.mark.parametrize('error', [ValueError('broken'), KeyboardInterrupt()])
def test_an_error_in_one_group_ends_all(first_row, error):
  groups = task_groups.TaskGroups(
    [locomotion.HalfCheetahDirection(2, NUM_EPISODES, 1000) for _ in range(2)]
  )
  groups.set_tasks([1.0, -1.0, -1.0, 1.0])
  failing = _Failing(first_row, error)
  num_threads = threading.active_count()
  driver = episode_driver.EpisodeDriver(
    groups, scripted_policy.ScriptedPolicy(), [failing], 1000
  )
  num_rows = 4 * NUM_EPISODES
  with pytest.raises(type(error)) as raised:
    driver.run((), (np.zeros((1000, num_rows, 6), np.float32),))
  assert raised.value is error
  # The other group did not play on to the end.
  assert sum(failing.num_frames.values()) < 1000
  assert threading.active_count() == num_threads
