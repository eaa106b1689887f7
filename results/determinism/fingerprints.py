"""Prints fingerprints of short runs, to compare two versions bit for bit.

  python results/determinism/fingerprints.py > before.txt

Run it in a checkout of each version and compare the outputs. A line holds the
SHA-256 of `metrics.csv` without its clocks, of a variable of the last
checkpoint, or of a meta-parameter after five updates on recorded meta-batches
of HalfCheetahDirection. The imports are those of version 0.1.0, which later
versions still accept.
"""

import maml_tf  # isort: skip  Before TensorFlow, which it quiets.

import csv
import hashlib
import os
import subprocess
import sys
import tempfile

import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf import processors
from maml_tf import run_config
from maml_tf import strategies
from maml_tf.environments import locomotion
from maml_tf.learning import actor_networks
from maml_tf.learning import trust_region  # noqa: F401  # For gin.

ALGORITHMS = {
  'default': (),
  'maml_trpo': ('--gin_file=maml_trpo.gin',),
  'rllib_maml': ('--gin_file=rllib_maml.gin',),
}
REPLICAS = {
  '1 replica': (),
  '2 replicas': ('--strategy=mirrored', '--num_virtual_cpus=2'),
}
# Columns and variables that tell the time or that nothing learned depends on.
CLOCKS = ('wall_seconds', 'collect_seconds', 'update_seconds')
CLOCKS += ('env_steps_per_second',)
UNRELATED = ('wall_seconds', 'save_counter', '_CHECKPOINTABLE', '_generator')


def main(arguments):
  if arguments:
    recorded_updates(*arguments)
    return
  for algorithm, config in ALGORITHMS.items():
    for replicas, strategy in REPLICAS.items():
      with tempfile.TemporaryDirectory() as root_dir:
        command = ['-m', 'maml_tf.train', '--gin_file=point.gin', *config]
        command += ['--gin_bindings=train_eval.num_iterations = 5', *strategy]
        run([*command, f'--root_dir={root_dir}'])
        show_run(f'point.gin {algorithm}, {replicas}', root_dir)
  for algorithm in ('promp.gin', 'maml_trpo.gin'):
    for replicas in ('1', '2'):
      print(run([__file__, algorithm, replicas]), end='', flush=True)


def run(arguments):
  """Runs Python in a process of its own; returns what it printed."""
  done = subprocess.run(
    [sys.executable, *arguments], stdout=subprocess.PIPE, text=True, check=True
  )
  return done.stdout


def show_run(title, root_dir):
  with open(os.path.join(root_dir, 'metrics.csv'), encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  rows = [{k: v for k, v in r.items() if k not in CLOCKS} for r in rows]
  show(title, f'metrics.csv, {len(rows)} rows', repr(rows).encode())
  reader = tf.train.load_checkpoint(os.path.join(root_dir, 'checkpoints'))
  for name in sorted(reader.get_variable_to_shape_map()):
    if not any(part in name for part in UNRELATED):
      value = reader.get_tensor(name)
      name = name.removesuffix('/.ATTRIBUTES/VARIABLE_VALUE')
      show(title, name, value.tobytes())


def recorded_updates(config, num_replicas):
  """Five updates on meta-batches that only one replica collected."""
  processors.one_thread_an_operation()
  strategy = strategies.create(
    *{'1': ['default'], '2': ['mirrored', 2]}[num_replicas]
  )
  run_config.parse([config], [])
  environment = locomotion.HalfCheetahDirection(4, 5, 50)
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  action_spec = tensor_spec.from_spec(environment.action_spec())
  tf.keras.utils.set_random_seed(0)
  with strategy.scope():
    agent = maml_tf.MamlAgent(
      time_step_spec,
      action_spec,
      actor_networks.create_actor_network(
        time_step_spec.observation, action_spec
      ),
      train_step_counter=tf.Variable(0, dtype=tf.int64),
    )
  collector = maml_tf.MetaCollector(
    environment,
    agent.collect_policy,
    agent.adapt,
    agent.num_adaptation_steps,
    seed=0,
  )
  batches = [collector.collect(i).meta_batch for i in range(1, 6)]
  learner = maml_tf.MetaLearner(agent, strategy)
  for batch in batches:
    learner.run(batch)
  title = f'recorded HalfCheetah, {config}, {num_replicas} replicas'
  for number, variable in enumerate(agent.meta_parameters):
    show(title, f'meta-parameter {number}', variable.numpy().tobytes())


def show(title, name, content):
  digest = hashlib.sha256(content).hexdigest()[:16]
  print(f'{title} | {name} | {digest}', flush=True)


if __name__ == '__main__':
  main(sys.argv[1:])
