"""--task: the task that a command plays."""

import contextlib
import re
from typing import Any

import numpy as np

from maml_tf.core import random_streams
from maml_tf.environments import task_environment
from maml_tf.environments import tasks as tasks_lib
from maml_tf.run import trained_run


def find(
  run: trained_run.TrainedRun, text: str | None, seed: int | None
) -> Any:
  """Returns the task that --task names, or the first one of an evaluation.

  Args:
    run: The run whose family has the task.
    text: The flag's value; None if it is not given.
    seed: The seed of the evaluation. None: the run's, as in `evaluate`.

  Raises:
    ValueError: It names no task of the family.
  """
  if seed is None:
    seed = run.seed
  with contextlib.closing(run.create_environment(1, 1)) as environment:
    if text is None:
      return _evaluated(environment, 0, seed)
    match = re.fullmatch(r'(?:(train|held_out):)?([0-9]+)', text)
    if match and match[1] == 'held_out' and environment.task_list is None:
      return _evaluated(environment, int(match[2]), seed)
    if match and match[1]:
      return _listed(environment, match[1], int(match[2]), text)
    if tasks_lib.to_numbers(environment.tasks[0]) is not None:
      task = _numbers(np.shape(environment.tasks[0]), text)
      environment.set_tasks([task])
      return task
    if not match:
      raise ValueError(
        f'--task is {text!r}: give an index, e.g. 0 or train:0, since'
        ' tasks are not numbers'
      )
    if environment.task_list is not None:
      kind = 'held_out' if len(environment.task_list.held_out) else 'train'
      return _listed(environment, kind, int(match[2]), text)
    return _evaluated(environment, int(match[2]), seed)


def _evaluated(
  environment: task_environment.TaskEnvironment, index: int, seed: int
) -> Any:
  """Returns the task that an evaluation of a seed plays at a place."""
  key = random_streams.key(
    seed, random_streams.HELD_OUT, 0, index, random_streams.Purpose.TASK
  )
  return environment.held_out_task(index, random_streams.generator(key))


def _listed(
  environment: task_environment.TaskEnvironment,
  kind: str,
  index: int,
  text: str,
) -> Any:
  """Returns a task of the family's finite list."""
  if environment.task_list is None:
    raise ValueError(
      f'--task is {text!r}, but {type(environment).__name__} has no'
      ' finite list of tasks'
    )
  lists = environment.task_list
  tasks = lists.training if kind == 'train' else lists.held_out
  if index >= len(tasks):
    raise ValueError(
      f'--task is {text!r}, but there are {len(lists.training)} tasks to'
      f' train on and {len(lists.held_out)} held out: count from 0'
    )
  return tasks[index]


def _numbers(shape: tuple[int, ...], text: str) -> np.ndarray:
  """Returns the numbers of --task."""
  try:
    return np.reshape([float(word) for word in text.split(',')], shape)
  except ValueError:
    size = int(np.prod(shape))
    wanted = f'{size} numbers with commas between them, or held_out:0'
    raise ValueError(
      f'--task is {text!r}: give {"1 number" if size == 1 else wanted}'
    ) from None
