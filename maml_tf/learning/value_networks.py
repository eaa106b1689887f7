"""Value networks, with layers of their own or those of the policy network."""

from collections.abc import Sequence

import gin
import tensorflow as tf
from tf_agents.networks import network as network_lib
from tf_agents.networks import value_network
from tf_agents.typing import types

from maml_tf.core import checks
from maml_tf.learning import actor_networks
from maml_tf.learning import observation_encoders


@gin.configurable(denylist=['observation_spec', 'actor_network'])
def create_value_network(
  observation_spec: types.NestedTensorSpec,
  actor_network: network_lib.Network,
  fc_layer_params: Sequence[int] = (64, 64),
  share_layers: bool = False,
  encoders: observation_encoders.Encoders | None = (
    observation_encoders.DEFAULTS
  ),
) -> network_lib.Network:
  """Creates a network that predicts the return that follows an observation.

  Args:
    observation_spec: A nest of `TensorSpec`.
    actor_network: The policy network.
    fc_layer_params: The number of units of each tanh layer; no effect if
      `share_layers`.
    share_layers: Whether to use the policy network's layers below its head, as
      RLlib's `vf_share_layers` does.
    encoders: As for `create_actor_network`; no effect if `share_layers`.

  Returns:
    A TF-Agents network from observations [N, ...] to values [N].

  Raises:
    ValueError: A number is out of range, `encoders` does not fit the
      observation, or the policy network has no encoder to share.
  """
  if checks.boolean('share_layers', share_layers):
    return SharedValueNetwork(observation_spec, actor_network)
  preprocessing, joined = observation_encoders.create(
    observation_spec, encoders
  )
  # Runs of older versions record the defaults of arguments that are not given.
  arguments = {}
  if preprocessing is not None:
    arguments['preprocessing_layers'] = preprocessing
    arguments['preprocessing_combiner'] = joined
  return value_network.ValueNetwork(
    observation_spec,
    **arguments,
    fc_layer_params=actor_networks.layer_units(fc_layer_params),
    activation_fn=tf.keras.activations.tanh,
  )


class SharedValueNetwork(network_lib.Network):
  """A linear value on top of a policy network's encoder."""

  def __init__(
    self,
    observation_spec: types.NestedTensorSpec,
    actor_network: network_lib.Network,
    name: str = 'SharedValueNetwork',
  ):
    """Uses the encoder, which is the first layer of the policy network.

    Args:
      observation_spec: A nest of `TensorSpec`.
      actor_network: An `ActorDistributionNetwork`, or another network whose
        first layer is a network that encodes observations.
      name: The name of the network.

    Raises:
      ValueError: The first layer is not a network.
    """
    super().__init__(observation_spec, state_spec=(), name=name)
    actor_network.create_variables()
    encoder = actor_network.layers[0]
    if not isinstance(encoder, network_lib.Network):
      raise ValueError(
        f'{actor_network.name} has no encoder to share: give an '
        'ActorDistributionNetwork, or share_layers = False'
      )
    self._encoder = encoder
    self._head = tf.keras.layers.Dense(1, name='value')

  def call(self, observation, step_type=None, network_state=(), training=False):
    encoded, network_state = self._encoder(
      observation,
      step_type=step_type,
      network_state=network_state,
      training=training,
    )
    return tf.squeeze(self._head(encoded), axis=-1), network_state
