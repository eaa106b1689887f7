"""The rows that one process plays: K Gymnasium environments in a loop.

Worker processes load this file by its path. It imports nothing of maml_tf,
since importing TensorFlow would cost seconds at every start.
"""

from collections.abc import Callable
from collections.abc import Sequence
import traceback
from typing import Any
from typing import NamedTuple

import gymnasium
from gymnasium import spaces
import numpy as np


class RowsStep(NamedTuple):
  """The results of one step of K rows.

  Attributes:
    observation: A nest of arrays [K, ...] in the space's own dtypes.
    reward: A float64 array [K].
    terminated: A bool array [K].
    truncated: A bool array [K].
    success: A bool array [K]: `info['success']` is set; None if it is not
      looked at.
    failures: What happened in rows that raised: pairs of one line and a
      traceback by row. Such a row has a new environment, and must be reset.
  """

  observation: Any
  reward: np.ndarray
  terminated: np.ndarray
  truncated: np.ndarray
  success: np.ndarray | None
  failures: dict[int, tuple[str, str]]


class EnvironmentRows:
  """K environments of one kind, stepped one after the other.

  Attributes:
    observation_space: The space of one environment.
    action_space: The space of one environment.
    metadata: Gymnasium's metadata of one environment.
    render_mode: Gymnasium's render mode of one environment.
  """

  def __init__(
    self,
    make_environment: Callable[[], gymnasium.Env],
    num_rows: int,
    checks: Any,
    reports_success: bool = False,
    replaces_failed: bool = False,
  ):
    """Makes the environments.

    Args:
      make_environment: Makes one.
      num_rows: K.
      checks: The module `returned_values`, which this file cannot import.
      reports_success: Whether steps say which rows were successful.
      replaces_failed: Whether a row whose environment raises gets a new one.
        Otherwise its exception passes through.

    Raises:
      ValueError: If two environments have different spaces.
    """
    self._make_environment = make_environment
    self._checks = checks
    self._reports_success = reports_success
    self._replaces_failed = replaces_failed
    self._environments = [make_environment() for _ in range(num_rows)]
    self._interface = checks.interface_of(self._environments[0])
    first = self._environments[0]
    self.observation_space = first.observation_space
    self.action_space = first.action_space
    self.metadata = first.metadata
    self.render_mode = first.render_mode
    self._tasks: list[Any] = [None] * num_rows
    for environment in self._environments:
      self._check_spaces(environment)
    self._steps = [environment.step for environment in self._environments]
    self._last: list[Any] = [None] * num_rows

  def set_tasks(self, tasks: Sequence[Any]) -> None:
    """Gives every row a task.

    Raises:
      ValueError: If a task changes the spaces.
    """
    self._tasks = list(tasks)
    for environment, task in zip(self._environments, tasks):
      set_task(environment, task)
      self._check_spaces(environment)

  def reset(self, rows: Sequence[int], seeds: Sequence[int]) -> Any:
    """Resets some rows; returns a nest of arrays [len(rows), ...]."""
    observations = []
    for row, seed in zip(rows, seeds):
      environment = self._environments[row]
      observation, _ = self._checks.check_reset(
        self._interface, environment.reset(seed=int(seed)), warn=False
      )
      self._last[row] = observation
      observations.append(observation)
    return batch(self.observation_space, observations)

  def step(self, actions: Any, idle: Sequence[int] = ()) -> RowsStep:
    """Steps the rows, except those that are idle: they keep their observation.

    Args:
      actions: A value of the action space with a leading axis of K.
      idle: Rows that are not stepped, such as those that must be reset.
    """
    values = split(self.action_space, actions)
    failures: dict[int, tuple[str, str]] = {}
    if self._replaces_failed or idle:
      skipped = set(idle)
      results = [
        self._waiting(row)
        if row in skipped
        else self._try_step(row, value, failures)
        for row, value in enumerate(values)
      ]
    else:
      results = [step(value) for step, value in zip(self._steps, values)]
    try:
      step = self._joined(results, failures)
    except (IndexError, KeyError, TypeError, ValueError):
      for result in results:
        self._checks.check_step(self._interface, result, warn=False)
      raise
    self._last = [result[0] for result in results]
    return step

  def render(self) -> list[Any]:
    """Returns what each environment renders."""
    return [environment.render() for environment in self._environments]

  def close(self) -> None:
    """Closes all environments."""
    for environment in self._environments:
      try:
        environment.close()
      except Exception:  # It is not used any more.
        traceback.print_exc()

  def _joined(self, results, failures):
    """Joins the rows' results, without the checks that each would cost."""
    observations, rewards, terminated, truncated, infos = zip(
      *results, strict=True
    )
    reward = np.array(rewards, np.float64)
    return RowsStep(
      batch(self.observation_space, observations),
      # A ValueError unless each is one number.
      reward.reshape(len(rewards)),
      np.array(terminated, bool).reshape(len(rewards)),
      np.array(truncated, bool).reshape(len(rewards)),
      np.array([_succeeded(info) for info in infos], bool)
      if self._reports_success
      else None,
      failures,
    )

  def _waiting(self, row):
    """A placeholder for the result of a row that is not stepped."""
    last = self._last[row]
    if last is None:
      last = _zeros(self.observation_space)
    return last, 0.0, False, False, {}

  def _try_step(self, row, value, failures):
    if not self._replaces_failed:
      return self._steps[row](value)
    try:
      return self._steps[row](value)
    except Exception as error:
      line = ' '.join(''.join(traceback.format_exception_only(error)).split())
      failures[row] = (f'raised {line}', traceback.format_exc())
      self._replace(row)
      return self._last[row], 0.0, False, True, {}

  def _replace(self, row):
    try:
      self._environments[row].close()
    except Exception:  # noqa: S110
      pass  # It has failed already; a new one takes its place.
    self._environments[row] = self._make_environment()
    set_task(self._environments[row], self._tasks[row])
    self._steps[row] = self._environments[row].step

  def _check_spaces(self, environment):
    for kind in ('observation_space', 'action_space'):
      own, first = getattr(environment, kind), getattr(self, kind)
      if own is not first and own != first:
        raise ValueError(
          f'{self._interface.name} has the {kind} {own} in one task and'
          f' {first} in another: give all tasks the same spaces'
        )


