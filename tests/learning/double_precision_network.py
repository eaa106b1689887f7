"""The default policy network in float64; Keras must be set to float64 too."""

import tensorflow as tf
from tf_agents.networks import actor_distribution_network
from tf_agents.networks import normal_projection_network


def create_network(observation_spec, action_spec, fc_layer_params=(3,)):
  """Tanh layers, linear means and a log standard deviation, all in float64."""
  return actor_distribution_network.ActorDistributionNetwork(
    observation_spec,
    action_spec,
    fc_layer_params=fc_layer_params,
    activation_fn=tf.keras.activations.tanh,
    continuous_projection_net=lambda spec: (
      normal_projection_network.NormalProjectionNetwork(
        spec,
        init_means_output_factor=1.0,
        mean_transform=None,
        std_bias_initializer_value=-0.2,
        std_transform=tf.exp,
      )
    ),
    dtype=tf.float64,
  )
