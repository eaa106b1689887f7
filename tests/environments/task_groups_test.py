"""Groups of tasks equal one environment of all tasks."""

import functools

import numpy as np
import pytest
from tf_agents.environments import utils

from maml_tf.core import cpu
from maml_tf.environments import locomotion
from maml_tf.environments import observed_task
from maml_tf.environments import point_navigation
from maml_tf.environments import task_groups
from tests.environments import labelled_corridors

SIZES = {'environments_per_task': 25, 'horizon': 3}


def _cheetahs(num_tasks, **kwargs):
  return locomotion.HalfCheetahVelocity(num_tasks, **(SIZES | kwargs))


TASKS = np.array([0.0, 0.5, 1.0, 1.5, 2.0])


def _groups():
  return task_groups.TaskGroups([_cheetahs(2), _cheetahs(3)])


def _steps(environment, num_steps=8):
  """All time steps of two episodes and the beginning of a third."""
  actions = np.random.default_rng(0).uniform(
    -1, 1, (num_steps, environment.batch_size, 6)
  )
  environment.set_tasks(TASKS)
  environment.seed([(7, b) for b in range(len(TASKS))])
  return [environment.reset()] + [
    environment.step(action.astype(np.float32)) for action in actions
  ]


def test_the_same_bits_as_one_environment():
  for ours, theirs in zip(_steps(_groups()), _steps(_cheetahs(5)), strict=True):
    for part, other in zip(ours, theirs, strict=True):
      np.testing.assert_array_equal(part, other)
      assert part.dtype == other.dtype


def test_sizes_tasks_and_states_of_all():
  groups = _groups()
  assert groups.num_tasks == 5
  assert groups.batch_size == 125
  assert groups.group_tasks == (slice(0, 2), slice(2, 5))
  assert groups.group_rows == (slice(0, 50), slice(50, 125))
  groups.set_tasks(TASKS)
  np.testing.assert_array_equal(groups.tasks, TASKS)
  groups.reset()
  assert groups.render_state().shape == (125, 1 + 9 + 9)
  assert groups.describe_task(1.5) == _cheetahs(1).describe_task(1.5)
  rng = np.random.default_rng
  np.testing.assert_array_equal(
    groups.sample_tasks(3, rng(0)), _cheetahs(1).sample_tasks(3, rng(0))
  )


def test_tf_agents_can_drive_them():
  environment = task_groups.TaskGroups(
    [locomotion.HalfCheetahVelocity(n, 1, 4) for n in (1, 2)]
  )
  utils.validate_py_environment(environment, episodes=2)


def test_one_number_seeds_as_in_one_environment():
  groups, one = _groups(), _cheetahs(5)
  for environment in (groups, one):
    environment.set_tasks(TASKS)
    environment.seed(3)
  np.testing.assert_array_equal(
    groups.reset().observation, one.reset().observation
  )


def test_unstable_episodes_add_up():
  groups = _groups()
  groups.set_tasks(TASKS)
  groups.reset()
  for group in groups.groups:
    group.physics.models[0].actuator_gear *= 1e9
  groups.step(np.ones((125, 6), np.float32))
  assert groups.num_unstable_episodes == 125


def test_wrong_tasks_change_nothing():
  groups = task_groups.TaskGroups(
    [locomotion.HalfCheetahDirection(2, 1, 4) for _ in range(2)]
  )
  groups.set_tasks([1.0, -1.0, 1.0, -1.0])
  with pytest.raises(ValueError, match='are not directions: give'):
    groups.set_tasks([-1.0, 1.0, 0.5, 1.0])
  np.testing.assert_array_equal(groups.tasks, [1.0, -1.0, 1.0, -1.0])
  with pytest.raises(
    ValueError, match='there are 3 tasks, but this .* plays 4'
  ):
    groups.set_tasks([1.0, 1.0, 1.0])
  with pytest.raises(ValueError, match='seed has 3 keys for 4 tasks'):
    groups.seed([1, 2, 3])


def test_objects_can_be_tasks():
  first, second = (
    labelled_corridors.LabelledCorridors(2, 1, 3) for _ in range(2)
  )
  groups = task_groups.TaskGroups([first, second])
  tasks = first.sample_tasks(4, np.random.default_rng(0))
  groups.set_tasks(tasks)
  assert groups.tasks == tasks
  assert second.tasks == tasks[2:]


def _divide(create, num_tasks=4, widths=(16,)):
  return task_groups.divide(create(num_tasks), create, widths)


def test_what_is_divided(monkeypatch):
  monkeypatch.setattr(cpu, 'count', lambda: 2)
  divided = _divide(_cheetahs)
  assert isinstance(divided, task_groups.TaskGroups)
  assert [group.num_tasks for group in divided.groups] == [2, 2]
  # A core for each group: its physics moves in the thread that plays it.
  assert [g.physics.num_threads for g in divided.groups] == [1, 1]
  oracles = _divide(
    lambda *args, **kwargs: observed_task.ObservedTask(
      _cheetahs(*args, **kwargs)
    )
  )
  assert isinstance(oracles, task_groups.TaskGroups)
  # Few rows, and what holds Python's lock, stay whole.
  few = functools.partial(
    locomotion.HalfCheetahVelocity, environments_per_task=24, horizon=3
  )
  assert isinstance(_divide(few), locomotion.HalfCheetahVelocity)
  points = functools.partial(point_navigation.PointNavigation, **SIZES)
  assert isinstance(_divide(points), point_navigation.PointNavigation)


@pytest.mark.parametrize(
  'num_tasks, widths, sizes',
  [
    # 8 tasks of 25 rows have 1,200 numbers of 6 a row, 75 packets.
    (20, (64, 6), [8, 8, 4]),
    (40, (64,), [20, 20]),
    (41, (64,), [20, 21]),
    (5, (16,), [2, 2, 1]),  # Two groups of 2 and 3 would be too unequal.
    # Any width: 16 tasks of 25 rows fill packets of 16.
    (20, (64, 5), [20]),
    (48, (5,), [16, 16, 16]),
    (64, (5,), [32, 32]),
  ],
)
def test_groups_end_where_packets_end(monkeypatch, num_tasks, widths, sizes):
  monkeypatch.setattr(cpu, 'count', lambda: 2)
  divided = _divide(_cheetahs, num_tasks, widths)
  groups = getattr(divided, 'groups', (divided,))
  assert [group.num_tasks for group in groups] == sizes


def test_more_cores_serve_each_group(monkeypatch):
  monkeypatch.setattr(cpu, 'count', lambda: 16)
  divided = _divide(_cheetahs)
  assert [g.physics.num_threads for g in divided.groups] == [16, 16]
  monkeypatch.setattr(cpu, 'count', lambda: 1)
  assert isinstance(_divide(_cheetahs), locomotion.HalfCheetahVelocity)
  divided.close()


def test_a_group_whose_episodes_have_ended_waits_for_the_others():
  groups = task_groups.TaskGroups(
    [locomotion.HalfCheetahVelocity(1, 2, horizon) for horizon in (1, 4)]
  )
  groups.set_tasks([1.0, 1.0])
  groups.reset()
  action = np.zeros((4, 6), np.float32)
  for _ in range(3):
    time_step = groups.step(action)
    groups.rest(time_step.is_last())
  np.testing.assert_array_equal(time_step.is_last(), [True, True, False, False])
