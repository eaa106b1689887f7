"""Measures meta-iterations on point navigation in TensorFlow operations.

  python benchmarks/graph_environments.py --tasks=400 --optimizer_steps 1 5 10

Collects and learns in whole meta-iterations of one adaptation step, for several
numbers K of optimizer steps, and says what the multiply-adds of the networks
would allow if they were all this machine did. Run it on an idle machine: all
figures are wall time. The last line is JSON.
"""

import maml_tf  # isort: skip  Before TensorFlow, which it quiets.

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import json
import resource
import time

import numpy as np
import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf.core import cpu
from maml_tf.environments.in_graph import point_navigation
from maml_tf.learning import actor_networks
from maml_tf.learning import meta_updates

# The first iterations compile and allocate memory.
_WARM_UP = 2
_PARTS = ('acting', 'adaptation', 'update', 'other')


def multiply_adds(
  forward: int, optimizer_steps: int, has_inner_kl: bool = True
) -> float:
  """Counts the networks' multiply-adds for one env step of an iteration.

  Half of the env steps are support, half query. A gradient takes two forward
  passes' worth besides the forward pass.

    acting           1 forward pass for each env step
    adaptation       3 for each support step
    meta-gradient    9 for each support step: the adaptation, and as a gradient
                     of a gradient twice as much again; 3 for each query step
    inner KL         1 for each support step, once an iteration

  Args:
    forward: The multiply-adds of a forward pass.
    optimizer_steps: K.
    has_inner_kl: Whether the inner KL is measured after the update.
  """
  passes = 1 + 3 / 2 + optimizer_steps * (9 + 3) / 2 + 0.5 * has_inner_kl
  return passes * forward


def measure_multiply_adds(width: int = 64, frames: int = 2020) -> float:
  """Returns the multiply-adds a second of matrix products of one layer.

  As in an update, each processor multiplies matrices of its own.
  """
  num_products = 200
  tasks = cpu.count()
  inputs = tf.random.normal([tasks, frames, width])
  weights = tf.random.normal([tasks, width, width]) / width**0.5

  @tf.function
  def multiply():
    def product(index):
      x = inputs[index]
      for _ in range(num_products):
        x = tf.linalg.matmul(x, weights[index])
      return tf.reduce_sum(x)

    return tf.map_fn(
      product,
      tf.range(tasks),
      fn_output_signature=tf.float32,
      parallel_iterations=tasks,
    )

  seconds = _best(lambda: multiply().numpy())
  return tasks * num_products * frames * width**2 / seconds


def _best(fn: Callable[[], object], repeats: int = 5) -> float:
  fn()
  seconds = []
  for _ in range(repeats):
    start = time.perf_counter()
    fn()
    seconds.append(time.perf_counter() - start)
  return min(seconds)


def measure_iterations(
  flags: argparse.Namespace, optimizer_steps: int
) -> dict[str, float]:
  """Returns medians over iterations: env steps a second, seconds of parts."""
  environment = point_navigation.PointNavigationTensors(
    flags.tasks, flags.episodes, flags.horizon
  )
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  action_spec = tensor_spec.from_spec(environment.action_spec())
  tf.keras.utils.set_random_seed(0)
  agent = maml_tf.MamlAgent(
    time_step_spec,
    action_spec,
    actor_networks.create_actor_network(
      time_step_spec.observation,
      action_spec,
      fc_layer_params=(flags.width, flags.width),
    ),
    meta_update=meta_updates.GradientUpdate(
      tf.keras.optimizers.Adam(1e-3), num_steps=optimizer_steps
    ),
    task_chunk_size=flags.task_chunk_size,
    jit_compile=flags.jit,
  )
  collector = maml_tf.MetaCollector(
    environment,
    agent.collect_policy,
    agent.adapt,
    agent.num_adaptation_steps,
    seed=0,
    jit_compile=agent.placement.compiles_acting(environment),
    prepare=agent.prepare,
  )
  learner = maml_tf.MetaLearner(agent)
  rows = []
  for iteration in range(_WARM_UP + flags.iterations):
    start = time.perf_counter()
    collected = collector.collect(iteration + 1)
    collected_at = time.perf_counter()
    learner.run(collected.meta_batch).loss.numpy()
    end = time.perf_counter()
    # Only this one's parts and counts: the meta-batch would stay in memory.
    parts = {**collected.seconds, 'update': end - collected_at}
    row = {part: parts[part] for part in _PARTS}
    row['env_steps_per_second'] = collected.env_steps / (end - start)
    row['collect_steps_per_second'] = collected.env_steps / (
      collected_at - start
    )
    if iteration == 0:
      first = end - start
    rows.append(row)
  rows = rows[_WARM_UP:]
  medians = {k: float(np.median([row[k] for row in rows])) for k in rows[0]}
  return {'optimizer_steps': optimizer_steps, **medians, 'first': first}


def main(argv: Sequence[str] | None = None) -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  for name, default in (
    ('tasks', 400),
    ('episodes', 20),
    ('horizon', 100),
    ('width', 64),
    ('iterations', 5),
  ):
    parser.add_argument(f'--{name}', type=int, default=default)
  parser.add_argument(
    '--optimizer_steps', type=int, nargs='+', default=[1, 5, 10]
  )
  # By default, as the device suggests.
  parser.add_argument('--task_chunk_size', type=int)
  parser.add_argument('--jit', action='store_true', default=None)
  flags = parser.parse_args(argv)
  cpu.one_thread_an_operation()

  rate = measure_multiply_adds(flags.width)
  # Two numbers are observed, two act.
  forward = 2 * flags.width + flags.width**2 + 2 * flags.width
  print(f'cores {cpu.count()}, {rate / 1e9:.0f} billion multiply-adds/s')
  print(
    'K    env steps/s  limit'
    + ''.join(f'{part:>12}' for part in _PARTS)
    + '  seconds; the first iteration',
    flush=True,
  )
  results = []
  for optimizer_steps in flags.optimizer_steps:
    result = measure_iterations(flags, optimizer_steps)
    limit = rate / multiply_adds(forward, optimizer_steps)
    result['limit_steps_per_second'] = limit
    speed = result['env_steps_per_second']
    print(
      f'{optimizer_steps:<4}{speed:12,.0f}{limit:14,.0f}'
      + ''.join(f'{result[part]:12.3f}' for part in _PARTS)
      + f'{result["first"]:10.1f}',
      flush=True,
    )
    results.append({k: round(v, 4) for k, v in result.items()})
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  print(f'peak memory {peak:,.0f} MB')
  print(
    json.dumps(
      {
        'cores': cpu.count(),
        'multiply_adds_per_second': round(rate),
        'iterations': results,
        'peak_rss_mb': round(peak, 1),
      }
    )
  )


if __name__ == '__main__':
  main()
