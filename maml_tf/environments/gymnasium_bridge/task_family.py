"""A user's Gymnasium family: how it is made and how its tasks are drawn.

The interface is the one that people have: `set_task(task)`, and
`sample_tasks(n)` on the environment, on one of its wrappers or as a function.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import functools
import inspect
import pickle
import random
import traceback
from typing import Any

import gin
import gymnasium
import numpy as np

from maml_tf.core import errors
from maml_tf.core import plain_texts
from maml_tf.environments import tasks as tasks_lib
from maml_tf.environments.gymnasium_bridge import pickling

EnvironmentFactory = Callable[..., gymnasium.Env]
TaskSampler = Callable[..., Sequence[Any]]


def factory(
  make_environment: EnvironmentFactory | str | None,
  arguments: Mapping[str, Any],
) -> functools.partial[Any]:
  """Returns a function that makes one environment.

  Args:
    make_environment: A class, a function, or an id that is registered with
      Gymnasium, such as 'CartPole-v1' or 'my_module:MyEnv-v0'.
    arguments: Keyword arguments.

  Raises:
    ValueError: If it is none of these.
  """
  if make_environment is None:
    raise ValueError(
      'GymnasiumTasks.make_environment is not set: give a class or function of'
      " a module, such as @my_module.MyEnv, or a registered id, such as 'My-v0'"
    )
  if isinstance(make_environment, str):
    # `family_check` replaces Gymnasium's checker, which slows each step down.
    return functools.partial(
      gymnasium.make, make_environment, disable_env_checker=True, **arguments
    )
  if not callable(make_environment):
    raise ValueError(
      f'make_environment is {make_environment!r}: give a class or function of'
      " a module, such as @my_module.MyEnv, or a registered id, such as 'My-v0'"
    )
  return functools.partial(make_environment, **arguments)


def without_gin(make: functools.partial[Any]) -> functools.partial[Any]:
  """Returns a factory that makes the same without gin, in any process.

  Gin's wrapper of a class or function looks its parameters up when it is
  called; here they become arguments.
  """
  function = inspect.unwrap(make.func)
  if inspect.isclass(function):
    # Gin wraps a class in a subclass of the same name.
    for base in function.__mro__[1:]:
      if (base.__module__, base.__qualname__) == (
        function.__module__,
        function.__qualname__,
      ):
        function = base
  try:
    bound = gin.get_bindings(function)
  except ValueError:  # Gin does not know it.
    bound = {}
  return functools.partial(function, *make.args, **{**bound, **make.keywords})


def find(environment: gymnasium.Env, name: str) -> Any:
  """Returns an attribute of an environment or its wrappers; None: no such."""
  try:
    return environment.get_wrapper_attr(name)
  except AttributeError:
    return None


def label(environment: gymnasium.Env) -> str:
  """Returns the environment's `task_label`, or the default one."""
  own = find(environment, 'task_label')
  return own if isinstance(own, str) else tasks_lib.TaskFamily.task_label


def sample(
  sampler: TaskSampler,
  environment: gymnasium.Env,
  n: int,
  rng: np.random.Generator,
) -> list[Any]:
  """Draws n tasks, whose randomness comes from `rng` alone.

  A sampler that has a parameter `rng` gets the generator. For any other, the
  environment's `np_random`, and the global generators of NumPy and Python while
  it runs, are seeded from it.

  Args:
    sampler: `sample_tasks(n)`, with or without `rng`.
    environment: The environment, whose `np_random` it may use.
    n: The number of tasks.
    rng: The generator.

  Raises:
    ValueError: If it does not return n tasks.
  """
  if _takes_rng(sampler):
    tasks = sampler(n, rng=rng)
  else:
    seed = int(rng.integers(2**32))
    environment.unwrapped.np_random = np.random.default_rng(seed)
    with _global_seeds(seed):
      tasks = sampler(n)
  if not np.iterable(tasks) or isinstance(tasks, (str, bytes, dict)):
    raise ValueError(
      f'sample_tasks({n}) returned {plain_texts.of(tasks)}: give a list of'
      f' {n} tasks'
    )
  listed = list(tasks)
  if len(listed) != n:
    raise ValueError(
      f'sample_tasks({n}) returned {len(listed)} tasks: give {n}'
    )
  return listed


