"""The few tasks of a finite family: a name of each, and which were played."""

from collections.abc import Sequence
import re
from typing import Any

import numpy as np

from maml_tf.core import plain_texts
from maml_tf.environments import tasks as tasks_lib

# Each task is a column for every adaptation step.
_MOST_TASKS = 10

# The default `str` of an object has its address, another one in every process.
_ADDRESS = ' at 0x'


class ListedTasks:
  """The training tasks of a family that has from 2 to 10; else none.

  Attributes:
    names: The names of the tasks, in the list's order. They consist of letters,
      digits and `_.-`, and differ: the numbers, joined with `_`, or the text of
      an object. If the names of two tasks are equal, or a text has none of
      these characters, all tasks are named by their places, `listed_0` and so
      on.
  """

  names: tuple[str, ...]

  def __init__(self, task_list: tasks_lib.TaskList | None):
    """Names the tasks of a `TaskFamily.task_list`."""
    training: Sequence[Any] = () if task_list is None else task_list.training
    is_few = 2 <= len(training) <= _MOST_TASKS
    self._tasks = list(training) if is_few else []
    self.names = tuple(_column_name(task) for task in self._tasks)
    if len(set(self.names)) < len(self.names) or '' in self.names:
      self.names = tuple(f'listed_{i}' for i in range(len(self.names)))

  def places(self, tasks: Any) -> np.ndarray:
    """Returns the places of tasks in the list, int [B]; -1: not in it.

    Args:
      tasks: B tasks, an array [B, ...] or a list of objects.
    """
    return np.array([self._place(task) for task in tasks], np.int64)

  def _place(self, task):
    # Objects of the list itself are found without their texts.
    for place, listed in enumerate(self._tasks):
      if listed is task:
        return place
    for place, listed in enumerate(self._tasks):
      if _are_equal(listed, task):
        return place
    return -1


def _column_name(task):
  values = tasks_lib.to_numbers(task)
  if values is None:
    text = plain_texts.line(task)
    if _ADDRESS in text:
      return ''
  else:
    text = ' '.join(f'{value:.3g}' for value in values)
  return re.sub('[^A-Za-z0-9.-]+', '_', text).strip('_')[:60]


def _are_equal(one, other):
  values, others = tasks_lib.to_numbers(one), tasks_lib.to_numbers(other)
  if values is None or others is None:
    same_kind = values is None and others is None
    return same_kind and plain_texts.line(one) == plain_texts.line(other)
  return np.array_equal(values, others)
