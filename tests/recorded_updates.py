"""Updates on recorded meta-batches of HalfCheetah, on so many replicas.

  python -m tests.recorded_updates CONFIG REPLICAS OUT.npz

Writes the first meta-parameter before, and all of them after five updates.
"""

import maml_tf  # isort: skip  Before TensorFlow, which it quiets.

import sys

import numpy as np
import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf import processors
from maml_tf import run_config
from maml_tf import strategies
from maml_tf.environments import locomotion
from maml_tf.learning import actor_networks
from maml_tf.learning import trust_region  # noqa: F401  # For gin.

NUM_TASKS, NUM_EPISODES, HORIZON = 4, 5, 50


def main(config, replicas, out):
  processors.one_thread_an_operation()
  count = int(replicas)
  strategy = strategies.create(
    *(('default', None) if count == 1 else ('mirrored', count))
  )
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
  batches = [collector.collect(i).meta_batch for i in range(1, 6)]
  before = agent.meta_parameters[0].numpy()
  learner = maml_tf.MetaLearner(agent, strategy)
  for batch in batches:
    learner.run(batch)
  after = [v.numpy() for v in agent.meta_parameters]
  assert np.any(after[0] != before)
  np.savez(out, before, *after)


if __name__ == '__main__':
  main(*sys.argv[1:])
