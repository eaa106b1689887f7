"""The one loop that plays episodes, on rows of scripted lengths."""

import numpy as np
import pytest
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts

from maml_tf.collection import compiled_actor
from maml_tf.collection import rollout
from maml_tf.environments import point_navigation
from tests import point_agent

FIRST, MID, LAST = (
  int(step_type)
  for step_type in (ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST)
)


class _Rows:
  """Rows whose episodes have given lengths; each step pays its action.

  It has only the members that a rollout needs. Observations count the steps of
  an episode. `log` records every call.
  """

  def __init__(self, *lengths, log=None):
    self._lengths = np.array(lengths)
    self.log = [] if log is None else log

  def reset(self):
    self.log.append('reset')
    self._elapsed = np.zeros_like(self._lengths)
    return self._time_step(np.zeros(len(self._lengths)))

  def step(self, action):
    self.log.append('step')
    starts = self._elapsed == self._lengths
    self._elapsed = np.where(starts, 0, self._elapsed + 1)
    return self._time_step(np.where(starts, 0, action))

  def _time_step(self, reward):
    step_type = np.select(
      [self._elapsed == 0, self._elapsed == self._lengths], [FIRST, LAST], MID
    )
    return ts.TimeStep(
      step_type.astype(np.int32),
      reward.astype(np.float32),
      (step_type != LAST).astype(np.float32),
      self._elapsed.copy(),
    )


def _act(time_step, t):
  """Acts with 10 t + row."""
  rows = np.arange(len(time_step.step_type))
  return policy_step.PolicyStep(10 * t + rows, (), 100 * t + rows)


def _play(environment, horizon=10, actor=_act):
  frames = []
  rollout.play_episodes(environment, actor, [frames.append], horizon)
  return frames


def _stack(frames, field):
  """One field of all frames, [N, L]."""
  return np.stack([getattr(frame, field) for frame in frames], 1).tolist()


def test_rows_wait_for_the_longest_episode():
  frames = _play(_Rows(1, 3, 2))
  # Row 0 starts anew at the second step: this and all later frames are
  # boundaries.
  assert _stack(frames, 'step_type') == [
    [FIRST, LAST, LAST, LAST],
    [FIRST, MID, MID, LAST],
    [FIRST, MID, LAST, LAST],
  ]
  assert _stack(frames, 'next_step_type') == [
    [LAST, FIRST, LAST, LAST],
    [MID, MID, LAST, LAST],
    [MID, LAST, FIRST, LAST],
  ]
  # Step t pays 10 t + row. A reset pays nothing, and neither does a row that
  # waits. The last frame repeats the reward of its step unless the row waited.
  assert _stack(frames, 'reward') == [
    [0, 0, 0, 0],
    [1, 11, 21, 21],
    [2, 12, 0, 0],
  ]
  # Steps of a waiting row are observed, but as boundaries.
  assert _stack(frames, 'observation') == [
    [0, 1, 0, 1],
    [0, 1, 2, 3],
    [0, 1, 2, 0],
  ]
  assert _stack(frames, 'discount') == [
    [0, 1, 0, 0],
    [1, 1, 0, 0],
    [1, 0, 1, 1],
  ]


def test_frames_hold_the_actions_and_the_last_one_zeros():
  frames = _play(_Rows(2, 2))
  assert _stack(frames, 'action') == [[0, 10, 0], [1, 11, 0]]
  assert _stack(frames, 'policy_info') == [[0, 100, 0], [1, 101, 0]]


def test_it_stops_at_the_horizon():
  frames = _play(_Rows(5, 1), horizon=3)
  assert len(frames) == 4
  # The first row's episode is cut off; the caller decides what that means.
  assert _stack(frames, 'step_type') == [
    [FIRST, MID, MID, MID],
    [FIRST, LAST, LAST, LAST],
  ]


def test_everything_happens_in_order():
  log = []

  def actor(time_step, t):
    log.append(f'act {t}')
    return _act(time_step, t)

  rollout.play_episodes(
    _Rows(2, log=log),
    actor,
    [lambda frame: log.append('a'), lambda frame: log.append('b')],
    horizon=10,
  )
  assert log == (
    ['reset', 'act 0', 'step', 'a', 'b', 'act 1', 'step', 'a', 'b', 'a', 'b']
  )


def test_the_actor_sees_what_the_environment_gave():
  seen = []

  def actor(time_step, t):
    seen.append((t, time_step))
    return _act(time_step, t)

  _play(_Rows(1, 2), actor=actor)
  assert [t for t, _ in seen] == [0, 1]
  # The actor gets the original time steps, without a mask.
  np.testing.assert_array_equal(seen[1][1].step_type, [LAST, MID])
  np.testing.assert_array_equal(seen[1][1].reward, [0, 1])
  np.testing.assert_array_equal(seen[1][1].observation, [1, 1])


