"""Observations that contain the task; all else is the other environment's."""

import numpy as np
import pytest
from tf_agents.specs import array_spec

from maml_tf.core import errors
from maml_tf.environments import observed_task
from maml_tf.environments import point_navigation
from maml_tf.environments import task_environment
from maml_tf.environments import tasks as tasks_lib
from tests.environments import countdown_environment


class _Listed(task_environment.TaskEnvironment):
  """Plays a given list of objects; the observation is a given spec."""

  def __init__(self, listed, spec=None, num_tasks=2):
    self.listed = listed
    super().__init__(
      spec or array_spec.ArraySpec((1,), np.float64, 'place'),
      array_spec.BoundedArraySpec((1,), np.float32, -1.0, 1.0),
      task_shape=None,
      num_tasks=num_tasks,
      environments_per_task=2,
      horizon=3,
    )

  task_list = property(lambda self: tasks_lib.TaskList(self.listed))
  success = property(lambda self: np.arange(self.batch_size) % 2 == 0)
  may_discard = property(lambda self: True)
  discarded = property(lambda self: np.arange(self.batch_size) % 2 == 1)
  num_unstable_episodes = property(lambda self: 5)

  def sample_tasks(self, n, rng):
    return [self.listed[i] for i in rng.integers(len(self.listed), size=n)]

  def _draw_starts(self, generator, num_rows):
    return np.zeros((num_rows, 1))

  def _reset_rows(self, rows, starts):
    return starts

  def _advance(self, action):
    zeros = np.zeros(self.batch_size)
    return zeros[:, np.newaxis], zeros.astype(np.float32), zeros > 0


def test_the_numbers_of_the_task_follow_the_observation():
  environment = observed_task.ObservedTask(
    point_navigation.PointNavigation(2, 2, horizon=3)
  )
  spec = environment.observation_spec()
  assert spec == array_spec.ArraySpec((4,), np.float32, 'observation')
  environment.set_tasks([[0.25, -0.5], [1.0, 2.0]])
  action = np.full((4, 2), 0.05, np.float32)
  observations = [environment.reset().observation]
  observations += [environment.step(action).observation for _ in range(4)]
  for t, observation in enumerate(observations):
    # The horizon is 3: the fifth observation begins the next episode.
    position = np.full((4, 2), 0.05 * (t % 4))
    goals = [[0.25, -0.5]] * 2 + [[1.0, 2.0]] * 2
    np.testing.assert_allclose(
      observation, np.hstack([position, goals]), rtol=1e-6
    )
    assert observation.dtype == np.float32
  environment.set_tasks([[3.0, 4.0], [5.0, 6.0]])
  observation = environment.step(action).observation
  np.testing.assert_array_equal(observation[::2], [[0, 0, 3, 4], [0, 0, 5, 6]])


def test_all_else_is_equal_to_the_other_environment():
  """Episodes of different lengths, random starts, resets of single rows."""
  plain, wrapped = (
    countdown_environment.CountdownEnvironment(3, 2, horizon=4)
    for _ in range(2)
  )
  observed = observed_task.ObservedTask(wrapped)
  assert observed.num_tasks == 3
  assert observed.environments_per_task == 2
  assert observed.horizon == 4
  assert observed.action_spec() == plain.action_spec()
  for environment in (plain, observed):
    environment.set_tasks([1.0, 2.0, 9.0])
    environment.seed([(7, b) for b in range(3)])
  np.testing.assert_array_equal(observed.tasks, plain.tasks)
  action = np.arange(6, dtype=np.float32)[:, np.newaxis]
  steps = [(plain.reset(), observed.reset())]
  steps += [(plain.step(action), observed.step(action)) for _ in range(9)]
  for ours, theirs in steps:
    np.testing.assert_array_equal(theirs.observation[:, :2], ours.observation)
    np.testing.assert_array_equal(theirs.observation[:, 2], [1, 1, 2, 2, 9, 9])
    for name in ('step_type', 'reward', 'discount'):
      np.testing.assert_array_equal(getattr(theirs, name), getattr(ours, name))


def test_tasks_are_drawn_alike():
  plain = point_navigation.PointNavigation(2, 1, 3)
  observed = observed_task.ObservedTask(point_navigation.PointNavigation(2))
  for name, argument in (
    ('sample_tasks', 3),
    ('sample_task', 1),
    ('held_out_task', 1),
  ):
    ours, theirs = (
      getattr(environment, name)(argument, np.random.default_rng(5))
      for environment in (plain, observed)
    )
    np.testing.assert_array_equal(ours, theirs)
  # Without `set_tasks` it draws its own.
  observation = observed.reset().observation
  np.testing.assert_array_equal(
    observation[::20, 2:], observed.tasks.astype(np.float32)
  )


def test_objects_that_are_numbers_can_be_observed():
  listed = [np.array([1.0, 2.0]), np.array([3.0, 4.0])]
  environment = observed_task.ObservedTask(_Listed(listed))
  environment.set_tasks(listed)
  observation = environment.reset().observation
  expected = [[0, 1, 2], [0, 1, 2], [0, 3, 4], [0, 3, 4]]
  np.testing.assert_array_equal(observation, expected)
  assert observation.dtype == np.float64
  assert environment.task_list.training is listed
  assert environment.may_discard
  np.testing.assert_array_equal(environment.success, [1, 0, 1, 0])
  np.testing.assert_array_equal(environment.discarded, [0, 1, 0, 1])
  assert environment.num_unstable_episodes == 5


def test_it_renders_as_the_other_environment():
  environment = observed_task.ObservedTask(
    point_navigation.PointNavigation(1, 1, horizon=3)
  )
  environment.prepare_rendering()
  environment.reset()
  states = environment.render_state()
  assert states.shape == (1, 2)
  renderer = environment.create_renderer(np.zeros(2), states, 32, 24)
  image = renderer(states)
  assert image.shape == (24, 32, 3)
  blind = observed_task.ObservedTask(_Listed([1.0]))
  with pytest.raises(errors.UsageError, match='_Listed cannot be rendered'):
    blind.prepare_rendering()


@pytest.mark.parametrize(
  ('listed', 'spec', 'message'),
  [
    (['left'], None, 'the task left is not numbers'),
    (
      [1.0],
      array_spec.ArraySpec((2, 2), np.float32),
      'not a vector of floats',
    ),
    ([1.0], array_spec.ArraySpec((2,), np.int32), 'not a vector of floats'),
    (
      [1.0],
      {'place': array_spec.ArraySpec((2,), np.float32)},
      'not a vector of floats',
    ),
  ],
)
def test_what_cannot_be_observed_is_one_line(listed, spec, message):
  with pytest.raises(ValueError, match=message) as error:
    observed_task.ObservedTask(_Listed(listed, spec))
  assert '\n' not in str(error.value)
  assert 'observe_task = False' in str(error.value)


def test_tasks_of_different_sizes_are_one_line():
  environment = observed_task.ObservedTask(_Listed([1.0]))
  with pytest.raises(ValueError, match='a task is 2 numbers, another is 1'):
    environment.set_tasks([1.0, np.array([1.0, 2.0])])
