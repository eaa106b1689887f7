"""The tasks of a family: what one is, how it is drawn, and its name."""

import abc
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import numbers
from typing import Any
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from maml_tf.core import plain_texts

# Far below float32's maximum, so that rewards computed from it stay finite.
_LARGEST_NUMBER = 1e30

# Parts of parts of a task have names of their own down to this depth.
_DEEPEST_PART = 5

# Longer names are cut: they stand in tables and in columns.
_LONGEST_NAME = 60
_MOST_NUMBERS = 10


class TaskList(NamedTuple):
  """The tasks of a family that has finitely many.

  Attributes:
    training: The tasks that training draws from.
    held_out: The tasks that evaluation plays; empty if training has seen all.
  """

  training: Sequence[Any]
  held_out: Sequence[Any] = ()

  @property
  def evaluated(self) -> Sequence[Any]:
    """The held-out tasks, or else those of training."""
    return self.held_out if len(self.held_out) else self.training


class TaskFamily(abc.ABC):
  """Tasks that can be drawn: a continuum, or a finite list.

  Attributes:
    _balanced: Whether the places of a meta-batch take the training tasks of
      `task_list` in turn, so that all are played equally often. False: they
      draw. A subclass sets it.
    task_label: What a task that is one number means, with its unit: the axis of
      a plot, such as 'mass [kg]'.
  """

  task_label: str = 'task'

  _balanced: bool = False

  @property
  def task_list(self) -> TaskList | None:
    """The family's tasks if there are finitely many; None: a continuum."""
    return None

  @property
  def num_kinds(self) -> int:
    """How many kinds of tasks the places take in turn; 1: all are alike.

    If a meta-batch is not a multiple of it, the next one goes on where it ends.
    """
    if self._balanced and self.task_list is not None:
      return len(self.task_list.training)
    return 1

  @property
  def tensor_rows(self) -> Any:
    """The rows as TensorFlow operations, `BatchedRows`. None: NumPy steps them.

    With them a collector plays whole stages in compiled calls.
    """
    return None

  @abc.abstractmethod
  def sample_tasks(self, n: int, rng: np.random.Generator) -> Any:
    """Draws independent tasks without changing the environment.

    Args:
      n: The number of tasks to draw. It may differ from B.
      rng: The generator to draw from.

    Returns:
      A float64 array [n, ...], or a list of n objects.
    """

  def sample_task(self, index: int, rng: np.random.Generator) -> Any:
    """Draws the task at one place of a meta-batch.

    Args:
      index: The place, counted over all workers; and over the meta-batches if
        they are not a multiple of `num_kinds`. A family may play tasks of one
        kind at one place. Here all places are alike, unless the family is
        balanced.
      rng: The generator to draw from.
    """
    if self._balanced and self.task_list is not None:
      training = self.task_list.training
      return training[index % len(training)]
    return self.sample_tasks(1, rng)[0]

  def held_out_task(self, index: int, rng: np.random.Generator) -> Any:
    """Returns the task at one place of an evaluation.

    Args:
      index: The place. A finite list is played in its order.
      rng: The generator to draw from if there is no finite list.
    """
    if self.task_list is None:
      return self.sample_task(index, rng)
    evaluated = self.task_list.evaluated
    return evaluated[index % len(evaluated)]

  def observed_numbers(self, task: Any) -> np.ndarray | None:
    """Returns what an oracle observes of a task, [K]; None: it has no numbers.

    A family leaves out a number that is constant in training: the oracle would
    not know what another value of it means.
    """
    return to_numbers(task)

  def _check_tasks(self, tasks: Any) -> None:
    """Checks tasks of the right shape and finite numbers, or a list of objects.

    Raises:
      ValueError: If one of the tasks is impossible.
    """
    del tasks  # By default, any number and any object is a task.


