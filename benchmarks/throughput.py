"""Compares the speed of meta-iterations on HalfCheetah with that of physics.

Measures three speeds in one process: open-loop physics on all cores (the
limit), Gymnasium's HalfCheetah-v5 in a Python loop, and whole meta-iterations.

  python benchmarks/throughput.py --tasks=40 --episodes=20 --horizon=100

Run it on an idle machine: all figures are wall time. The last line is JSON.
"""

import maml_tf  # isort: skip  Before TensorFlow, which it quiets.

import argparse
from collections.abc import Sequence
import functools
import json
import resource
import time

import gymnasium
import mujoco
from mujoco import rollout
import numpy as np
import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf.core import cpu
from maml_tf.environments import locomotion
from maml_tf.environments import mujoco_batch
from maml_tf.environments import task_environment
from maml_tf.environments import task_groups
from maml_tf.learning import actor_networks
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_updates

_FRAME_SKIP = 5
_THREADS = (1, 2, 4)
_PARTS = ('physics', 'acting', 'adaptation', 'update', 'other')


def measure_physics_limit(
  environment: locomotion.HalfCheetahDirection, repeats: int = 3
) -> float:
  """Returns the env steps per second of `mujoco.rollout` over whole episodes.

  It steps the rows of `environment` and takes the best of several thread counts
  and repeats.
  """
  model = environment.physics.models[0]
  rng = np.random.default_rng(0)
  environment.reset()
  num_rows, horizon = environment.batch_size, environment.horizon
  actions = rng.standard_normal((num_rows, horizon, model.nu))
  controls = np.repeat(actions, _FRAME_SKIP, axis=1)
  best = np.inf
  for num_threads in _THREADS:
    datas = [mujoco.MjData(model) for _ in range(num_threads)]
    with rollout.Rollout(nthread=num_threads) as pool:
      for _ in range(repeats):
        start = time.perf_counter()
        pool.rollout(model, datas, environment.physics.state, controls)
        best = min(best, time.perf_counter() - start)
  return num_rows * horizon / best


def measure_gymnasium(num_steps: int = 10_000) -> float:
  """Returns the env steps per second of one HalfCheetah-v5 in a Python loop."""
  mujoco_batch.route_warnings()
  environment = gymnasium.make('HalfCheetah-v5')
  environment.reset(seed=0)
  actions = np.random.default_rng(0).uniform(-1, 1, (num_steps, 6))
  start = time.perf_counter()
  for action in actions:
    _, _, terminated, truncated, _ = environment.step(action)
    if terminated or truncated:
      environment.reset()
  seconds = time.perf_counter() - start
  environment.close()
  return num_steps / seconds


def measure_iterations(
  environment: task_environment.TaskEnvironment,
  adaptation_steps: int,
  optimizer_steps: int,
  iterations: int,
) -> tuple[float, dict[str, float]]:
  """Returns env steps per second, and mean seconds of an iteration's parts."""
  tf.keras.utils.set_random_seed(0)
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  action_spec = tensor_spec.from_spec(environment.action_spec())
  agent = maml_tf.MamlAgent(
    time_step_spec,
    action_spec,
    actor_networks.create_actor_network(
      time_step_spec.observation, action_spec
    ),
    meta_update=meta_updates.GradientUpdate(
      tf.keras.optimizers.Adam(1e-3), num_steps=optimizer_steps
    ),
    inner_loop=inner_loop_lib.InnerLoop(adaptation_steps),
  )
  collector = maml_tf.MetaCollector(
    environment,
    agent.collect_policy,
    agent.adapt,
    adaptation_steps,
    seed=0,
    prepare=agent.prepare,
  )
  learner = maml_tf.MetaLearner(agent)
  # The first iterations compile and allocate memory.
  warm_up = 2
  seconds = dict.fromkeys(_PARTS, 0.0)
  env_steps = 0
  for iteration in range(warm_up + iterations):
    if iteration == warm_up:
      start = time.perf_counter()
    collected = collector.collect(iteration + 1)
    update_start = time.perf_counter()
    learner.run(collected.meta_batch).loss.numpy()
    if iteration >= warm_up:
      seconds['update'] += time.perf_counter() - update_start
      env_steps += collected.env_steps
      for part, value in collected.seconds.items():
        seconds[part] += value
  total = time.perf_counter() - start
  seconds['other'] += total - sum(seconds.values())
  return env_steps / total, {k: v / iterations for k, v in seconds.items()}


def main(argv: Sequence[str] | None = None) -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  for name, default in (
    ('tasks', 40),
    ('episodes', 20),
    ('horizon', 100),
    ('adaptation_steps', 1),
    ('optimizer_steps', 5),
    ('iterations', 5),
  ):
    parser.add_argument(f'--{name}', type=int, default=default)
  flags = parser.parse_args(argv)
  cpu.one_thread_an_operation()

  create = functools.partial(
    locomotion.HalfCheetahDirection,
    environments_per_task=flags.episodes,
    horizon=flags.horizon,
  )
  environment = create(num_tasks=flags.tasks)
  limit = measure_physics_limit(environment)
  print(f'physics alone, open loop    {limit:10,.0f} env steps/s', flush=True)
  loop = measure_gymnasium()
  print(f"Gymnasium's HalfCheetah-v5  {loop:10,.0f} env steps/s", flush=True)
  speed, seconds = measure_iterations(
    task_groups.divide(environment, lambda n: create(num_tasks=n)),
    flags.adaptation_steps,
    flags.optimizer_steps,
    flags.iterations,
  )
  ratio = speed / limit
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  print(f'meta-iterations             {speed:10,.0f} env steps/s')
  for part in _PARTS:
    print(f'  {part:<12}{seconds[part]:8.3f} s an iteration')
  print(f'ratio to the physics limit  {ratio:10.3f}')
  print(f'peak memory                 {peak:10,.0f} MB')
  print(
    json.dumps(
      {
        'physics_limit_steps_per_second': round(limit, 1),
        'gymnasium_steps_per_second': round(loop, 1),
        'env_steps_per_second': round(speed, 1),
        'ratio_to_limit': round(ratio, 4),
        'peak_rss_mb': round(peak, 1),
        'seconds': {k: round(v, 4) for k, v in seconds.items()},
      }
    )
  )


if __name__ == '__main__':
  main()
