"""Checks that play the same episodes again: what changes, and what must not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.trajectories import time_step as ts

from maml_tf.testing import check_case
from maml_tf.testing import time_steps
from maml_tf.testing import violations

# So many pairs of tasks are compared before a warning that tasks are alike.
_NUM_PAIRS = 4


def check_new_arrays(case: check_case.Case) -> None:
  """Checks that no array is returned twice or changed later."""
  kept = []

  def visit(t, time_step):
    del t
    for path, array in time_steps.leaves(time_step):
      for other_path, other, copy in kept:
        violations.require(
          not np.shares_memory(array, other) and time_steps.same(other, copy),
          case.name,
          f'{path} shares memory with {other_path} of an earlier step, or a'
          ' step changes it',
          'return new arrays at every call, e.g. copies',
        )
    del kept[:-8]
    kept.extend(
      (path, array, array.copy())
      for path, array in time_steps.leaves(time_step)
    )

  time_steps.play(case.environment, case.tasks, case.keys, case.actions, visit)


def check_seeds(case: check_case.Case, played: Sequence[ts.TimeStep]) -> None:
  """Checks that the same seeds give the same bits."""
  remedy = (
    'draw only from the generator that _draw_starts gets (in a Gymnasium'
    ' environment from self.np_random), and let _reset_rows reset all state'
  )
  _require_equal(
    case, played, time_steps.play(*_start(case), case.actions), remedy
  )
  environment, seed = case.environment, case.keys[0][0]
  environment.seed(seed)
  found = time_steps.difference(environment.reset(), played[0])
  violations.require(
    not found,
    case.name,
    f'seed({seed}) gives another first {found} than its keys'
    f' ({seed}, 0), ({seed}, 1), ...',
    'leave seed to TaskEnvironment',
  )
  try:
    environment.seed(case.keys[:-1])
  except ValueError:
    return
  violations.fail(
    case.name,
    f'seed accepts {len(case.keys) - 1} keys for {len(case.keys)} tasks',
    'leave seed to TaskEnvironment',
  )


def check_independence(
  case: check_case.Case, played: Sequence[ts.TimeStep]
) -> None:
  """Checks what must have no influence: writing, sampling, idle actions."""

  def write(t, time_step):
    del t
    for _, array in time_steps.leaves(time_step):
      array[:] = 1

  _require_equal(
    case,
    played,
    time_steps.play(*_start(case), case.actions, write),
    'return new arrays: the caller wrote to the last ones',
    'if the caller writes to returned arrays, ',
  )

  def sample(t, time_step):
    del time_step
    case.environment.sample_tasks(2, np.random.default_rng(t))

  _require_equal(
    case,
    played,
    time_steps.play(*_start(case), case.actions, sample),
    'sample_tasks must change nothing in the environment',
    'after calls of sample_tasks, ',
  )
  actions = [
    _choose(time_step.step_type == check_case.LAST, other, action)
    for time_step, other, action in zip(
      played, case.other_actions, case.actions
    )
  ]
  _require_equal(
    case,
    played,
    time_steps.play(*_start(case), actions),
    'the action of the step that resets a row has no effect on it',
    'with other actions after LAST, ',
  )


def check_company(case: check_case.Case, played: Sequence[ts.TimeStep]) -> None:
  """Checks that a task plays alike whichever tasks share the batch."""
  order = list(range(case.environment.num_tasks))[::-1]
  tasks = [case.tasks[b] for b in order]
  if isinstance(case.tasks, np.ndarray):
    tasks = np.stack(tasks)
  regrouped = time_steps.play(
    case.environment,
    tasks,
    [case.keys[b] for b in order],
    [time_steps.regroup(action, order) for action in case.actions],
  )
  _require_equal(
    case,
    [time_steps.regroup(time_step, order) for time_step in played],
    regrouped,
    "compute each row from its own state, task and its task's stream alone",
    'with the same tasks in another order, ',
  )


def check_effect(case: check_case.Case, seed: int) -> None:
  """Warns if two tasks give the same rewards and observations."""
  environment = case.environment
  rng = np.random.default_rng(seed + 1)
  sampled = list(case.tasks) + list(environment.sample_tasks(16, rng))
  others = [t for t in sampled[1:] if not time_steps.same(sampled[0], t)]
  if not others:
    violations.warn(
      case.name, f'all of {len(sampled)} sampled tasks are equal', ''
    )
    return

  def play_task(task):
    tasks = [task] * environment.num_tasks
    if isinstance(case.tasks, np.ndarray):
      tasks = np.stack(tasks)
    return time_steps.play(environment, tasks, case.keys, case.actions)

  one = play_task(sampled[0])
  for other in others[:_NUM_PAIRS]:
    if time_steps.first_difference(one, play_task(other)):
      return
  violations.warn(
    case.name,
    'different tasks give the same rewards and observations for the same'
    ' actions',
    'does anything read self._row_tasks (or what set_task stores)?',
  )


def _start(case: check_case.Case) -> tuple[Any, Any, Sequence[Any]]:
  return case.environment, case.tasks, case.keys


def _choose(rows, nest, other):
  """Takes the values of one nest in some rows, of another in the rest."""
  return tf.nest.map_structure(
    lambda a, b: np.where(rows.reshape(-1, *[1] * (a.ndim - 1)), a, b),
    nest,
    other,
  )


def _require_equal(case, played, others, remedy, when=''):
  found = time_steps.first_difference(played, others)
  violations.require(
    not found, case.name, f'{when}the same seeds give another {found}', remedy
  )
