"""Seeds the resets of any environment, in the form that it takes."""

import contextlib

from tf_agents.environments import parallel_py_environment
from tf_agents.environments import py_environment
from tf_agents.environments import wrappers

from maml_tf.core import random_streams
from maml_tf.environments import task_environment

_Parallel = parallel_py_environment.ParallelPyEnvironment


def seed_resets(
  environment: py_environment.PyEnvironment, key: random_streams.Key
) -> None:
  """Seeds the next resets of all rows, if the environment can be seeded.

  | environment | seed |
  |---|---|
  | `TaskEnvironment` | a key for its only task |
  | `ParallelPyEnvironment` | a list of ints, one for each row |
  | another with a method `seed` | an int |
  | without it, e.g. `BatchedPyEnvironment` | each of its `envs` gets an int |

  TF-Agents' wrappers pass the seed on, so they take what is inside.

  Args:
    environment: Any environment.
    key: The key of the stream that the seeds are drawn from.

  Raises:
    ValueError: If the rows of a `ParallelPyEnvironment` cannot be seeded.
  """
  if isinstance(environment, task_environment.TaskEnvironment):
    environment.seed([key])
    return
  generator = random_streams.generator(key)
  first = int(generator.integers(2**31))
  num_rows = environment.batch_size or 1
  seeds = [first, *generator.integers(2**31, size=num_rows - 1).tolist()]
  inside = _unwrap(environment)
  if getattr(type(inside), 'seed', None) is _Parallel.seed:
    _seed_processes(inside, seeds)
    return
  try:
    environment.seed(first)
  except NotImplementedError:  # A real machine, for one, cannot be seeded.
    for row, seed in zip(getattr(inside, 'envs', ()), seeds):
      with contextlib.suppress(NotImplementedError):
        row.seed(seed)


def _unwrap(environment):
  """Returns what stands inside all of TF-Agents' wrappers."""
  while isinstance(environment, wrappers.PyEnvironmentBaseWrapper):
    environment = environment.wrapped_env()
  return environment


def _seed_processes(environment, seeds):
  """Seeds the rows of a `ParallelPyEnvironment`."""
  try:
    environment.seed(seeds)
  except Exception as error:  # Its text is the traceback of the row's process.
    if NotImplementedError.__name__ not in str(error):
      raise
    # That error has ended the process: the row cannot play without a seed.
    raise ValueError(
      'the environments in the ParallelPyEnvironment have no method seed: give'
      ' them one, seed(self, seed), which may do nothing'
    ) from error
