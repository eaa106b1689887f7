"""Compares the speed of PendulumMass and CartPoleMass with Gymnasium's.

  python benchmarks/classic_control.py

The rate of Gymnasium is that of a Python loop over bare environments, without
the wrappers of `gymnasium.make`, which make it slower. All rates include
resets. Run it on an idle machine: all figures are wall time. The last line is
JSON.
"""

import maml_tf  # noqa: F401  # isort: skip  Before TensorFlow, which it quiets.

import argparse
from collections.abc import Sequence
import json
import time

import gymnasium
import numpy as np

from maml_tf.environments import classic_control
from maml_tf.environments import task_environment

_FAMILIES = {
  'Pendulum-v1': classic_control.PendulumMass,
  'CartPole-v1': classic_control.CartPoleMass,
}


def measure_batch(
  environment: task_environment.TaskEnvironment, actions: np.ndarray
) -> float:
  """Returns the env steps per second of a batch.

  Args:
    environment: N rows.
    actions: An array [T, N, ...].
  """
  environment.reset()
  start = time.perf_counter()
  for action in actions:
    environment.step(action)
  return len(actions) * environment.batch_size / (time.perf_counter() - start)


def measure_gymnasium(name: str, actions: np.ndarray) -> float:
  """Returns the env steps per second of a loop over environments.

  Args:
    name: The environment's name.
    actions: An array [T, N, ...].
  """
  num_steps, num_rows = actions.shape[:2]
  rows = [gymnasium.make(name).unwrapped for _ in range(num_rows)]
  for row in rows:
    row.reset()
  start = time.perf_counter()
  for row_actions in actions:
    for row, action in zip(rows, row_actions):
      if row.step(action)[2]:
        row.reset()
  return num_steps * num_rows / (time.perf_counter() - start)


def random_actions(
  environment: task_environment.TaskEnvironment, num_steps: int
) -> np.ndarray:
  """Returns actions [T, N, ...], uniform within the bounds."""
  spec = environment.action_spec()
  rng = np.random.default_rng(0)
  shape = (num_steps, environment.batch_size, *spec.shape)
  if np.issubdtype(spec.dtype, np.integer):
    return rng.integers(spec.minimum, spec.maximum + 1, shape, spec.dtype)
  return rng.uniform(spec.minimum, spec.maximum, shape).astype(spec.dtype)


def main(argv: Sequence[str] | None = None) -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  for name, default in (
    ('tasks', 40),
    ('episodes', 20),
    ('steps', 200),
    ('repeats', 5),
  ):
    parser.add_argument(f'--{name}', type=int, default=default)
  flags = parser.parse_args(argv)

  results = {}
  for name, environment_class in _FAMILIES.items():
    environment = environment_class(flags.tasks, flags.episodes)
    actions = random_actions(environment, flags.steps)
    batch = max(
      measure_batch(environment, actions) for _ in range(flags.repeats)
    )
    loop = max(measure_gymnasium(name, actions) for _ in range(flags.repeats))
    print(
      f'{environment_class.__name__:13} {batch:12,.0f} env steps/s,'
      f' {name} in a loop {loop:9,.0f}: {batch / loop:6.1f} times as fast',
      flush=True,
    )
    results[environment_class.__name__] = {
      'env_steps_per_second': round(batch, 1),
      'gymnasium_steps_per_second': round(loop, 1),
      'ratio': round(batch / loop, 2),
    }
  print(json.dumps(results))


if __name__ == '__main__':
  main()
