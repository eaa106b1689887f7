"""Meta-World's meta-learning benchmarks ML1, ML10 and ML45 (arXiv:1910.10897).

Tasks come from Meta-World's benchmark classes. Its Gymnasium ids are not used:
in version 3.1.1 'Meta-World/ML1-train' serves the test goals.
"""

import functools
import importlib
from typing import Any
from typing import NamedTuple

import cloudpickle
import gin
import numpy as np

from maml_tf.core import checks
from maml_tf.core import plain_texts
from maml_tf.core import terminal
from maml_tf.environments import meta_world_environment
from maml_tf.environments import tasks as tasks_lib
from maml_tf.environments.gymnasium_bridge import gymnasium_tasks

_BENCHMARKS = ('ML1', 'ML10', 'ML45')

_REWARDS = ('v1', 'v2')

# Of Meta-World's environments, which truncate their episodes themselves.
_HORIZON = meta_world_environment.MetaWorldEnvironment.max_path_length

# Processes without maml_tf play the class.
cloudpickle.register_pickle_by_value(meta_world_environment)


class MetaWorldTask(NamedTuple):
  """A class of environments and a goal.

  Attributes:
    env_name: The class, such as 'reach-v3'.
    goal: The number of the goal, from 0 to 49.
    is_held_out: Whether it is one of the benchmark's test tasks.
    data: The positions, as Meta-World's `Task` pickles them.
  """

  env_name: str
  goal: int
  is_held_out: bool
  data: bytes

  def __str__(self) -> str:
    kind = 'test' if self.is_held_out else 'train'
    return f'{self.env_name} {kind} goal {self.goal}'


class MetaWorldList(NamedTuple):
  """The tasks of a benchmark.

  Attributes:
    training_classes: The names of the C classes that are trained on.
    held_out_classes: The names of the C' classes of evaluation.
    tasks: The training and held-out tasks: goal 0 of every class in order, then
      goal 1 of every class, and so on.
  """

  training_classes: tuple[str, ...]
  held_out_classes: tuple[str, ...]
  tasks: tasks_lib.TaskList


@gin.configurable
class MetaWorldTasks(gymnasium_tasks.GymnasiumTasks):
  """N = B*E environments of a Meta-World benchmark.

      train_eval.environment_class = @MetaWorldTasks
      MetaWorldTasks.benchmark = 'ML10'

  A task is a class of environments and one of 50 goals, which the policy does
  not observe. ML1 has one class with other goals in evaluation; ML10 and ML45
  have 10 and 45 classes, and 5 other classes in evaluation. Place b of a
  meta-batch plays class b modulo the number of classes: the classes are
  balanced, and no row changes its class in training. If the number of tasks is
  not a multiple of that of the classes, the next meta-batch goes on with the
  next class: rows then change their classes, which takes time.

  The rewards are Meta-World's v2, from 0 to 10 a step. An episode is successful
  if a step of it is.
  """

  def __init__(
    self,
    num_tasks: int = 20,
    environments_per_task: int = 10,
    horizon: int = _HORIZON,
    benchmark: str = 'ML1',
    task_name: str = 'reach-v3',
    benchmark_seed: int = 0,
    reward_function_version: str = 'v2',
    num_processes: int | None = None,
    timeout: float = 120.0,
    max_restarts: int = 10,
  ):
    """Draws the benchmark's goals and tries an environment.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps after which an episode is truncated, at most
        500.
      benchmark: 'ML1', 'ML10' or 'ML45'.
      task_name: The class of ML1, such as 'reach-v3'.
      benchmark_seed: Seeds the goals.
      reward_function_version: 'v1' or 'v2'.
      num_processes: The number of processes that play the rows. None: one for
        each core.
      timeout: See `GymnasiumTasks`.
      max_restarts: See `GymnasiumTasks`.

    Raises:
      ValueError: If an argument is impossible, or Meta-World is not installed.
    """
    checks.integer('horizon', horizon, 1)
    if horizon > _HORIZON:
      raise ValueError(
        f'horizon is {horizon}, but Meta-World truncates its episodes after'
        f' {_HORIZON} steps: give at most {_HORIZON}'
      )
    checks.one_of('benchmark', benchmark, _BENCHMARKS)
    checks.one_of('reward_function_version', reward_function_version, _REWARDS)
    checks.integer('benchmark_seed', benchmark_seed, 0, 2**32 - 2)
    self._benchmark = load_benchmark(
      benchmark, task_name if benchmark == 'ML1' else '', benchmark_seed
    )
    super().__init__(
      num_tasks,
      environments_per_task,
      horizon,
      make_environment=meta_world_environment.MetaWorldEnvironment,
      environment_arguments={
        'reward_function_version': reward_function_version
      },
      training_tasks=self._benchmark.tasks.training,
      held_out_tasks=self._benchmark.tasks.held_out,
      num_processes=num_processes,
      timeout=timeout,
      max_restarts=max_restarts,
    )

  @property
  def held_out_classes(self) -> tuple[str, ...]:
    """The names of the classes of evaluation, in the order of its tasks."""
    return self._benchmark.held_out_classes

  @property
  def num_kinds(self) -> int:
    """The number of classes that training plays."""
    return len(self._benchmark.training_classes)

  def sample_tasks(
    self, n: int, rng: np.random.Generator
  ) -> list[MetaWorldTask]:
    """Draws n training tasks, of the classes in turn."""
    return [self.sample_task(index, rng) for index in range(n)]

  def sample_task(self, index: int, rng: np.random.Generator) -> MetaWorldTask:
    """Draws a training task of the class that plays at a place."""
    tasks = self._benchmark.tasks.training[
      index % self.num_kinds :: self.num_kinds
    ]
    return tasks[int(rng.integers(len(tasks)))]

  def _check_tasks(self, tasks):
    for task in tasks:
      if not (hasattr(task, 'env_name') and hasattr(task, 'data')):
        raise ValueError(
          f'a task is {plain_texts.of(task)}: give tasks of'
          ' MetaWorldTasks.task_list'
        )
    super()._check_tasks([_to_meta_world(task) for task in tasks])


