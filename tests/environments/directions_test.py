"""Tasks that are directions: which are drawn, refused, described and shown."""

import numpy as np
import pytest

from maml_tf.environments import ant
from maml_tf.environments.rendering import headless_graphics


@pytest.fixture(name='track')
def make_track():
  environment = ant.AntDirection(4, 1, horizon=5, balanced=True)
  yield environment
  environment.close()


@pytest.fixture(name='plane')
def make_plane():
  environment = ant.AntPlanarDirection(2, 1, horizon=5)
  yield environment
  environment.close()


def test_both_directions_are_drawn_equally_often(track):
  drawn = track.sample_tasks(10_000, np.random.default_rng(0))
  assert set(drawn) == {-1.0, 1.0}
  assert abs(drawn.mean()) < 0.03
  assert track.task_list.training == (-1.0, 1.0)
  assert track.task_list.evaluated == (-1.0, 1.0)


def test_balanced_places_take_the_directions_in_turn(track):
  rng = np.random.default_rng(0)
  assert [track.sample_task(i, rng) for i in range(4)] == [-1, 1, -1, 1]
  drawing = ant.AntDirection(1, 1)
  drawn = {drawing.sample_task(0, rng) for _ in range(30)}
  assert drawn == {-1.0, 1.0}
  drawing.close()
  with pytest.raises(ValueError, match='balanced is 1: give True or False'):
    ant.AntDirection(1, 1, balanced=1)


def test_directions_in_the_plane_have_uniform_angles(plane):
  drawn = plane.sample_tasks(40_000, np.random.default_rng(0))
  assert drawn.shape == (40_000, 2)
  np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1, rtol=1e-12)
  # A twelfth each. A normalised uniform square would have 9 percent of the
  # directions at the axes and 7 percent at the diagonals.
  angles = np.arctan2(drawn[:, 1], drawn[:, 0])
  counts, _ = np.histogram(angles, 12, (-np.pi, np.pi))
  np.testing.assert_allclose(counts / 40_000, 1 / 12, atol=0.005)
  assert plane.task_list is None


@pytest.mark.parametrize('task', [0.0, 0.5, 2.0, -1.001])
def test_numbers_that_are_no_direction_are_refused(track, task):
  with pytest.raises(ValueError, match=r'are not directions: give \+1 or -1'):
    track.set_tasks([1.0, task, 1.0, 1.0])


@pytest.mark.parametrize('task', [[0, 0], [1, 1], [0.99, 0], [1e30, 0]])
def test_vectors_that_are_no_direction_are_refused(plane, task):
  with pytest.raises(ValueError, match='not directions: give vectors of lengt'):
    plane.set_tasks([[1.0, 0.0], task])


def test_float32_vectors_are_directions(plane):
  drawn = plane.sample_tasks(100, np.random.default_rng(0)).astype(np.float32)
  for pair in drawn.reshape(50, 2, 2):
    plane.set_tasks(pair)
    np.testing.assert_array_equal(plane.tasks, pair)


def test_descriptions(track, plane):
  assert track.describe_task(1.0) == 'task 1: moves forward'
  assert track.describe_task(-1.0) == 'task -1: moves backward'
  diagonal = np.array([-np.sqrt(0.5), np.sqrt(0.5)])
  assert (
    plane.describe_task(diagonal)
    == 'task (-0.707, 0.707): moves at 135 degrees'
  )


def test_films_show_a_ball_ahead_of_the_body(plane):
  if not any(headless_graphics.works(name) for name in ('egl', 'osmesa')):
    pytest.skip('neither EGL nor OSMesa is installed')
  plane.reset()
  start = plane.render_state()[:1].copy()
  moved = start.copy()
  moved[0, 1:3] += 7.0, -2.0
  moved[0, 16:18] = 3.0, 0.5
  renderer = plane.create_renderer(np.array([1.0, 0.0]), start, 160, 120)
  balls, means = [], []
  for states in (start, moved):
    red, green, blue = np.moveaxis(renderer(states), 2, 0)
    balls.append(np.argwhere((red > 120) & (green < 60) & (blue < 60)))
    means.append((red.mean(), green.mean(), blue.mean(), red.max()))
  caption = renderer.caption(moved)
  renderer.close()
  # The camera looks along y: the ball is to the right of the ant, at its feet.
  assert len(balls[0]) > 20, (means, start)
  row, column = balls[0].mean(axis=0)
  assert 80 < row < 110 and 110 < column < 140
  # The ball moves with the ant, and so does the camera.
  np.testing.assert_allclose(balls[1].mean(axis=0), [row, column], atol=2)
  assert caption == f'0.00 s, speed 3.0 m/s, position {moved[0, 1]:.1f} m'
