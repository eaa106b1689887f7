"""The families in TensorFlow operations equal their NumPy forms."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.environments import utils

import maml_tf
from maml_tf.environments import classic_control
from maml_tf.environments import point_navigation
from maml_tf.environments.in_graph import classic_control as tensor_control
from maml_tf.environments.in_graph import point_navigation as tensor_points

PAIRS = (
  (
    point_navigation.PointNavigation,
    tensor_points.PointNavigationTensors,
    tensor_points.PointNavigationTasks,
  ),
  (
    classic_control.PendulumMass,
    tensor_control.PendulumMassTensors,
    tensor_control.PendulumMassTasks,
  ),
  (
    classic_control.CartPoleMass,
    tensor_control.CartPoleMassTensors,
    tensor_control.CartPoleMassTasks,
  ),
)

pytestmark = pytest.mark.parametrize(
  'numpy_class, tensor_class, tasks_class', PAIRS, ids=lambda c: c.__name__
)


def _actions(environment, num_steps, seed=0):
  spec = environment.action_spec()
  rng = np.random.default_rng(seed)
  shape = (num_steps, environment.batch_size, *spec.shape)
  if spec.dtype == np.int32:
    return rng.integers(0, 2, shape, np.int32)
  # Half of them beyond the bounds.
  return (2 * spec.maximum * rng.uniform(-1, 1, shape)).astype(np.float32)


def test_keeps_the_contract(numpy_class, tensor_class, tasks_class, recwarn):
  del numpy_class, tasks_class
  environment = tensor_class(3, 2, 5)
  maml_tf.testing.check_task_environment(environment)
  utils.validate_py_environment(tensor_class(2, 2, 6), episodes=8)
  assert not [w for w in recwarn if w.category is UserWarning]


def test_draws_the_same_tasks_and_starts(
  numpy_class, tensor_class, tasks_class
):
  del tasks_class
  one, other = numpy_class(3, 5), tensor_class(3, 5)
  tasks = [
    environment.sample_tasks(3, np.random.default_rng(1))
    for environment in (one, other)
  ]
  np.testing.assert_array_equal(*tasks)
  observations = []
  for environment in (one, other):
    environment.set_tasks(tasks[0])
    environment.seed([(4, 7), (5,), (6,)])
    observations.append(environment.reset().observation)
    observations.append(environment.reset().observation)
  np.testing.assert_allclose(observations[0], observations[2], atol=1e-6)
  np.testing.assert_allclose(observations[1], observations[3], atol=1e-6)


def test_every_step_equals_that_of_numpy(
  numpy_class, tensor_class, tasks_class
):
  """Both step from the same state, which the NumPy form has reached."""
  del tensor_class
  environment = numpy_class(8, 32, horizon=200)
  tasks = environment.sample_tasks(8, np.random.default_rng(0))
  environment.set_tasks(tasks)
  environment.seed(0)
  environment.reset()
  family = tasks_class()
  row_tasks = tf.constant(np.repeat(tasks, 32, axis=0), tf.float32)

  @tf.function
  def step(state, action):
    return tf.vectorized_map(
      lambda row: family.step(*row), (row_tasks, state, action)
    )

  ended = np.zeros(environment.batch_size, bool)
  num_compared = num_terminated = 0
  for action in _actions(environment, 60):
    state = _without_turns(numpy_class, environment.render_state())
    time_step = environment.step(action)
    after, observation, reward, terminated = step(
      state.astype(np.float32), action
    )
    # A row that had ended starts anew instead.
    rows = ~ended
    ended = np.asarray(time_step.is_last())
    np.testing.assert_allclose(
      observation.numpy()[rows], time_step.observation[rows], atol=1e-5
    )
    np.testing.assert_allclose(
      reward.numpy()[rows], time_step.reward[rows], atol=1e-5
    )
    np.testing.assert_array_equal(
      terminated.numpy()[rows], time_step.discount[rows] == 0
    )
    difference = _without_turns(
      numpy_class, after.numpy() - environment.render_state()
    )
    np.testing.assert_allclose(difference[rows], 0, atol=1e-5)
    num_compared += rows.sum()
    num_terminated += (time_step.discount[rows] == 0).sum()
  assert num_compared > 10_000
  if numpy_class is classic_control.CartPoleMass:
    assert num_terminated > 100


def _without_turns(numpy_class, state):
  """States whose angles are near 0: the NumPy pendulum counts turns."""
  if numpy_class is classic_control.PendulumMass:
    turns = np.round(state[:, 0] / (2 * np.pi))
    state = state - [1, 0] * (2 * np.pi * turns[:, np.newaxis])
  return state


def test_renders_as_the_numpy_form(numpy_class, tensor_class, tasks_class):
  del tasks_class
  pictures = []
  for cls in (numpy_class, tensor_class):
    environment = cls(2, 1)
    tasks = environment.sample_tasks(2, np.random.default_rng(0))
    environment.set_tasks(tasks)
    environment.seed(3)
    environment.prepare_rendering()
    environment.reset()
    environment.step(_actions(environment, 1)[0])
    states = environment.render_state()[:1]
    assert states.dtype == np.float64
    draw = environment.create_renderer(tasks[0], states, 60, 40)
    pictures.append((draw(states), environment.describe_task(tasks[0])))
  difference = pictures[0][0].astype(int) - pictures[1][0]
  assert abs(difference).max() <= 2
  assert pictures[0][1] == pictures[1][1]


def test_refuses_the_tasks_that_the_numpy_form_refuses(
  numpy_class, tensor_class, tasks_class
):
  del tasks_class
  for cls in (numpy_class, tensor_class):
    environment = cls(2, 1)
    bad = np.full_like(environment.tasks, np.nan)
    with pytest.raises(ValueError, match='finite'):
      environment.set_tasks(bad)
    if numpy_class is not point_navigation.PointNavigation:
      with pytest.raises(ValueError, match='are masses: give positive'):
        environment.set_tasks(np.zeros_like(environment.tasks))
