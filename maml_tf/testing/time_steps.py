"""Time steps played for a check: recorded, and compared bit by bit."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import pickle
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from maml_tf.environments import task_environment


def play(
  environment: task_environment.TaskEnvironment,
  tasks: Any,
  keys: Sequence[Any],
  actions: Sequence[types.NestedArray],
  visit: Callable[[int, ts.TimeStep], None] = lambda t, time_step: None,
) -> list[ts.TimeStep]:
  """Resets an environment and steps it.

  Args:
    environment: N rows.
    tasks: B tasks.
    keys: B keys of random streams.
    actions: T nests of arrays [N, ...].
    visit: Called after the reset, t = 0, and each step, with the environment's
      own arrays.

  Returns:
    Copies of the T + 1 time steps.
  """
  environment.set_tasks(tasks)
  environment.seed(keys)
  time_step = environment.reset()
  copies = [_copy(time_step)]
  visit(0, time_step)
  for t, action in enumerate(actions, start=1):
    time_step = environment.step(action)
    copies.append(_copy(time_step))
    visit(t, time_step)
  return copies


def leaves(nest: Any, name: str = '') -> Iterator[tuple[str, Any]]:
  """Yields the leaves of a nest of dicts and tuples with their paths."""
  if isinstance(nest, ts.TimeStep):
    for field in ('observation', 'reward', 'step_type', 'discount'):
      yield from leaves(getattr(nest, field), field)
  elif isinstance(nest, dict):
    for key, part in nest.items():
      yield from leaves(part, f'{name}/{key}' if name else str(key))
  elif isinstance(nest, (tuple, list)):
    for i, part in enumerate(nest):
      yield from leaves(part, f'{name}/{i}' if name else str(i))
  else:
    yield name, nest


def difference(one: ts.TimeStep, other: ts.TimeStep) -> str:
  """Returns the name of the first leaf that differs in any bit, or ''."""
  for (name, array), (_, other_array) in zip(leaves(one), leaves(other)):
    if not same(array, other_array):
      return name
  return ''


def first_difference(
  played: Sequence[ts.TimeStep], others: Sequence[ts.TimeStep]
) -> str:
  """Says where two records differ first, or ''."""
  for t, (one, other) in enumerate(zip(played, others)):
    name = difference(one, other)
    if name:
      return f'{name} after {t} steps' if t else f'first {name}'
  return ''


def regroup(nest: Any, order: Sequence[int]) -> Any:
  """Returns arrays [N, ...] whose groups of rows are in another order.

  Args:
    nest: A nest of arrays [N, ...] of B groups of E rows.
    order: The B numbers of the groups.
  """

  def regroup_array(array):
    groups = array.reshape(len(order), -1, *array.shape[1:])
    return groups[list(order)].reshape(array.shape)

  return tf.nest.map_structure(regroup_array, nest)


def same(one: Any, other: Any) -> bool:
  """Whether two tasks, or two nests of them, are equal."""
  if one is other:
    return True
  if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
    if one.dtype == object or other.dtype == object:
      return same(one.tolist(), other.tolist())
    return np.array_equal(
      one, other, equal_nan=one.dtype.kind == other.dtype.kind == 'f'
    )
  if type(one) is not type(other):
    return False
  if isinstance(one, dict):
    return one.keys() == other.keys() and all(
      same(one[key], other[key]) for key in one
    )
  if isinstance(one, (tuple, list)):
    return len(one) == len(other) and all(map(same, one, other))
  try:
    if one == other:
      return True
  except ValueError:  # It holds arrays.
    pass
  try:
    return pickle.dumps(one) == pickle.dumps(other)
  except Exception:  # Only worker processes need to pickle tasks.
    return False


def _copy(time_step):
  return tf.nest.map_structure(np.array, time_step)
