"""The default policy network: tanh layers and a learned standard deviation."""

from collections.abc import Sequence
import math

import gin
import tensorflow as tf
from tf_agents.networks import actor_distribution_network
from tf_agents.networks import normal_projection_network
from tf_agents.typing import types

from maml_tf import checks


@gin.configurable
def create_actor_network(
  observation_spec: types.NestedTensorSpec,
  action_spec: types.NestedTensorSpec,
  fc_layer_params: Sequence[int] = (64, 64),
  initial_stddev: float = 1.0,
  min_stddev: float = 1e-3,
) -> actor_distribution_network.ActorDistributionNetwork:
  """Creates an `ActorDistributionNetwork` with tanh layers.

  Continuous actions: a diagonal Gaussian whose mean is a plain linear output
  (not squashed to the action spec) and whose log standard deviation is one
  trainable vector, the same in every state. Discrete actions: a Categorical.

  Args:
    observation_spec: A nest of `TensorSpec`.
    action_spec: A nest of `BoundedTensorSpec`.
    fc_layer_params: Units of the layers.
    initial_stddev: The standard deviation at the beginning, in the action's
      unit.
    min_stddev: A floor: adaptation changes the standard deviation too, and must
      not collapse it.

  Returns:
    The network.

  Raises:
    ValueError: A number is out of range.
  """
  checks.number('min_stddev', min_stddev, above=0)
  checks.number('initial_stddev', initial_stddev, above=min_stddev)

  def projection(spec):
    return normal_projection_network.NormalProjectionNetwork(
      spec,
      mean_transform=None,
      std_bias_initializer_value=math.log(initial_stddev),
      std_transform=lambda log_std: tf.exp(
        tf.maximum(log_std, math.log(min_stddev))
      ),
    )

  return actor_distribution_network.ActorDistributionNetwork(
    observation_spec,
    action_spec,
    fc_layer_params=tuple(fc_layer_params),
    activation_fn=tf.keras.activations.tanh,
    continuous_projection_net=projection,
  )
