"""Images of environments, and the names of the methods that render them."""

import gc
import importlib
import os
import pathlib
import subprocess
import sys

import mujoco
import numpy as np
import pytest

import maml_tf
from maml_tf.core import errors
from maml_tf.environments import locomotion
from maml_tf.environments import point_navigation
from maml_tf.environments.rendering import headless_graphics
from maml_tf.environments.rendering import mujoco_renderer
from maml_tf.environments.rendering import point_renderer
from maml_tf.environments.rendering import renderer as renderer_lib
from tests.environments import countdown_environment

# This runs in a process of its own, since MuJoCo's renderer chooses its OpenGL
# library by MUJOCO_GL when MuJoCo is imported.
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
states = environment.render_state()
renderer = environment.create_renderer(None, states, 80, 60)
ours = [renderer(state[np.newaxis]) for state in states]
renderer.close()
model = environment.physics.models[0]
data = mujoco.MjData(model)
renderer = mujoco.Renderer(model, height=60, width=80)
for state, image in zip(states, ours):
  data.qpos[:] = state[1:10]
  data.qvel[:] = state[10:19]
  mujoco.mj_forward(model, data)
  renderer.update_scene(data, camera='track')
  np.testing.assert_array_equal(image, renderer.render())
renderer.close()
assert (ours[0] != ours[1]).any()
"""


def _graphics():
  """Returns the name of an OpenGL library that works, or skips the test."""
  for name in ('egl', 'osmesa'):
    if headless_graphics.works(name):
      return name
  return pytest.skip('neither EGL nor OSMesa is installed')


@pytest.mark.skipif(
  int(mujoco.__version__.split('.')[0]) < 4,
  reason='before MuJoCo 4 the context that was current is not restored',
)
def test_a_renderer_that_nobody_closed_leaves_no_gaps_in_others():
  _graphics()
  environment = locomotion.HalfCheetahDirection(1, 2, horizon=20)
  environment.reset()
  states = environment.render_state()[:1]
  forgotten = environment.create_renderer(None, states, 80, 60)
  forgotten(states)
  renderer = environment.create_renderer(None, states, 80, 60)
  before = renderer(states)
  del forgotten
  gc.collect()
  np.testing.assert_array_equal(renderer(states), before)
  renderer.close()


def test_half_cheetah_images_equal_those_of_mujocos_renderer(tmp_path):
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


def _render_points(goal, path, width=100, height=80):
  environment = point_navigation.PointNavigation(1, 1)
  path = np.array(path)
  renderer = environment.create_renderer(np.array(goal), path, width, height)
  return renderer(path).astype(int)


def _centre(image, colour):
  """Returns the mean row and column of the pixels near a colour."""
  near = np.abs(image - colour).sum(axis=2) < 90
  assert near.any()
  return np.argwhere(near).mean(axis=0)


def test_goal_and_path_have_their_positions_in_the_image():
  # The largest coordinate is 0.5. Half the height, 40 pixels, is 1.1 times
  # that.
  image = _render_points([0.5, 0.25], [[0, 0], [0, -0.4], [-0.4, -0.4]])
  assert image.shape == (80, 100, 3)
  scale = 40 / 0.55
  red, blue = (214, 39, 40), (31, 119, 180)
  np.testing.assert_allclose(
    _centre(image, red),
    [40 - 0.25 * scale, 50 + 0.5 * scale],
    atol=1.5,
  )
  # Two strokes of equal length: down from the origin, then to the left. The
  # disc at their end moves the centre towards it.
  row, column = _centre(image, blue)
  assert 40 + 0.2 * scale < row < 40 + 0.42 * scale
  assert 50 - 0.42 * scale < column < 50 - 0.08 * scale
  # The upper half has no blue pixels, except in the width of the first stroke.
  upper = image[: 40 - 4]
  assert not (np.abs(upper - blue).sum(axis=2) < 90).any()


def test_large_images_of_points_have_numbers_and_a_legend():
  path = [[0, 0], [0.1, 0.3]]
  image = _render_points([0.5, 0.25], path, 320, 240)
  text = np.abs(image - (90, 90, 90)).sum(axis=2) < 60
  # Left of the vertical axis and below the horizontal one.
  assert text[:, 120:158].any() and text[122:140].any()
  # The legend: a blue and a red disc in the corner, with their names.
  for rows, colour in (
    (slice(0, 20), (31, 119, 180)),
    (slice(20, 40), (214, 39, 40)),
  ):
    corner = image[rows, :16]
    assert (np.abs(corner - colour).sum(axis=2) < 60).any()
    assert text[rows, 16:50].any()
  # Small ones do not.
  image = _render_points([0.5, 0.25], path)
  assert not (np.abs(image - (90, 90, 90)).sum(axis=2) < 60).any()


@pytest.mark.parametrize(
  ('value', 'tick'),
  [(0.25, 0.2), (0.05, 0.05), (15, 10), (20, 20), (7.4, 5), (0.99, 0.5)],
)
def test_ticks_are_round_numbers(value, tick):
  assert point_renderer._round_number(value) == pytest.approx(tick)


def test_films_name_tasks_and_states():
  cheetah = locomotion.HalfCheetahDirection(1, 1, horizon=5)
  assert cheetah.describe_task(-1.0) == 'task -1: runs backward'
  assert cheetah.describe_task(1.0) == 'task 1: runs forward'
  cheetah.seed(0)
  cheetah.reset()
  for _ in range(3):
    cheetah.step(np.ones((1, 6), np.float32))
  qpos, qvel = cheetah.physics.qpos[0], cheetah.physics.qvel[0]
  # Each step takes 0.05 s.
  assert cheetah._describe_state(cheetah.render_state()[0]) == (
    f'0.15 s, speed {qvel[0]:.1f} m/s, position {qpos[0]:.1f} m'
  )
  velocity = locomotion.HalfCheetahVelocity(1, 1)
  assert velocity.describe_task(1.234) == 'task 1.23: runs at 1.23 m/s'
  points = point_navigation.PointNavigation(1, 1)
  goal = np.array([0.5, -0.25])
  assert points.describe_task(goal) == 'task 0.5, -0.25: the hidden goal'
  assert (
    countdown_environment.CountdownEnvironment().describe_task(2.0) == 'task 2'
  )


def test_a_distant_goal_fits_into_the_image():
  image = _render_points([30.0, 0.0], [[0, 0]])
  _, column = _centre(image, (214, 39, 40))
  assert 80 < column < 95


_OWN_PICTURES = """
import numpy as np
from maml_tf.environments.gymnasium_bridge import gymnasium_tasks
from tests.environments.gymnasium_bridge import cheetah_family

