"""Compares the speed of meta-iterations on HalfCheetah with that of physics.

Measures three speeds in one process: open-loop physics on all cores (the
limit, with MuJoCo as it comes and without its clock), Gymnasium's
HalfCheetah-v5 in a Python loop, and whole meta-iterations.

  python benchmarks/throughput.py --tasks=40 --episodes=20 --horizon=100

With --cores it does so with 1, 2, 4, ... cores, each in a process of its own
that may use no others. --cores 1 16 names the numbers.

Run it on an idle machine: all figures are wall time. The last line is JSON.
"""

import maml_tf  # isort: skip  Before TensorFlow, which it quiets.

import argparse
from collections.abc import Sequence
import functools
import json
import os
import pathlib
import resource
import subprocess
import sys
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
from maml_tf.environments import mujoco_body
from maml_tf.environments import task_environment
from maml_tf.environments import task_groups
from maml_tf.learning import actor_networks
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_updates

_FRAME_SKIP = 5
_THREADS = (1, 2, 4)  # And as many as there are processors, and twice that.
_PARTS = ('physics', 'acting', 'adaptation', 'update', 'other')


def measure_physics_limit(
  num_rows: int, horizon: int, repeats: int = 3
) -> float:
  """Returns the env steps per second of `mujoco.rollout` over whole episodes.

  It takes the best of several thread counts and repeats.
  """
  model = mujoco_batch.load_model(mujoco_body.asset_path('half_cheetah.xml'))
  rng = np.random.default_rng(0)
  states = np.zeros((num_rows, 1 + model.nq + model.nv))
  states[:, 1 : 1 + model.nq] = rng.uniform(-0.1, 0.1, (num_rows, model.nq))
  states[:, 1 + model.nq :] = 0.1 * rng.standard_normal((num_rows, model.nv))
  actions = rng.standard_normal((num_rows, horizon, model.nu))
  controls = np.repeat(actions, _FRAME_SKIP, axis=1)
  best = np.inf
  for num_threads in sorted({*_THREADS, cpu.count(), 2 * cpu.count()}):
    datas = [mujoco.MjData(model) for _ in range(num_threads)]
    with rollout.Rollout(nthread=num_threads) as pool:
      for _ in range(repeats):
        start = time.perf_counter()
        pool.rollout(model, datas, states, controls)
        best = min(best, time.perf_counter() - start)
  return num_rows * horizon / best


def measure_serial_part(
  environment: task_environment.TaskEnvironment,
) -> float:
  """Returns the seconds of a step of all rows without the physics itself.

  A copy of the states stands for `mujoco.rollout`. What is left is acting, the
  environment around the physics, and storing the frames.
  """
  agent = create_agent(environment, 1, 1)
  groups = getattr(environment, 'groups', (environment,))
  steppings = [group.physics._stepping for group in groups]
  for group in groups:
    group.physics._stepping = _CopiedStates()
  policy = agent.collect_policy
  sizes = environment.num_tasks, environment.environments_per_task
  driver = maml_tf.EpisodeDriver(
    environment,
    policy,
    [
      buffer := maml_tf.EpisodeBuffer(
        policy.collect_data_spec, *sizes, environment.horizon
      )
    ],
    environment.horizon,
  )
  state = policy.get_initial_state(environment.num_tasks)
  noise = policy.distributions.draw_noise(
    np.random.default_rng(0), (environment.horizon, environment.batch_size)
  )
  seconds = []
  for _ in range(6):
    start = time.perf_counter()
    driver.run(state, noise)
    seconds.append((time.perf_counter() - start) / environment.horizon)
    buffer.clear()
  for group, stepping in zip(groups, steppings):
    group.physics._stepping = stepping
  return float(np.median(seconds[1:]))  # The first one compiles.


class _CopiedStates:
  """Physics in which nothing moves."""

  def step(self, models, start, controls, frame_skip):
    del models, controls, frame_skip
    return start.copy(), np.zeros(len(start), bool)


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