def set_task(environment: gymnasium.Env, task: Any) -> None:
  """Calls `set_task` of the environment or of one of its wrappers.

  Raises:
    AttributeError: If there is none.
  """
  environment.get_wrapper_attr('set_task')(task)


def batch(space: spaces.Space, values: Sequence[Any]) -> Any:
  """Returns K values of a space as a nest of arrays [K, ...].

  Raises:
    ValueError: If a value has another shape; also KeyError, TypeError.
  """
  if isinstance(space, spaces.Dict):
    return {
      key: batch(part, [value[key] for value in values])
      for key, part in space.spaces.items()
    }
  if isinstance(space, spaces.Tuple):
    return tuple(
      batch(part, column)
      for part, column in zip(space.spaces, zip(*values, strict=True))
    )
  shape = space.shape or ()
  if shape and isinstance(values[0], np.ndarray):
    # Much faster than np.stack or np.array for many small arrays.
    joined = np.concatenate(values, axis=None)
  else:
    joined = np.array(values)
  return joined.astype(space.dtype, copy=False).reshape(len(values), *shape)


def split(space: spaces.Space, values: Any) -> list[Any]:
  """Returns the K values in a nest of arrays [K, ...] of a space."""
  if isinstance(space, spaces.Dict):
    columns = [split(part, values[key]) for key, part in space.spaces.items()]
    return [dict(zip(space.spaces, row)) for row in zip(*columns)]
  if isinstance(space, spaces.Tuple):
    columns = [split(part, v) for part, v in zip(space.spaces, values)]
    return list(zip(*columns))
  return list(values)


def _succeeded(info):
  """Whether `info['success']` is a number above 0, or True."""
  try:
    return isinstance(info, dict) and bool(np.asarray(info['success']) > 0)
  except (KeyError, TypeError, ValueError):
    return False


def _zeros(space):
  if isinstance(space, spaces.Dict):
    return {key: _zeros(part) for key, part in space.spaces.items()}
  if isinstance(space, spaces.Tuple):
    return tuple(map(_zeros, space.spaces))
  return np.zeros(space.shape or (), space.dtype)