environment = gymnasium_tasks.GymnasiumTasks(
  1, 1, 5, cheetah_family.CheetahFamily
)
environment.prepare_rendering()
environment.reset()
state = environment.render_state()
assert len(np.unique(state)) > 10
environment.close()
"""


def test_gymnasiums_own_renderer_needs_no_display():
  _graphics()
  done = subprocess.run(
    [sys.executable, '-c', _OWN_PICTURES],
    env={
      name: value
      for name, value in os.environ.items()
      if name not in ('MUJOCO_GL', 'DISPLAY', 'WAYLAND_DISPLAY')
    },
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('name', ['MUJOCO_GL', 'DISPLAY'])
def test_a_display_or_a_choice_of_the_user_is_kept(monkeypatch, name):
  for other in ('MUJOCO_GL', 'DISPLAY', 'WAYLAND_DISPLAY'):
    monkeypatch.delenv(other, raising=False)
  monkeypatch.setenv(name, 'chosen')
  headless_graphics.choose_library()
  expected = 'chosen' if name == 'MUJOCO_GL' else None
  assert os.environ.get('MUJOCO_GL') == expected


def test_without_a_library_none_is_chosen(monkeypatch):
  for name in ('MUJOCO_GL', 'DISPLAY', 'WAYLAND_DISPLAY'):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setattr(headless_graphics, 'works', lambda name: False)
  headless_graphics.choose_library()
  assert 'MUJOCO_GL' not in os.environ


def test_the_render_state_of_points_is_their_position():
  environment = point_navigation.PointNavigation(1, 2)
  environment.reset()
  environment.step(np.array([[0.05, 0], [0, -0.02]], np.float32))
  np.testing.assert_allclose(
    environment.render_state(), [[0.05, 0], [0, -0.02]], atol=1e-7
  )


def test_the_render_state_of_bodies_is_their_physics_state():
  environment = locomotion.HalfCheetahVelocity(1, 2)
  environment.reset()
  np.testing.assert_array_equal(
    environment.render_state(), environment.physics.state
  )
  environment.close()


def test_an_environment_without_a_renderer_raises_an_error():
  environment = countdown_environment.CountdownEnvironment()
  for call in (
    environment.render_state,
    environment.picture_states,
    lambda: environment.create_renderer(0, [], 8, 8),
    lambda: environment.create_painter(0, [], 8, 8),
  ):
    with pytest.raises(
      errors.UsageError,
      match='CountdownEnvironment cannot be rendered: give it the methods'
      ' render_state and create_renderer',
    ):
      call()


class _FormerNames(countdown_environment.CountdownEnvironment):
  """Implements rendering under the names of version 0.1.0."""

  def picture_states(self):
    return np.ones((self.batch_size, 3))

  def create_painter(self, task, states, width, height):
    return task, width


class _FormerNamesOverPoints(point_navigation.PointNavigation):
  """Extends the inherited methods under the names of version 0.1.0."""

  def picture_states(self):
    return super().picture_states() + 1

  def create_painter(self, task, states, width, height):
    return super().create_painter(task, states, 2 * width, height)


def test_methods_of_the_former_names_are_called_by_the_new_ones():
  environment = _FormerNames()
  np.testing.assert_array_equal(environment.render_state(), np.ones((2, 3)))
  assert environment.create_renderer(4, None, 5, 6) == (4, 5)

  points = _FormerNamesOverPoints(1, 1)
  np.testing.assert_array_equal(points.render_state(), [[1, 1]])
  renderer = points.create_renderer(np.ones(2), np.zeros((1, 2)), 20, 10)
  assert isinstance(renderer, point_renderer.PointRenderer)
  assert renderer(np.zeros((1, 2))).shape == (10, 40, 3)


def test_methods_of_the_new_names_are_called_by_the_former_ones():
  points = point_navigation.PointNavigation(1, 1)
  np.testing.assert_array_equal(points.picture_states(), [[0, 0]])
  renderer = points.create_painter(np.ones(2), np.zeros((1, 2)), 20, 10)
  assert isinstance(renderer, point_renderer.PointRenderer)


def test_former_import_paths_give_the_renderers():
  for module, former_name, cls in (
    ('painter', 'Painter', renderer_lib.Renderer),
    ('point_painter', 'PointPainter', point_renderer.PointRenderer),
    ('mujoco_painter', 'MujocoPainter', mujoco_renderer.MujocoRenderer),
  ):
    former = importlib.import_module(f'maml_tf.environments.{module}')
    assert getattr(former, former_name) is cls


class _Drawn:
  """A mixin, not an environment, with the methods' former names."""

  def picture_states(self):
    return np.full((self.batch_size, 1), 7.0)


class _DrawnPoints(_Drawn, point_navigation.PointNavigation):
  pass


def test_a_mixin_may_have_the_former_names():
  points = _DrawnPoints(2, 1, 5)
  np.testing.assert_array_equal(points.render_state(), [[7], [7]])