def task_list(
  training: Any, held_out: Any, environment: gymnasium.Env
) -> tasks_lib.TaskList | None:
  """Returns the finite list of tasks that was given or is declared.

  Args:
    training: A list of tasks, or a function that returns one. None: the
      environment's attribute `training_tasks`.
    held_out: The same for the held-out tasks; None: `held_out_tasks`.
    environment: The environment.

  Raises:
    ValueError: If a list is empty, or there are only held-out tasks.
  """
  lists = []
  for name, given in (
    ('training_tasks', training),
    ('held_out_tasks', held_out),
  ):
    value = find(environment, name) if given is None else given
    value = value() if callable(value) else value
    if value is None:
      lists.append(None)
      continue
    if not np.iterable(value) or isinstance(value, (str, bytes, dict)):
      given = plain_texts.of(value)
      raise ValueError(f'{name} is {given}: give a list of tasks')
    lists.append(tuple(value))
    if not lists[-1]:
      raise ValueError(f'{name} is empty: give at least one task')
  if lists[0] is None and lists[1] is not None:
    raise ValueError(
      'held_out_tasks is given without training_tasks: give both'
    )
  if lists[0] is None:
    return None
  return tasks_lib.TaskList(lists[0], lists[1] or ())


def _takes_rng(sampler):
  try:
    return 'rng' in inspect.signature(sampler).parameters
  except (TypeError, ValueError):  # Functions of C have no signature.
    return False


@contextlib.contextmanager
def _global_seeds(seed):
  """Seeds the global generators of NumPy and Python, for the time being."""
  numpy_state, python_state = np.random.get_state(), random.getstate()
  np.random.seed(seed)
  random.seed(seed)
  try:
    yield
  finally:
    np.random.set_state(numpy_state)
    random.setstate(python_state)


def name_of(make_environment: Any) -> str:
  """Returns the name of a class, function or id, before anything is made."""
  return getattr(make_environment, '__name__', str(make_environment))


def check_sendable(make: functools.partial[Any], tasks: Sequence[Any]) -> None:
  """Checks that worker processes can make the same and get its tasks.

  A worker has no gin config: only the parameters of the class or function
  itself are sent.

  Raises:
    ValueError: If something cannot be sent, or would be another there.
  """
  plain = without_gin(make)
  pickling.pickle_factory(plain)
  for task in tasks:
    pickling.pickle_task(task)
  if plain.func is make.func:
    return
  states = [_state(function) for function in (make, make, plain)]
  if None not in states and states[0] == states[1] != states[2]:
    raise ValueError(
      f'gin makes another {name_of(plain.func)} than a worker process, which'
      " knows only this class's own parameters: set num_processes = 1"
    )


def _state(make):
  """The attributes of an environment as bytes; None if they cannot be."""
  with contextlib.closing(make()) as environment:
    try:
      return pickle.dumps(vars(environment.unwrapped))
    except Exception:  # Whatever pickle or an attribute raises.
      return None


def rendering(
  make: functools.partial[Any], name: str
) -> functools.partial[Any]:
  """Returns a factory of environments that render 'rgb_array'.

  Args:
    make: A factory.
    name: The name of the environment, for the error.

  Raises:
    errors.UsageError: If the environment cannot render.
  """
  rendered = functools.partial(
    make.func, *make.args, **{**make.keywords, 'render_mode': 'rgb_array'}
  )
  found = ''
  try:
    with contextlib.closing(rendered()) as environment:
      if environment.render_mode == 'rgb_array':
        return rendered
  except (TypeError, AssertionError, gymnasium.error.Error):
    pass  # It has no such argument, or not this mode.
  except Exception:
    found = traceback.format_exc()
  raise errors.UsageError(
    f"{name} cannot be rendered: let it take render_mode='rgb_array' and return"
    ' a picture from render()',
    found,
  )
