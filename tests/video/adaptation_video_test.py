"""Episodes before and after, and the pictures that show them."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.environments import point_navigation
from maml_tf.environments.rendering import renderer as renderer_lib
from maml_tf.video import adaptation_video
from tests import point_agent

GOAL = np.array([0.2, 0.1])
KEYS = ((0, 1), (0, 2))


@pytest.fixture(name='agent', scope='module')
def create_agent():
  return point_agent.create_agent()


def _play(agent, parameters, horizon=12, deterministic=False):
  theta = agent.policy.get_initial_state(None)
  return adaptation_video.play(
    point_navigation.PointNavigation(2, 1, horizon),
    agent.adapted_policy(theta, deterministic),
    parameters,
    GOAL,
    KEYS,
  )


def _towards(agent, mean):
  """Parameters of a policy that always takes the same action."""
  parameters = [tf.zeros_like(v) for v in agent.meta_parameters]
  (index,) = [
    i
    for i, v in enumerate(agent.meta_parameters)
    if v.name.endswith('means_projection_layer/bias:0')
  ]
  # The small agent's means are in units of the bounds, 0.1.
  parameters[index] = tf.constant(mean / 0.1, tf.float32)
  return tuple(parameters)


def test_equal_policies_play_equal_episodes(agent):
  theta = agent.policy.get_initial_state(None)
  one, other = _play(agent, (theta, theta))
  np.testing.assert_array_equal(one.states, other.states)
  assert one.states.shape == (13, 2)
  # The rewards are minus the distances of the positions after the start.
  distances = np.linalg.norm(one.states - GOAL, axis=1)
  np.testing.assert_allclose(
    one.returns, -np.cumsum(distances) + distances[0], rtol=1e-5
  )


def test_noise_is_left_out_if_asked(agent):
  theta = agent.policy.get_initial_state(None)
  noisy, _ = _play(agent, (theta, theta))
  still, _ = _play(agent, (theta, theta), deterministic=True)
  steps = np.linalg.norm(np.diff(still.states, axis=0), axis=1)
  noisy_steps = np.linalg.norm(np.diff(noisy.states, axis=0), axis=1)
  assert steps.max() < 0.5 * noisy_steps.max()


def test_an_episode_ends_where_the_goal_is_reached(agent):
  theta = agent.policy.get_initial_state(None)
  towards = _towards(agent, GOAL / 2)
  away, there = _play(agent, (theta, towards), deterministic=True)
  assert len(away.returns) == 13
  # Two steps of half of the way.
  np.testing.assert_allclose(
    there.states, [[0, 0], GOAL / 2, GOAL], rtol=0, atol=1e-3
  )
  np.testing.assert_allclose(
    there.returns, [0, -0.1118, -0.1118], rtol=0, atol=1e-2
  )


class _NearEnough(point_navigation.PointNavigation):
  """Points that succeed while they are within 0.15 of the goal."""

  @property
  def success(self):
    distance = np.linalg.norm(self.render_state() - GOAL, axis=1)
    return distance < 0.15


def test_a_success_lasts_to_the_end_of_the_episode(agent):
  theta = agent.policy.get_initial_state(None)
  # Steps of (0.1, 0.05): past the goal, and on.
  through = _towards(agent, np.array([0.1, 0.0]))
  away = _towards(agent, np.array([-0.1, 0.0]))
  episodes = adaptation_video.play(
    _NearEnough(2, 1, 6),
    agent.adapted_policy(theta, True),
    (through, away),
    GOAL,
    KEYS,
  )
  distances = [np.linalg.norm(e.states - GOAL, axis=1) for e in episodes]
  near = distances[0] < 0.15
  # It comes near and goes on.
  assert near.any() and not near[0] and not near[-1]
  np.testing.assert_array_equal(
    episodes[0].successes, np.maximum.accumulate(near)
  )
  np.testing.assert_array_equal(episodes[1].successes, np.zeros(7, bool))
  # The point does not say so.
  for episode in _play(agent, (theta, theta)):
    assert episode.successes is None


def test_captions_show_a_success():
  returns = np.zeros(3)
  successes = np.array([False, False, True])
  episodes = [
    adaptation_video.Episode(np.zeros((3, 1)), returns, s)
    for s in (successes, None)
  ]
  pictures = [
    frame[:36]
    for frame in adaptation_video.frames(
      _LengthRenderer(), episodes, ('same', 'same'), 'task 1'
    )
  ]
  for picture, differs in zip(pictures, successes):
    assert (picture[:, :120] != picture[:, 124:]).any() == differs


class _LengthRenderer(renderer_lib.Renderer):
  """Paints the number of states that it received."""

  def __call__(self, states):
    return np.full((31, 120, 3), 10 * len(states), np.uint8)


def test_frames_show_the_halves_side_by_side():
  episodes = [
    adaptation_video.Episode(np.zeros((length, 1)), np.arange(length) * 1.0)
    for length in (4, 2)
  ]
  frames = list(
    adaptation_video.frames(
      _LengthRenderer(), episodes, ('before', 'after'), 'task 1'
    )
  )
  assert len(frames) == 4
  # A caption of 36 rows above the picture's 31, and one row to make it even;
  # 120 columns, 4 between, 120.
  assert all(frame.shape == (68, 244, 3) for frame in frames)
  for t, frame in enumerate(frames):
    assert (frame[36:67, :120] == 10 * (t + 1)).all()
    # The shorter episode repeats its last picture.
    assert (frame[36:67, 124:] == 10 * min(t + 1, 2)).all()
  captions = [frame[:36] for frame in frames]
  assert (captions[0] != captions[1]).any()
  assert (captions[2][:, :120] != captions[3][:, :120]).any()
  np.testing.assert_array_equal(captions[2][:, 124:], captions[3][:, 124:])
