"""Measures time and memory of meta-iterations of one size on HalfCheetah.

  python benchmarks/scaling_point.py --tasks=400 --episodes=20 --horizon=100

The agent takes one adaptation step and five optimizer steps and has two tanh
layers. A process measures a single size, since its peak memory covers
everything it has done. The last line is JSON.
"""

import maml_tf  # isort: skip  Before TensorFlow, which it quiets.

import argparse
from collections.abc import Sequence
import json
import resource
import sys
import time

import numpy as np
import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf.core import cpu
from maml_tf.environments import locomotion
from maml_tf.learning import actor_networks
from maml_tf.learning import meta_updates
from maml_tf.run import strategies

# The first iterations compile and allocate memory.
_WARM_UP = 2
_OPTIMIZER_STEPS = 5


def build(
  flags: argparse.Namespace, strategy: tf.distribute.Strategy
) -> tuple[maml_tf.MetaCollector, maml_tf.MetaLearner]:
  """Creates the collector and the learner for the sizes in `flags`."""
  environment = locomotion.HalfCheetahDirection(
    flags.tasks, flags.episodes, flags.horizon
  )
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  action_spec = tensor_spec.from_spec(environment.action_spec())
  tf.keras.utils.set_random_seed(0)
  with strategy.scope():
    agent = maml_tf.MamlAgent(
      time_step_spec,
      action_spec,
      actor_networks.create_actor_network(
        time_step_spec.observation,
        action_spec,
        fc_layer_params=(flags.width, flags.width),
      ),
      meta_update=meta_updates.GradientUpdate(
        tf.keras.optimizers.Adam(1e-3), num_steps=_OPTIMIZER_STEPS
      ),
    )
  collector = maml_tf.MetaCollector(
    environment,
    agent.collect_policy,
    agent.adapt,
    agent.num_adaptation_steps,
    seed=0,
  )
  return collector, maml_tf.MetaLearner(agent, strategy)


def peak_mb() -> float:
  """Returns the peak memory of this process in MB of 2^20 bytes."""
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return peak / (2**20 if sys.platform == 'darwin' else 2**10)


def main(argv: Sequence[str] | None = None) -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  for name, default in (
    ('tasks', 20),
    ('episodes', 20),
    ('horizon', 100),
    ('width', 64),
    ('replicas', 1),
    ('iterations', 3),
  ):
    parser.add_argument(f'--{name}', type=int, default=default)
  flags = parser.parse_args(argv)
  cpu.one_thread_an_operation()
  strategy = (
    strategies.create('mirrored', flags.replicas)
    if flags.replicas > 1
    else strategies.create('default')
  )
  collector, learner = build(flags, strategy)
  learner.check_num_tasks(flags.tasks)
  baseline = peak_mb()
  env_steps, seconds = [], []
  for iteration in range(_WARM_UP + flags.iterations):
    start = time.perf_counter()
    collected = collector.collect(iteration + 1)
    collected_at = time.perf_counter()
    learner.run(collected.meta_batch)
    end = time.perf_counter()
    seconds.append((collected_at - start, end - collected_at, end - start))
    env_steps.append(collected.env_steps)
  collect, update, total = np.median(seconds[_WARM_UP:], axis=0).tolist()
  print(
    json.dumps(
      {
        'collect_seconds': round(collect, 4),
        'update_seconds': round(update, 4),
        'seconds': round(total, 4),
        'env_steps_per_second': round(np.median(env_steps) / total, 1),
        'peak_rss_mb': round(peak_mb(), 1),
        'baseline_rss_mb': round(baseline, 1),
      }
    )
  )


if __name__ == '__main__':
  main()