def check_numbers(
  tasks: npt.ArrayLike, num_tasks: int, task_shape: tuple[int, ...]
) -> np.ndarray:
  """Returns tasks that are numbers as a new float64 array [B, *task_shape].

  Args:
    tasks: An array, or B arrays.
    num_tasks: B.
    task_shape: The shape of one task.

  Raises:
    ValueError: If they have another shape, or are not finite numbers.
  """
  expected = (num_tasks,) + task_shape
  try:
    given = np.asarray(tasks)
    # NumPy would drop imaginary parts, and convert dates and texts to numbers.
    if given.dtype.kind not in 'biufO':
      raise TypeError(f'they are of type {given.dtype}')
    array = np.array(given, np.float64)
  except (TypeError, ValueError, OverflowError) as error:
    raise ValueError(
      f'tasks must be numbers of shape {expected}: {error}'
    ) from None
  if array.shape != expected:
    raise ValueError(
      f'tasks has shape {array.shape}, but this environment plays '
      f'{num_tasks} tasks: give an array of shape {expected}'
    )
  if not np.isfinite(array).all():
    raise ValueError(f'tasks must be finite numbers, not {array.tolist()}')
  if (np.abs(array) > _LARGEST_NUMBER).any():
    raise ValueError(
      f'tasks {array.tolist()} are too large for float32 rewards: give'
      f' numbers from {-_LARGEST_NUMBER:g} to {_LARGEST_NUMBER:g}'
    )
  return array


def check_objects(tasks: Any, num_tasks: int) -> list[Any]:
  """Returns tasks that are any objects as a list of B.

  Raises:
    ValueError: If there are not B of them.
  """
  if isinstance(tasks, (str, bytes, dict)) or not np.iterable(tasks):
    given = plain_texts.of(tasks)
    raise ValueError(f'tasks is {given}: give a list of {num_tasks} tasks')
  listed = list(tasks)
  if len(listed) != num_tasks:
    raise ValueError(
      f'there are {len(listed)} tasks, but this environment plays {num_tasks}:'
      ' give one for each'
    )
  return listed


def to_numbers(task: Any) -> np.ndarray | None:
  """Returns a task as a float64 array [K], or None if it has no numbers."""
  if isinstance(task, numbers.Real) or (
    isinstance(task, np.ndarray) and task.dtype.kind in 'biuf'
  ):
    return np.ravel(np.asarray(task, np.float64))
  return None


def parts(task: Any) -> list[tuple[str, float | None]]:
  """Returns the parts of a task, each with a name.

  Numbers are named by their places, '0', '1' and so on. Parts of dicts, named
  tuples, dataclasses, lists and tuples are named by their keys, those of nested
  ones by all keys, joined with '_'.

  Args:
    task: Any task.

  Returns:
    The number of each part; None if it is not a number.
  """
  return list(_walk(task, (), _DEEPEST_PART))


def _walk(
  task: Any, path: tuple[Any, ...], depth: int
) -> Iterator[tuple[str, float | None]]:
  values = to_numbers(task)
  if values is not None:
    if path and np.ndim(task) == 0:
      yield '_'.join(map(str, path)), float(values[0])
      return
    for index, value in enumerate(values):
      yield '_'.join(map(str, (*path, index))), float(value)
    return
  items: Any = None
  if isinstance(task, Mapping):
    items = task.items()
  elif hasattr(task, '_asdict'):
    items = task._asdict().items()
  elif dataclasses.is_dataclass(task) and not isinstance(task, type):
    fields = dataclasses.fields(task)
    items = [(field.name, getattr(task, field.name)) for field in fields]
  elif isinstance(task, (list, tuple)):
    items = enumerate(task)
  if items is None or not depth:
    yield '_'.join(map(str, path)), None
    return
  for key, value in items:
    yield from _walk(value, (*path, key), depth - 1)


def name(task: Any) -> str:
  """Returns a readable name of one line: the numbers, or `str(task)`.

  Of more than ten numbers it shows the first three.
  """
  values = to_numbers(task)
  if values is not None:
    if len(values) <= _MOST_NUMBERS:
      return ', '.join(f'{value:.3g}' for value in values)
    return f'{name(values[:3])}, ... ({len(values)} numbers)'
  text = plain_texts.line(task)
  if len(text) > _LONGEST_NAME:
    return text[: _LONGEST_NAME - 3] + '...'
  return text