def create_agent(
  environment: task_environment.TaskEnvironment,
  adaptation_steps: int,
  optimizer_steps: int,
) -> maml_tf.MamlAgent:
  """Returns an agent with the default networks."""
  tf.keras.utils.set_random_seed(0)
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  action_spec = tensor_spec.from_spec(environment.action_spec())
  return maml_tf.MamlAgent(
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


def measure_iterations(
  environment: task_environment.TaskEnvironment,
  adaptation_steps: int,
  optimizer_steps: int,
  iterations: int,
) -> tuple[float, dict[str, float]]:
  """Returns env steps per second, and mean seconds of an iteration's parts."""
  agent = create_agent(environment, adaptation_steps, optimizer_steps)
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


def core_counts(available: int) -> list[int]:
  """Returns 1, 2, 4, ... below the number of cores, and that number."""
  counts = [1]
  while 2 * counts[-1] < available:
    counts.append(2 * counts[-1])
  return counts if available == 1 else [*counts, available]


def measure_cores(
  counts: Sequence[int], arguments: Sequence[str]
) -> dict[str, dict[str, float]]:
  """Runs this file with some of the cores, a process for each number.

  Args:
    counts: The numbers of cores.
    arguments: The flags of each process.

  Returns:
    The last line of each, by the number of cores. Those that fail are omitted.
  """
  available = sorted(os.sched_getaffinity(0))
  command = [sys.executable, str(pathlib.Path(__file__)), *arguments]
  results = {}
  for count in counts:
    # A process inherits it, before TensorFlow starts threads.
    os.sched_setaffinity(0, available[:count])
    try:
      done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    finally:
      os.sched_setaffinity(0, available)
    if done.returncode:
      print(f'{count} cores: failed', flush=True)
      continue
    results[str(count)] = json.loads(done.stdout.splitlines()[-1])
    print(_row(count, results[str(count)]), flush=True)
  return results


def _row(count: int, result: dict[str, float]) -> str:
  limit, speed = (
    result[f'{name}_steps_per_second'] for name in ('physics_limit', 'env')
  )
  return (
    f'{count:3} cores  physics {limit:10,.0f}  meta-iterations {speed:10,.0f}'
    f'  ratio {result["ratio_to_limit"]:.3f}'
  )


def _check_cores(counts: Sequence[int], available: int) -> list[int]:
  """Returns the numbers of cores to measure.

  Raises:
    ValueError: There are not so many, or the system cannot restrict processes.
  """
  wrong = [count for count in counts if not 1 <= count <= available]
  if wrong:
    raise ValueError(
      f'--cores is {wrong[0]}: give numbers from 1 to {available}, the cores'
      ' that this process may use'
    )
  return list(counts) or core_counts(available)


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
  parser.add_argument('--cores', type=int, nargs='*')
  flags = parser.parse_args(argv)
  if flags.cores is not None:
    try:
      counts = _check_cores(flags.cores, cpu.count())
    except ValueError as error:
      parser.error(str(error))
    arguments = [
      f'--{name}={value}'
      for name, value in vars(flags).items()
      if name != 'cores'
    ]
    print(json.dumps({'cores': measure_cores(counts, arguments)}))
    return
  cpu.one_thread_an_operation()

  create = functools.partial(
    locomotion.HalfCheetahDirection, horizon=flags.horizon
  )
  num_rows = flags.tasks * flags.episodes
  limit = measure_physics_limit(num_rows, flags.horizon)
  print(f'physics alone, open loop    {limit:10,.0f} env steps/s', flush=True)
  loop = measure_gymnasium()
  print(f"Gymnasium's HalfCheetah-v5  {loop:10,.0f} env steps/s", flush=True)
  environment = create(
    num_tasks=flags.tasks, environments_per_task=flags.episodes
  )
  widths = create_agent(environment, 1, 1).collect_policy.widths
  environment = task_groups.divide(environment, create, widths)
  # From here on MuJoCo's clock is off; see environments/mujoco_process.py.
  clockless = measure_physics_limit(num_rows, flags.horizon)
  print(f"  without MuJoCo's clock    {clockless:10,.0f} env steps/s")
  serial = measure_serial_part(environment)
  speed, seconds = measure_iterations(
    environment,
    flags.adaptation_steps,
    flags.optimizer_steps,
    flags.iterations,
  )
  ratio = speed / limit
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  print(f'meta-iterations             {speed:10,.0f} env steps/s')
  for part in _PARTS:
    print(f'  {part:<12}{seconds[part]:8.3f} s an iteration')
  print(f'a step without its physics  {1e3 * serial:10.3f} ms')
  print(f'ratio to the physics limit  {ratio:10.3f}')
  print(f"  without MuJoCo's clock    {speed / clockless:10.3f}")
  print(f'peak memory                 {peak:10,.0f} MB')
  print(
    json.dumps(
      {
        'physics_limit_steps_per_second': round(limit, 1),
        'clockless_limit_steps_per_second': round(clockless, 1),
        'gymnasium_steps_per_second': round(loop, 1),
        'env_steps_per_second': round(speed, 1),
        'ratio_to_limit': round(ratio, 4),
        'ratio_to_clockless_limit': round(speed / clockless, 4),
        'serial_ms_per_step': round(1e3 * serial, 4),
        'peak_rss_mb': round(peak, 1),
        'seconds': {k: round(v, 4) for k, v in seconds.items()},
      }
    )
  )


if __name__ == '__main__':
  main()
