"""One environment whose tasks are divided over several environments.

A group plays some of the tasks. While the physics of one group moves outside
Python, the policy acts for another one: see `collection.episode_driver`.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
import contextlib
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.trajectories import time_step as ts

from maml_tf.core import cpu
from maml_tf.core import random_streams
from maml_tf.environments import task_environment
from maml_tf.environments import tasks as tasks_lib
from maml_tf.environments.rendering import renderer

# Fewer rows wait for each other longer than they gain.
_FEWEST_ROWS = 100
# Measured with half-cheetahs on two cores: more groups bring nothing, but the
# largest of two groups should not have much more than half of the tasks.
_NUMBERS_OF_GROUPS = (2, 3)
_LARGEST_SHARE = 0.55
# TensorFlow computes functions such as tanh for so many numbers at a time, and
# those that are left over at an array's end with other roundings.
_PACKET = 16


class TaskGroups(task_environment.TaskEnvironment):
  """The B tasks of G environments, in their order.

  Seeds, tasks, starts and rewards are those of one environment with B tasks.
  The groups neither discard episodes nor report successes.

  Attributes:
    groups: The environments.
    group_tasks: The tasks of each group, a slice of B.
    group_rows: The rows of each group, a slice of N.
  """

  groups: tuple[task_environment.TaskEnvironment, ...]
  group_tasks: tuple[slice, ...]
  group_rows: tuple[slice, ...]

  def __init__(self, groups: Sequence[task_environment.TaskEnvironment]):
    """Joins environments of one family, which differ in the number of tasks.

    Args:
      groups: The environments, which must not be stepped by others.
    """
    self.groups = tuple(groups)
    self.group_tasks = _slices([group.num_tasks for group in groups])
    self.group_rows = _slices([group.batch_size for group in groups])
    first = self.groups[0]
    self.task_label = first.task_label
    super().__init__(
      observation_spec=first.observation_spec(),
      action_spec=first.action_spec(),
      task_shape=None,
      num_tasks=sum(group.num_tasks for group in groups),
      environments_per_task=first.environments_per_task,
      horizon=first.horizon,
    )

  @property
  def steps_outside_python(self) -> bool:
    return self.groups[0].steps_outside_python

  def use_threads(self, num_threads: int) -> None:
    for group in self.groups:
      group.use_threads(num_threads)

  @property
  def num_unstable_episodes(self) -> int:
    return sum(group.num_unstable_episodes for group in self.groups)

  @property
  def tasks(self) -> Any:
    tasks = [group.tasks for group in self.groups]
    if isinstance(tasks[0], np.ndarray):
      return np.concatenate(tasks)
    return [task for of_group in tasks for task in of_group]

  @property
  def task_list(self) -> tasks_lib.TaskList | None:
    return self.groups[0].task_list

  @property
  def num_kinds(self) -> int:
    return self.groups[0].num_kinds

  def sample_tasks(self, n: int, rng: np.random.Generator) -> Any:
    return self.groups[0].sample_tasks(n, rng)

  def sample_task(self, index: int, rng: np.random.Generator) -> Any:
    return self.groups[0].sample_task(index, rng)

  def held_out_task(self, index: int, rng: np.random.Generator) -> Any:
    return self.groups[0].held_out_task(index, rng)

  def observed_numbers(self, task: Any) -> np.ndarray | None:
    return self.groups[0].observed_numbers(task)

  def set_tasks(self, tasks: Any) -> None:
    if not isinstance(tasks, np.ndarray) or len(tasks) != self.num_tasks:
      tasks = tasks_lib.check_objects(tasks, self.num_tasks)
    with contextlib.ExitStack() as undo:
      for group, of_group in zip(self.groups, self.group_tasks):
        undo.callback(group.set_tasks, group.tasks)
        group.set_tasks(tasks[of_group])
      undo.pop_all()
    self._current_time_step = None

  def seed(self, seed: Any) -> None:
    keys = random_streams.keys_of_seed(seed, self.num_tasks)
    for group, of_group in zip(self.groups, self.group_tasks):
      group.seed(keys[of_group])

  def rest(self, rows: np.ndarray) -> None:
    for group, of_group in zip(self.groups, self.group_rows):
      group.rest(rows[of_group])

  def close(self) -> None:
    for group in self.groups:
      group.close()

  def prepare_rendering(self) -> None:
    for group in self.groups:
      group.prepare_rendering()

  def render_state(self) -> np.ndarray:
    return np.concatenate([group.render_state() for group in self.groups])

  def describe_task(self, task: Any) -> str:
    return self.groups[0].describe_task(task)

  def create_renderer(
    self, task: Any, states: np.ndarray, width: int, height: int
  ) -> renderer.Renderer:
    return self.groups[0].create_renderer(task, states, width, height)

  def _reset(self):
    return _join([group.reset() for group in self.groups])

  def _step(self, action):
    return _join(
      [
        group.step(tf.nest.map_structure(lambda a, r=rows: a[r], action))
        for group, rows in zip(self.groups, self.group_rows)
      ]
    )

  # `reset` and `step` of the groups call their own.
  def _draw_starts(self, generator, num_rows):
    raise NotImplementedError

  def _reset_rows(self, rows, starts):
    raise NotImplementedError

  def _advance(self, action):
    raise NotImplementedError


def divide(
  environment: task_environment.TaskEnvironment,
  create: Callable[..., task_environment.TaskEnvironment],
  widths: Collection[int],
) -> task_environment.TaskEnvironment:
  """Divides an environment's tasks into groups if that makes it faster.

  A policy acts with the same bits for the groups as for the whole.

  Args:
    environment: An environment that was not used yet. It is closed if it is
      divided.
    create: Makes another one like it, given num_tasks and
      environments_per_task.
    widths: How many numbers the policy computes for a row at a time, in each of
      its layers; see `AdaptedPolicy.widths`.

  Returns:
    `TaskGroups`, or the environment itself.
  """
  num_cores = cpu.count()
  sizes = _sizes(environment, widths)
  if (
    num_cores == 1
    or len(sizes) == 1
    or not environment.steps_outside_python
    or environment.may_discard
    or environment.success is not None
    or environment.batch_size < _FEWEST_ROWS
  ):
    return environment
  environment.close()
  each = environment.environments_per_task
  groups = TaskGroups(
    [create(num_tasks=size, environments_per_task=each) for size in sizes]
  )
  # A core for each group needs no pool of threads. Of more cores, those of a
  # group for which the policy acts would be idle.
  groups.use_threads(1 if num_cores == 2 else num_cores)
  return groups


def _sizes(environment, widths):
  """Returns the numbers of tasks of the groups; a single one: no groups."""
  num_tasks, each = environment.num_tasks, environment.environments_per_task
  # A group ends where a packet ends in the arrays of all tasks.
  unit = next(
    unit
    for unit in range(1, _PACKET + 1)
    if all(unit * each * width % _PACKET == 0 for width in widths)
  )
  for number in _NUMBERS_OF_GROUPS:
    size = unit * max(1, round(num_tasks / (number * unit)))
    sizes = [size] * (number - 1) + [num_tasks - (number - 1) * size]
    if sizes[-1] > 0 and max(sizes) <= _LARGEST_SHARE * num_tasks:
      return sizes
  return [num_tasks]


def _slices(sizes):
  """Returns adjacent slices of these sizes, from 0 on."""
  ends = np.cumsum(sizes).tolist()
  return tuple(slice(i, j) for i, j in zip([0, *ends], ends))


def _join(time_steps):
  """Returns the time step [N, ...] of the groups' time steps."""
  return ts.TimeStep(
    *(
      tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
      for parts in zip(*time_steps)
    )
  )
