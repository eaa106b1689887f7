"""A policy network of your own: layer-normalised residual blocks.

  python examples/custom_network.py

Any TF-Agents `DistributionNetwork` without recurrent state works. Without
further code, all its layers are meta-learned and adapted to the task. While it
trains, the program prints the return before and after one adaptation step on
held-out goals.
"""

import maml_tf  # isort: skip  Before TensorFlow, which it quiets.

import argparse

import tensorflow as tf
from tf_agents.networks import network
from tf_agents.networks import normal_projection_network
from tf_agents.networks import utils
from tf_agents.specs import tensor_spec
from tf_agents.utils import nest_utils

from maml_tf.environments import point_navigation


class ResidualNetwork(network.DistributionNetwork):
  """Blocks x + dense(relu(layer_norm(x))), followed by a Gaussian."""

  def __init__(
    self, observation_spec, action_spec, units=64, num_blocks=2, name='Residual'
  ):
    projection = normal_projection_network.NormalProjectionNetwork(
      action_spec,
      # The outputs are in units of the action's bounds, symmetric here.
      mean_transform=lambda mean, spec: spec.maximum * mean,
      std_transform=lambda log_std: action_spec.maximum * tf.exp(log_std),
    )
    super().__init__(
      observation_spec,
      state_spec=(),
      output_spec=projection.output_spec,
      name=name,
    )
    self._input_layer = tf.keras.layers.Dense(units)
    self._blocks = [
      tf.keras.Sequential(
        [
          tf.keras.layers.LayerNormalization(),
          tf.keras.layers.ReLU(),
          tf.keras.layers.Dense(units),
        ]
      )
      for _ in range(num_blocks)
    ]
    self._projection = projection

  def call(self, observation, step_type=None, network_state=(), training=False):
    outer_rank = nest_utils.get_outer_rank(observation, self.input_tensor_spec)
    batch = utils.BatchSquash(outer_rank)  # Joins all outer axes.
    x = self._input_layer(batch.flatten(observation))
    for block in self._blocks:
      x += block(x)
    x = batch.unflatten(x)
    distribution, _ = self._projection(x, outer_rank, training=training)
    return distribution, network_state


def main(argv=None):
  """Trains, and prints the returns before and after adaptation."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--iterations', type=int, default=40)
  parser.add_argument('--tasks', type=int, default=20)
  parser.add_argument('--episodes', type=int, default=10)
  flags = parser.parse_args(argv)
  tf.keras.utils.set_random_seed(0)

  environment = point_navigation.PointNavigation(
    flags.tasks, flags.episodes, horizon=50
  )
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  action_spec = tensor_spec.from_spec(environment.action_spec())
  actor_network = ResidualNetwork(time_step_spec.observation, action_spec)
  agent = maml_tf.MamlAgent(time_step_spec, action_spec, actor_network)
  collector = maml_tf.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 1, seed=0
  )
  learner = maml_tf.MetaLearner(agent)
  print(f'{len(agent.meta_parameters)} variables are meta-learned')
  for iteration in range(1, flags.iterations + 1):
    learner.run(collector.collect(iteration).meta_batch)
    if iteration % 10 == 0 or iteration == flags.iterations:
      # The tasks of iteration 0 are held out from training.
      before, after = collector.collect(0).returns.mean(axis=(1, 2))
      print(f'iteration {iteration}: return {before:.2f} -> {after:.2f}')


if __name__ == '__main__':
  main()
