"""Updates on recorded meta-batches of HalfCheetah, on replicas or workers.

  python -m tests.run.recorded_updates CONFIG OUT.npz [NUM_VIRTUAL_CPUS]

With TF_CONFIG set it is one of the workers. It writes the first meta-parameter
before five updates and all meta-parameters after them.
"""

import maml_tf  # isort: skip  Before TensorFlow, which it quiets.

import os
import sys

import numpy as np
import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf.core import cpu
from maml_tf.environments import locomotion
from maml_tf.learning import actor_networks
from maml_tf.learning import trust_region  # noqa: F401  # For gin.
from maml_tf.run import config as run_config
from maml_tf.run import strategies
from maml_tf.run import workers as worker_group

NUM_TASKS, NUM_EPISODES, HORIZON = 4, 5, 50


def main(config, out, num_virtual_cpus=None):
  cpu.one_thread_an_operation()
  strategy = _strategy(num_virtual_cpus)
  workers = worker_group.WorkerGroup(strategy)
  run_config.parse([config], [])
  environment = locomotion.HalfCheetahDirection(
    NUM_TASKS, NUM_EPISODES, HORIZON
  )
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
  # All workers record the same meta-batches; each learns from its share.
  tasks = workers.tasks(NUM_TASKS)
  batches = [
    tf.nest.map_structure(
      lambda t: t[tasks.start : tasks.stop], collector.collect(i).meta_batch
    )
    for i in range(1, 6)
  ]
  before = agent.meta_parameters[0].numpy()
  learner = maml_tf.MetaLearner(agent, strategy, workers.num_workers)
  for batch in batches:
    learner.run(batch)
  after = [v.numpy() for v in agent.meta_parameters]
  assert np.any(after[0] != before)
  np.savez(out, before, *after)


def _strategy(num_virtual_cpus):
  if 'TF_CONFIG' in os.environ:
    return strategies.create('multi_worker')
  if num_virtual_cpus is not None:
    return strategies.create('mirrored', int(num_virtual_cpus))
  return strategies.create('default')


if __name__ == '__main__':
  main(*sys.argv[1:])
