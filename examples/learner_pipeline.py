"""Meta-learns point navigation with TF-Agents' Learner on two replicas.

  python examples/learner_pipeline.py --root_dir=/tmp/points

The Learner divides the tasks over two logical CPUs, writes checkpoints and
summaries, and saves the policy. A second run resumes from the checkpoint.
"""

import maml_tf  # isort: skip  First: it quiets the imports of the libraries.

import argparse
from collections.abc import Sequence
import warnings

from absl import logging
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.train import learner
from tf_agents.train import triggers
from tf_agents.train.utils import train_utils

from maml_tf.environments import point_navigation
from maml_tf.learning import actor_networks


def main(argv: Sequence[str] | None = None) -> None:
  """Trains."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--root_dir', required=True)
  sizes = {'iterations': 30, 'tasks': 20, 'episodes': 10, 'horizon': 100}
  sizes['interval'] = 10  # Iterations between saves.
  for name, default in sizes.items():
    parser.add_argument(f'--{name}', type=int, default=default)
  flags = parser.parse_args(argv)
  if flags.tasks % 2:
    parser.error('--tasks must be even: each of two replicas takes half')
  # The savers warn about names and types that they themselves encode.
  logging.set_verbosity(logging.ERROR)
  warnings.filterwarnings('ignore', 'Encoding a StructuredValue')
  # TensorFlow reads this configuration at its first operation.
  tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices('CPU')[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
  )
  tf.keras.utils.set_random_seed(0)
  strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])

  environment = point_navigation.PointNavigation(
    flags.tasks, flags.episodes, flags.horizon
  )
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  action_spec = tensor_spec.from_spec(environment.action_spec())
  with strategy.scope():
    train_step = train_utils.create_train_step()
    network = actor_networks.create_actor_network(
      time_step_spec.observation, action_spec
    )
    agent = maml_tf.MamlAgent(
      time_step_spec,
      action_spec,
      network,
      gae_lambda=0.9,
      train_step_counter=train_step,
    )
  collector = maml_tf.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 1, seed=0
  )
  save_policy = triggers.PolicySavedModelTrigger(
    f'{flags.root_dir}/policies',
    agent,
    train_step,
    interval=flags.interval,
    save_greedy_policy=False,  # It would drop the adapted parameters.
  )
  meta_learner = learner.Learner(
    flags.root_dir,
    train_step,
    agent,
    triggers=[
      save_policy,
      triggers.StepPerSecondLogTrigger(train_step, flags.interval),
    ],
    checkpoint_interval=flags.interval,
    strategy=strategy,
    run_optimizer_variable_init=False,  # The agent created its variables.
  )
  for iteration in range(int(train_step.numpy()) + 1, flags.iterations + 1):
    collected = collector.collect(iteration)
    # Training is on-policy: each meta-batch is a data set that is read once.
    data = tf.data.Dataset.from_tensor_slices((collected.meta_batch, ()))
    data = data.batch(flags.tasks, drop_remainder=True)
    loss_info = meta_learner.run(
      iterator=iter(strategy.experimental_distribute_dataset(data))
    )
    before, *_, after = collected.returns.mean(axis=(1, 2))
    print(
      f'iteration {iteration:3}  return {before:6.1f} -> {after:6.1f}'
      f'  loss {float(loss_info.loss):8.4f}'
    )


if __name__ == '__main__':
  main()
