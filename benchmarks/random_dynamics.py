"""Compares the speed of 40 models of a body with that of one, and the memory.

  python benchmarks/random_dynamics.py

All rows step from the same starts with the same random controls, in alternating
pairs: with one model, and with a model for each task. `copies` are models of
equal numbers: the physics is the same, and what differs is the memory. `tasks`
are drawn, so the bodies move differently, too. A pair is one iteration of
`--steps` steps; the first warms up. Setting the tasks, which happens once in a
meta-iteration, is timed apart.

Run it on an idle machine: the figures are wall time. The last line is JSON.
"""

import maml_tf  # noqa: F401  isort: skip  Before TensorFlow: quiets it.

import argparse
from collections.abc import Sequence
import copy
import json
import resource
import time

import mujoco
import numpy as np

from maml_tf.environments import mujoco_batch
from maml_tf.environments import random_bodies
from maml_tf.environments import task_environment

_FAMILIES = (
  random_bodies.Walker2dRandomDynamics,
  random_bodies.HopperRandomDynamics,
)
_FRAME_SKIP = 4


def resident_megabytes() -> float:
  """Returns the memory that this process holds now (Linux)."""
  with open('/proc/self/statm', encoding='ascii') as file:
    pages = int(file.read().split()[1])
  return pages * resource.getpagesize() / 1e6


def play(
  physics: mujoco_batch.MujocoBatch,
  models: Sequence[mujoco.MjModel],
  starts: np.ndarray,
  controls: np.ndarray,
) -> float:
  """Returns the seconds of all steps.

  Args:
    physics: N rows.
    models: N models.
    starts: A float64 array [N, nq + nv].
    controls: A float array [T, N, nu].
  """
  physics.set_models(models)
  qpos, qvel = np.split(starts, [models[0].nq], axis=1)
  physics.set_state(qpos, qvel)
  begin = time.perf_counter()
  for control in controls:
    physics.step(control)
  return time.perf_counter() - begin


def set_tasks(
  environment: task_environment.TaskEnvironment,
) -> dict[str, float]:
  """Draws and sets tasks; returns what that takes."""
  rng = np.random.default_rng(0)
  tasks = environment.sample_tasks(environment.num_tasks, rng)
  before = resident_megabytes()
  begin = time.perf_counter()
  environment.set_tasks(tasks)
  return {
    'set_tasks_seconds': time.perf_counter() - begin,
    'grown_megabytes': resident_megabytes() - before,
    'model_megabytes': mujoco.mj_sizeModel(environment.physics.models[0]) / 1e6,
  }


def compare(
  environment: random_bodies.Walker2dRandomDynamics
  | random_bodies.HopperRandomDynamics,
  num_steps: int,
  num_pairs: int,
) -> dict[str, float]:
  """Prints and returns the times of many models in units of that of one."""
  num_rows, each = environment.batch_size, environment.environments_per_task
  drawn = environment.physics.models
  lone = type(environment)(1, 1)
  (model,) = lone.physics.models  # Before it draws a task.
  lone.close()
  rng = np.random.default_rng(1)
  starts = np.zeros((num_rows, model.nq + model.nv))
  starts[:, : model.nq] = model.qpos0
  starts += rng.uniform(-0.005, 0.005, starts.shape)
  controls = rng.normal(size=(num_steps, num_rows, model.nu))
  copies = [copy.copy(model) for _ in range(environment.num_tasks)]
  result = {}
  physics = mujoco_batch.MujocoBatch(model, num_rows, _FRAME_SKIP)
  for name, models in (
    ('copies', [m for m in copies for _ in range(each)]),
    ('tasks', drawn),
  ):
    seconds = np.zeros((num_pairs + 1, 2))
    for pair, times in enumerate(seconds):
      # Who is first alternates, so that a drift favours neither.
      for i in (0, 1) if pair % 2 else (1, 0):
        times[i] = play(
          physics, ([model] * num_rows, models)[i], starts, controls
        )
    ratios = seconds[1:, 1] / seconds[1:, 0]
    rate = num_rows * num_steps / np.median(seconds[1:, 1])
    print(
      f'  {name}: {np.median(ratios):.3f} of the time of one model (median of'
      f' {num_pairs} pairs, {ratios.min():.3f} to {ratios.max():.3f}),'
      f' {rate:,.0f} env steps/s'
    )
    result[f'{name}_ratio'] = float(np.median(ratios))
  physics.close()
  return result


def main(argv: Sequence[str] | None = None) -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--tasks', type=int, default=40)
  parser.add_argument('--episodes', type=int, default=20)
  parser.add_argument('--steps', type=int, default=20)
  parser.add_argument('--pairs', type=int, default=10)
  flags = parser.parse_args(argv)
  environments = [cls(flags.tasks, flags.episodes) for cls in _FAMILIES]
  # Before any physics, so that no freed memory is used again.
  results = [set_tasks(environment) for environment in environments]
  for environment, result in zip(environments, results):
    print(
      f'{type(environment).__name__}: {flags.tasks} tasks of {flags.episodes}'
      f' rows, {flags.steps} steps\n'
      f'  A model has {result["model_megabytes"]:.2f} MB. Setting the tasks'
      f' takes {result["set_tasks_seconds"]:.3f} s, and the process grows by'
      f' {result["grown_megabytes"]:.1f} MB.'
    )
    result.update(compare(environment, flags.steps, flags.pairs))
    environment.close()
  names = [cls.__name__ for cls in _FAMILIES]
  print(json.dumps(dict(zip(names, results))))


if __name__ == '__main__':
  main()
