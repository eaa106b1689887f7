"""What is sent to worker processes, as bytes."""

from collections.abc import Callable
from typing import Any

import cloudpickle
import gymnasium

from maml_tf.environments import tasks as tasks_lib


def pickle_factory(make_environment: Callable[[], gymnasium.Env]) -> bytes:
  """Returns a factory as bytes.

  Raises:
    ValueError: If it cannot be sent to a process.
  """
  return to_bytes(
    make_environment,
    'the environment',
    'give a class or function of a module, or num_processes = 1',
  )


def pickle_task(task: Any) -> bytes:
  """Returns a task as bytes.

  Raises:
    ValueError: If it cannot be sent to a process.
  """
  what = f'task {tasks_lib.name(task)}'
  return to_bytes(task, what, 'give tasks of plain data, or num_processes = 1')


def to_bytes(value: Any, what: str, fix: str) -> bytes:
  """Returns anything as bytes.

  Args:
    value: Anything.
    what: Its name, for the error.
    fix: What to do if it cannot be sent, for the error.

  Raises:
    ValueError: If it cannot be sent to a process.
  """
  try:
    return cloudpickle.dumps(value)
  except Exception as error:
    line = ' '.join(str(error).split())
    raise ValueError(
      f'{what} cannot be sent to a process ({line}): {fix}'
    ) from error
