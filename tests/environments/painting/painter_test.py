"""Pictures of environments: what is where, and what says it cannot be drawn."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import maml_tf
from maml_tf.core import errors
from maml_tf.environments import locomotion
from maml_tf.environments import point_navigation
from maml_tf.environments.painting import headless_graphics
from tests.environments import countdown_environment

# In a process of its own: MuJoCo's renderer takes the OpenGL library that
# MUJOCO_GL names when MuJoCo is imported.
_COMPARISON = """
import sys
import mujoco
import numpy as np
from maml_tf.environments import locomotion
environment = locomotion.HalfCheetahDirection(1, 2, horizon=20)
environment.seed(0)
environment.reset()
actions = np.random.default_rng(0).uniform(-1, 1, (9, 2, 6)).astype(np.float32)
for action in actions:
  environment.step(action)
states = environment.picture_states()
painter = environment.create_painter(None, states, 80, 60)
ours = [painter(state[np.newaxis]) for state in states]
painter.close()
model = environment.physics.models[0]
data = mujoco.MjData(model)
renderer = mujoco.Renderer(model, height=60, width=80)
for state, picture in zip(states, ours):
  data.qpos[:] = state[1:10]
  data.qvel[:] = state[10:19]
  mujoco.mj_forward(model, data)
  renderer.update_scene(data, camera='track')
  np.testing.assert_array_equal(picture, renderer.render())
renderer.close()
assert (ours[0] != ours[1]).any()
"""


def _graphics():
  """Names an OpenGL library that works here, or skips the test."""
  for name in ('egl', 'osmesa'):
    if headless_graphics.works(name):
      return name
  return pytest.skip('neither EGL nor OSMesa is installed')


def test_a_half_cheetah_is_drawn_as_by_mujocos_renderer(tmp_path):
  done = subprocess.run(
    [sys.executable, '-c', _COMPARISON],
    env={
      **os.environ,
      'MUJOCO_GL': _graphics(),
      'PYTHONPATH': str(pathlib.Path(maml_tf.__file__).parents[1]),
    },
    cwd=tmp_path,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr


def _paint_points(goal, path, width=100, height=80):
  environment = point_navigation.PointNavigation(1, 1)
  path = np.array(path)
  painter = environment.create_painter(np.array(goal), path, width, height)
  return painter(path).astype(int)


def _centre(picture, colour):
  """Mean row and column of the pixels near a colour."""
  near = np.abs(picture - colour).sum(axis=2) < 90
  assert near.any()
  return np.argwhere(near).mean(axis=0)


def test_the_goal_and_the_way_are_where_they_are():
  # The farthest is at 0.5: 40 pixels from the middle are 1.1 times as much.
  picture = _paint_points([0.5, 0.25], [[0, 0], [0, -0.4], [-0.4, -0.4]])
  assert picture.shape == (80, 100, 3)
  scale = 40 / 0.55
  red, blue = (214, 39, 40), (31, 119, 180)
  np.testing.assert_allclose(
    _centre(picture, red),
    [40 - 0.25 * scale, 50 + 0.5 * scale],
    atol=1.5,
  )
  # Two strokes of one length: down from the origin, then to the left; the
  # point at the end of them weighs more.
  row, column = _centre(picture, blue)
  assert 40 + 0.2 * scale < row < 40 + 0.42 * scale
  assert 50 - 0.42 * scale < column < 50 - 0.08 * scale
  # Nothing else is blue: the upper half, but for the origin's stroke.
  upper = picture[: 40 - 4]
  assert not (np.abs(upper - blue).sum(axis=2) < 90).any()


def test_a_goal_that_is_far_away_is_in_the_picture():
  picture = _paint_points([30.0, 0.0], [[0, 0]])
  _, column = _centre(picture, (214, 39, 40))
  assert 80 < column < 95


def test_points_say_where_they_are():
  environment = point_navigation.PointNavigation(1, 2)
  environment.reset()
  environment.step(np.array([[0.05, 0], [0, -0.02]], np.float32))
  np.testing.assert_allclose(
    environment.picture_states(), [[0.05, 0], [0, -0.02]], atol=1e-7
  )


def test_bodies_say_their_whole_state():
  environment = locomotion.HalfCheetahVelocity(1, 2)
  environment.reset()
  np.testing.assert_array_equal(
    environment.picture_states(), environment.physics.state
  )
  environment.close()


def test_an_environment_without_pictures_says_so():
  environment = countdown_environment.CountdownEnvironment()
  for call in (
    environment.picture_states,
    lambda: environment.create_painter(0, [], 8, 8),
  ):
    with pytest.raises(
      errors.UsageError, match='CountdownEnvironment cannot be drawn: give it'
    ):
      call()