@functools.cache
def load_benchmark(
  benchmark: str, task_name: str, benchmark_seed: int
) -> MetaWorldList:
  """Draws the goals of a benchmark; Meta-World simulates each one's reset.

  Args:
    benchmark: 'ML1', 'ML10' or 'ML45'.
    task_name: The class of ML1.
    benchmark_seed: Seeds the goals.

  Raises:
    ValueError: If Meta-World is not installed, or has no such class.
  """
  metaworld = import_meta_world()
  if benchmark == 'ML1':
    if task_name not in metaworld.ML1.ENV_NAMES:
      raise ValueError(
        f'task_name is {task_name!r}: give one of'
        f' {", ".join(sorted(metaworld.ML1.ENV_NAMES))}'
      )
    loaded = metaworld.ML1(task_name, seed=benchmark_seed)
  else:
    terminal.log(f'Meta-World draws the goals of {benchmark}')
    loaded = getattr(metaworld, benchmark)(seed=benchmark_seed)
  return MetaWorldList(
    tuple(loaded.train_classes),
    tuple(loaded.test_classes),
    tasks_lib.TaskList(
      _in_turn(loaded.train_tasks, loaded.train_classes, False),
      _in_turn(loaded.test_tasks, loaded.test_classes, True),
    ),
  )


def import_meta_world() -> Any:
  """Returns the module `metaworld`.

  Raises:
    ValueError: If it is not installed.
  """
  try:
    return importlib.import_module('metaworld')
  except ImportError as error:
    raise ValueError(
      f'Meta-World cannot be imported ({error}): install maml_tf with the extra'
      " metaworld, pip install '.[metaworld]' in a checkout"
    ) from error


def _in_turn(tasks, classes, is_held_out):
  """Returns a benchmark's tasks, goal by goal and class by class."""
  by_class = [
    [task.data for task in tasks if task.env_name == name] for name in classes
  ]
  return tuple(
    MetaWorldTask(name, goal, is_held_out, data)
    for goal, column in enumerate(zip(*by_class, strict=True))
    for name, data in zip(classes, column)
  )


def _to_meta_world(task: Any):
  """Returns the task as Meta-World's own, which needs no maml_tf."""
  task_class = importlib.import_module('metaworld.types').Task
  return task_class(task.env_name, task.data)
