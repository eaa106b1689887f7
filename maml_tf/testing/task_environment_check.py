"""The contract of a task environment, as a call for a user's own tests."""

import inspect
from typing import Any

import numpy as np
from tf_agents.specs import array_spec

from maml_tf.core import checks
from maml_tf.core import random_streams
from maml_tf.environments import action_draws
from maml_tf.environments import task_environment
from maml_tf.testing import check_case
from maml_tf.testing import repeated_play_checks
from maml_tf.testing import time_step_checks
from maml_tf.testing import time_steps
from maml_tf.testing import violations

# Steps beyond the first episode of the horizon's length.
_MORE_STEPS = 12


def check_task_environment(environment: Any, seed: int = 0) -> None:
  """Checks that an environment keeps the contract of `TaskEnvironment`.

  For example, in a test of yours:

      environment = MyTasks(num_tasks=3, environments_per_task=2, horizon=5)
      maml_tf.testing.check_task_environment(environment)

  It plays about eight times the horizon, so make the environment small. It
  looks at specs, shapes, dtypes and finite numbers; the order of FIRST, MID and
  LAST, the horizon and the discounts; `set_tasks` and `sample_tasks`; and
  whether equal seeds give equal bits whichever tasks share the batch. Random
  actions within the action spec are played. Afterwards the environment has
  other tasks and seeds.

  What may be wrong is a `UserWarning`: tasks without an effect, observations
  outside their bounds, terminations at every horizon, a constructor that
  `train_eval` cannot call.

  Args:
    environment: N = B*E rows of at least two tasks.
    seed: Seeds tasks, starts and actions.

  Raises:
    ValueError: If it is not a `TaskEnvironment`, or has one task.
    AssertionError: If it breaks the contract. One line names the class, what is
      wrong, and the remedy.
  """
  if not isinstance(environment, task_environment.TaskEnvironment):
    raise ValueError(
      f'a {type(environment).__name__} is not a TaskEnvironment: give an object'
      ' of a subclass of maml_tf.TaskEnvironment'
    )
  name = type(environment).__name__
  if environment.num_tasks < 2:
    raise ValueError(
      f'{name} has 1 task: make it with num_tasks of at least 2, so that tasks'
      ' can be compared'
    )
  checks.integer('seed', seed, 0)
  _check_sizes(environment, name)
  _check_constructor(environment, name)
  _check_sampling(environment, name, seed)
  num_steps = environment.horizon + min(environment.horizon, _MORE_STEPS) + 1
  tasks = environment.sample_tasks(
    environment.num_tasks, np.random.default_rng(seed)
  )
  if isinstance(environment.tasks, np.ndarray):
    tasks = np.asarray(tasks, np.float64)
  case = check_case.Case(
    environment,
    name,
    tasks,
    [(seed, b) for b in range(environment.num_tasks)],
    _draw_actions(environment, seed, num_steps),
    _draw_actions(environment, seed + 1, num_steps),
  )
  _check_set_tasks(case)
  played = time_step_checks.check_time_steps(case)
  time_step_checks.check_order(case, played)
  repeated_play_checks.check_new_arrays(case)
  repeated_play_checks.check_seeds(case, played)
  repeated_play_checks.check_independence(case, played)
  repeated_play_checks.check_company(case, played)
  repeated_play_checks.check_effect(case, seed)


def _check_sizes(environment, name):
  violations.require(
    environment.batched
    and environment.batch_size
    == environment.num_tasks * environment.environments_per_task,
    name,
    f'batch_size is {environment.batch_size} for {environment.num_tasks} tasks'
    f' of {environment.environments_per_task} environments',
    'leave batched and batch_size to TaskEnvironment',
  )
  for kind in ('observation_spec', 'action_spec'):
    for path, spec in time_steps.leaves(getattr(environment, kind)(), kind):
      violations.require(
        isinstance(spec, array_spec.ArraySpec),
        name,
        f'{path} is a {type(spec).__name__}',
        'give an ArraySpec or BoundedArraySpec of one row',
      )


def _check_constructor(environment, name):
  """Warns if `train_eval` cannot make the environment."""
  parameters = inspect.signature(type(environment).__init__).parameters
  if any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
    return
  for needed in ('num_tasks', 'environments_per_task', 'horizon'):
    if needed not in parameters:
      violations.warn(
        name,
        f'its constructor has no parameter {needed}',
        'train_eval gives it by that name',
      )


def _check_sampling(environment, name, seed):
  """Checks `sample_tasks` and the methods that draw a single task."""
  draws = []
  for n in (1, 5, environment.num_tasks):
    tasks = environment.sample_tasks(n, np.random.default_rng(seed))
    violations.require(
      len(tasks) == n,
      name,
      f'sample_tasks({n}) returned {len(tasks)} tasks',
      f'return {n}',
    )
    draws.append(tasks)
  again = environment.sample_tasks(
    environment.num_tasks, np.random.default_rng(seed)
  )
  violations.require(
    time_steps.same(draws[-1], again),
    name,
    'sample_tasks drew other tasks from a generator of the same seed',
    'draw from its argument rng alone',
  )
  rng = np.random.default_rng(seed)
  singles = [
    [draw(i, rng) for i in range(environment.num_tasks)]
    for draw in (environment.sample_task, environment.held_out_task)
  ]
  for method, tasks in zip(
    ('sample_tasks', 'sample_task', 'held_out_task'), (draws[-1], *singles)
  ):
    try:
      environment.set_tasks(tasks)
    except ValueError as error:
      violations.fail(
        name,
        f'set_tasks refuses what {method} drew: {_one_line(error)}',
        'let both have the same shape of task',
      )


def _check_set_tasks(case):
  """Checks that tasks are kept, reset every row, and are counted."""
  environment = case.environment
  environment.set_tasks(case.tasks)
  violations.require(
    time_steps.same(list(environment.tasks), list(case.tasks)),
    case.name,
    'tasks differs from what set_tasks was given',
    'override _check_tasks, not set_tasks, or call super().set_tasks(tasks)',
  )
  environment.seed(case.keys)
  environment.reset()
  environment.step(case.actions[0])
  environment.set_tasks(case.tasks)
  step_type = np.asarray(environment.step(case.actions[0]).step_type)
  violations.require(
    (step_type == check_case.FIRST).all(),
    case.name,
    f'the step after set_tasks has the step types {step_type.tolist()}',
    'every row must be reset: call super().set_tasks(tasks)',
  )
  for n in (case.environment.num_tasks + 1, case.environment.num_tasks - 1):
    tasks = environment.sample_tasks(n, np.random.default_rng(0))
    try:
      environment.set_tasks(tasks)
    except ValueError:
      violations.require(
        time_steps.same(list(environment.tasks), list(case.tasks)),
        case.name,
        f'set_tasks refused {n} tasks, but kept them',
        'check tasks in _check_tasks, before anything changes',
      )
    else:
      violations.fail(
        case.name,
        f'set_tasks accepts {n} tasks for {environment.num_tasks}',
        'raise a ValueError: call super().set_tasks(tasks)',
      )


def _draw_actions(environment, seed, num_steps):
  """Draws T nests of actions [N, ...] within the action spec."""
  generators = [
    random_streams.generator((seed, b)) for b in range(environment.num_tasks)
  ]
  return [
    action_draws.draw(
      environment.action_spec(), generators, environment.environments_per_task
    )
    for _ in range(num_steps)
  ]


def _one_line(error):
  return str(error).partition('\n')[0]
