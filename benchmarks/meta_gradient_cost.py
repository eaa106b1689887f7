"""Compares the cost of a meta-gradient with that of a plain policy gradient.

  python benchmarks/meta_gradient_cost.py

The data are frames of HalfCheetah, by default 2,000 of each of 40 tasks. The
policy has two tanh layers of 64 units. The plain policy gradient is that of
each task's likelihood ratio over one stage, vectorised over the same chunks of
tasks. Run it on an idle machine: all figures are wall time. The last line is
JSON.
"""

import maml_tf  # isort: skip  Before TensorFlow, which it quiets.

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import functools
import json
import resource
import time

import numpy as np
import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf.core import action_distributions
from maml_tf.core import cpu
from maml_tf.core import meta_batch
from maml_tf.environments import locomotion
from maml_tf.learning import actor_networks
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import surrogates
from maml_tf.learning import task_map

_CASES = {
  'one inner step': {},
  'two inner steps': {'num_steps': 2},
  'three inner steps': {'num_steps': 3},
  'first order': {'first_order': True},
  'log-likelihood': {'surrogate': surrogates.log_likelihood},
  'DiCE': {'surrogate': surrogates.dice},
}


def create_agent(
  environment: locomotion.HalfCheetahDirection,
  flags: argparse.Namespace,
  **inner_options,
) -> maml_tf.MamlAgent:
  """Creates an agent with the given options of the inner loop."""
  tf.keras.utils.set_random_seed(0)
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  action_spec = tensor_spec.from_spec(environment.action_spec())
  return maml_tf.MamlAgent(
    time_step_spec,
    action_spec,
    actor_networks.create_actor_network(
      time_step_spec.observation, action_spec
    ),
    inner_loop=inner_loop_lib.InnerLoop(**inner_options),
    task_chunk_size=flags.chunk,
    jit_compile=flags.jit_compile,
  )


def plain_gradient(agent, flags: argparse.Namespace) -> Callable:
  """Returns a function that computes a stage's mean policy gradient."""

  def task_gradient(theta, stage):
    with tf.GradientTape() as tape:
      tape.watch(theta)
      evaluated = agent.functions.task.evaluate(theta.parameters, stage)
      log_prob = action_distributions.log_prob(
        evaluated.distribution, stage.action
      )
      loss = -surrogates.likelihood_ratio(log_prob, stage)
    return tape.gradient(loss, theta)

  @tf.function(autograph=False, jit_compile=flags.jit_compile)
  def gradient(theta, stage):
    per_task = task_map.vmap_in_chunks(
      lambda task: task_gradient(theta, task), stage, flags.chunk
    )
    return tf.nest.map_structure(lambda g: tf.reduce_mean(g, axis=0), per_task)

  return gradient


def median_seconds(
  calls: Sequence[Callable[[], Sequence]], repeats: int = 7
) -> list[float]:
  """Returns the median wall time of each call.

  Each round times every call once, so that a slower period of the machine
  affects all of them. The first two rounds compile and allocate memory.
  """
  times = []
  for _ in range(2 + repeats):
    times.append([])
    for call in calls:
      start = time.perf_counter()
      tf.nest.flatten(call())[-1].numpy()
      times[-1].append(time.perf_counter() - start)
  return np.median(times[2:], axis=0).tolist()


def main(argv: Sequence[str] | None = None) -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--tasks', type=int, default=40)
  parser.add_argument('--episodes', type=int, default=20)
  parser.add_argument('--chunk', type=int, default=1)
  parser.add_argument('--jit_compile', action='store_true')
  flags = parser.parse_args(argv)
  cpu.one_thread_an_operation()

  environment = locomotion.HalfCheetahDirection(
    flags.tasks, flags.episodes, horizon=100
  )
  agent = create_agent(environment, flags)
  collector = maml_tf.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 1, seed=0
  )
  stage = agent.prepare(collector.collect(1).meta_batch.query)
  theta = tf.nest.map_structure(tf.identity, agent.theta)
  plain = plain_gradient(agent, flags)
  calls = {'plain policy gradient': lambda: plain(theta, stage)}
  for name, options in _CASES.items():
    agent = create_agent(environment, flags, **options)
    num_steps = agent.num_adaptation_steps
    calls[name] = functools.partial(
      agent.functions.means.meta_gradient,
      (theta, tf.zeros([num_steps])),
      meta_batch.PreparedBatch(
        (stage,) * num_steps, stage, tf.zeros([flags.tasks])
      ),
    )
  seconds = dict(zip(calls, median_seconds(list(calls.values()))))
  plain_seconds = seconds['plain policy gradient']
  for name, value in seconds.items():
    print(f'{name:<24}{value:8.3f} s {value / plain_seconds:8.2f}')
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  print(
    json.dumps(
      {
        'second_order_over_plain': round(
          seconds['one inner step'] / plain_seconds, 3
        ),
        'seconds': {k: round(v, 4) for k, v in seconds.items()},
        'peak_rss_mb': round(peak, 1),
        'jit_compile': flags.jit_compile,
      }
    )
  )


if __name__ == '__main__':
  main()