def test_an_error_ends_it_before_the_environment_is_stepped():
  environment = _Rows(5)

  def actor(time_step, t):
    if t == 2:
      raise FloatingPointError('no action')
    return _act(time_step, t)

  frames = []
  with pytest.raises(FloatingPointError, match='no action'):
    rollout.play_episodes(environment, actor, [frames.append], 10)
  assert environment.log == ['reset', 'step', 'step']
  assert len(frames) == 2


def test_seconds_are_those_of_environment_and_actor(monkeypatch):
  # Each look at the clock takes a second.
  clock = iter(range(100))
  monkeypatch.setattr(rollout.time, 'perf_counter', lambda: next(clock))
  seconds = rollout.play_episodes(_Rows(3), _act, [], 10)
  # One reset and three steps; three actions.
  assert seconds == (4, 3)


@pytest.mark.parametrize('num_tasks', [1, 3])
def test_a_compiled_actor_acts_as_the_policy_does(num_tasks):
  environment = point_navigation.PointNavigation(num_tasks, 2, horizon=3)
  environment.set_tasks([[5.0, 0.0]] * num_tasks)
  agent = point_agent.create_agent(environment)
  policy = agent.collect_policy
  state = point_agent.different_parameters(agent, num_tasks)
  noise = policy.distributions.draw_noise(
    np.random.default_rng(0), (3, 2 * num_tasks)
  )
  asked = []

  def draw(t):
    asked.append(t)
    return (noise[0][t],)

  actor = compiled_actor.CompiledActor(policy).for_episode(state, draw)
  frames = _play(environment, actor=actor)
  assert asked == [0, 1, 2]
  for t, frame in enumerate(frames[:-1]):
    step = policy.act(
      ts.TimeStep(frame.step_type, frame.reward, (), frame.observation),
      state,
      (noise[0][t],),
    )
    assert isinstance(frame.action, np.ndarray)
    np.testing.assert_allclose(frame.action, step.action, atol=1e-6)
    np.testing.assert_allclose(
      frame.policy_info[0]['loc'], step.info[0]['loc'], atol=1e-6
    )


def test_a_compiled_actor_traces_its_policy_once():
  environment = point_navigation.PointNavigation(2, 1, horizon=3)
  agent = point_agent.create_agent(environment)
  policy = agent.collect_policy
  traces = []
  act = policy.act
  policy.act = lambda *args: traces.append(1) or act(*args)
  actor = compiled_actor.CompiledActor(policy)
  for seed in range(3):
    rng = np.random.default_rng(seed)
    state = point_agent.different_parameters(agent, 2, seed)
    _play(
      environment,
      actor=actor.for_episode(
        state,
        lambda t, rng=rng: policy.distributions.draw_noise(rng, (2,)),
      ),
    )
  assert len(traces) == 1


class _Scribbler(_Rows):
  """Writes to the actions that it gets and to what it returned before."""

  def reset(self):
    self._returned = super().reset()
    return self._returned

  def step(self, action):
    new = super().step(action)
    for array, value in zip(self._returned, new):
      array[...] = value
    action[...] = -1
    return self._returned


def test_frames_do_not_share_memory_with_the_environment():
  plain, scribbled = _play(_Rows(1, 3, 2)), _play(_Scribbler(1, 3, 2))
  for field in plain[0]._fields:
    assert _stack(scribbled, field) == _stack(plain, field), field


def test_parts_of_an_action_do_not_share_memory_with_the_environment():
  class Parts(_Scribbler):
    def step(self, action):
      return super().step(action['force'])

  def act(time_step, t):
    return policy_step.PolicyStep({'force': _act(time_step, t).action}, (), ())

  frames = _play(Parts(1, 3, 2), actor=act)
  action = np.stack([frame.action['force'] for frame in frames], 1).tolist()
  assert action == _stack(_play(_Rows(1, 3, 2)), 'action')


class _RestingRows(_Rows):
  """Rows that can rest."""

  def rest(self, rows):
    self.log.append(rows.tolist())


def test_rows_that_wait_are_told_to_rest():
  environment = _RestingRows(1, 3, 2)
  _play(environment)
  assert environment.log == [
    'reset',
    'step',
    [True, False, False],
    'step',
    [True, False, True],
    'step',
    # All have ended; whoever steps on plays all rows.
    [False, False, False],
  ]
