"""An environment whose observations contain the task.

A policy that is trained on it is an oracle: it knows what others must find out
by adaptation.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from maml_tf.environments import task_environment
from maml_tf.environments import tasks as tasks_lib
from maml_tf.environments.rendering import renderer


class ObservedTask(task_environment.TaskEnvironment):
  """Appends the K numbers of the task to the O of the observation.

  All else is the other environment's: the same seeds give the same tasks,
  starts and rewards.
  """

  def __init__(self, environment: task_environment.TaskEnvironment):
    """Wraps an environment, which must not be stepped by others.

    Args:
      environment: Its observation is a vector of floats, its tasks are numbers.

    Raises:
      ValueError: If they are not.
    """
    self._environment = environment
    self.task_label = environment.task_label
    self._row_values: np.ndarray | None = None  # [N, K] once there are tasks.
    self._num_values = _num_values(environment)
    super().__init__(
      observation_spec=_extended_spec(environment, self._num_values),
      action_spec=environment.action_spec(),
      task_shape=None,
      num_tasks=environment.num_tasks,
      environments_per_task=environment.environments_per_task,
      horizon=environment.horizon,
    )

  @property
  def num_unstable_episodes(self) -> int:
    return self._environment.num_unstable_episodes

  @property
  def steps_outside_python(self) -> bool:
    return self._environment.steps_outside_python

  def use_threads(self, num_threads: int) -> None:
    self._environment.use_threads(num_threads)

  @property
  def may_discard(self) -> bool:
    return self._environment.may_discard

  @property
  def discarded(self) -> np.ndarray:
    return self._environment.discarded

  @property
  def success(self) -> np.ndarray | None:
    return self._environment.success

  @property
  def tasks(self) -> Any:
    return self._environment.tasks

  @property
  def task_list(self) -> tasks_lib.TaskList | None:
    return self._environment.task_list

  @property
  def num_kinds(self) -> int:
    return self._environment.num_kinds

  def sample_tasks(self, n: int, rng: np.random.Generator) -> Any:
    return self._environment.sample_tasks(n, rng)

  def sample_task(self, index: int, rng: np.random.Generator) -> Any:
    return self._environment.sample_task(index, rng)

  def held_out_task(self, index: int, rng: np.random.Generator) -> Any:
    return self._environment.held_out_task(index, rng)

  def observed_numbers(self, task: Any) -> np.ndarray | None:
    return self._environment.observed_numbers(task)

  def set_tasks(self, tasks: Any) -> None:
    self._environment.set_tasks(tasks)
    self._row_values = self._values_of_rows()
    self._current_time_step = None

  def seed(self, seed: Any) -> None:
    self._environment.seed(seed)

  def rest(self, rows: np.ndarray) -> None:
    self._environment.rest(rows)

  def close(self) -> None:
    self._environment.close()

  def prepare_rendering(self) -> None:
    self._environment.prepare_rendering()

  def render_state(self) -> np.ndarray:
    return self._environment.render_state()

  def describe_task(self, task: Any) -> str:
    return self._environment.describe_task(task)

  def create_renderer(
    self, task: Any, states: np.ndarray, width: int, height: int
  ) -> renderer.Renderer:
    return self._environment.create_renderer(task, states, width, height)

  def _reset(self):
    return self._with_task(self._environment.reset())

  def _step(self, action):
    return self._with_task(self._environment.step(action))

  def _with_task(self, time_step: ts.TimeStep) -> ts.TimeStep:
    if self._row_values is None:
      self._row_values = self._values_of_rows()
    observation = np.concatenate(
      [time_step.observation, self._row_values], axis=1
    )
    return time_step._replace(observation=observation)

  def _values_of_rows(self) -> np.ndarray:
    """Returns the numbers of every row's task, [N, K]."""
    environment = self._environment
    values = [_observed(environment, task) for task in environment.tasks]
    for task_values in values:
      if len(task_values) != self._num_values:
        raise ValueError(
          f'a task is {len(task_values)} numbers, another is'
          f' {self._num_values}: observe_task needs tasks of equal size'
        )
    dtype = self._environment.observation_spec().dtype
    return np.repeat(
      np.asarray(values, dtype), self.environments_per_task, axis=0
    )

  # `reset` and `step` of the other environment call its own.
  def _draw_starts(self, generator, num_rows):
    raise NotImplementedError

  def _reset_rows(self, rows, starts):
    raise NotImplementedError

  def _advance(self, action):
    raise NotImplementedError


def _num_values(environment: task_environment.TaskEnvironment) -> int:
  """Returns K, the number of numbers in a task."""
  if environment.task_list is not None:
    tasks: Sequence[Any] = environment.task_list.training
  else:
    tasks = environment.sample_tasks(1, np.random.default_rng(0))
  return len(_observed(environment, tasks[0]))


def _observed(
  environment: task_environment.TaskEnvironment, task: Any
) -> np.ndarray:
  values = environment.observed_numbers(task)
  if values is None:
    raise ValueError(
      f'the task {tasks_lib.name(task)} is not numbers, so that no observation'
      ' can contain it: set observe_task = False'
    )
  return values


def _extended_spec(
  environment: task_environment.TaskEnvironment, num_values: int
) -> types.NestedArraySpec:
  """Returns the spec of an observation [O + K]."""
  spec = environment.observation_spec()
  if (
    not isinstance(spec, array_spec.ArraySpec)
    or len(spec.shape) != 1
    or not np.issubdtype(spec.dtype, np.floating)
  ):
    raise ValueError(
      f'the observation is {spec}, not a vector of floats to which the task'
      ' can be appended: set observe_task = False'
    )
  return array_spec.ArraySpec(
    (spec.shape[0] + num_values,), spec.dtype, spec.name
  )
