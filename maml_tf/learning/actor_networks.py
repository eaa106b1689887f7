"""The default policy network: tanh layers and a learned standard deviation."""

from collections.abc import Sequence
import math

import gin
import numpy as np
import tensorflow as tf
from tf_agents.networks import actor_distribution_network
from tf_agents.networks import normal_projection_network
from tf_agents.specs import tensor_spec
from tf_agents.typing import types

from maml_tf.core import checks


@gin.configurable(denylist=['observation_spec', 'action_spec'])
def create_actor_network(
  observation_spec: types.NestedTensorSpec,
  action_spec: types.NestedTensorSpec,
  fc_layer_params: Sequence[int] = (64, 64),
  initial_stddev: float = 1.0,
  min_stddev: float = 1e-3,
  context_size: int = 0,
) -> actor_distribution_network.ActorDistributionNetwork:
  """Creates an `ActorDistributionNetwork` with tanh layers.

  The distribution of continuous actions is a diagonal Gaussian. Its mean is a
  linear output, which is not squashed to the action spec. Its log standard
  deviation is one trainable vector, the same in every state. Both are in units
  of half the action's range, and the mean is relative to the middle of the
  range: one inner step size then suits small and large actions alike. The
  distribution of discrete actions is a Categorical.

  Args:
    observation_spec: A nest of `TensorSpec`.
    action_spec: A nest of `BoundedTensorSpec`.
    fc_layer_params: The number of units of each layer.
    initial_stddev: The initial standard deviation, in units of half the
      action's range.
    min_stddev: The smallest standard deviation, in the same units. Adaptation
      changes the standard deviation too and must not collapse it.
    context_size: The size of a learned context vector, which the network
      appends to the observation. The observation must then be a single vector.
      CAVIA (arXiv:1810.03642) adapts the context vector alone:
      InnerLoop.adapts = @names_match(), names_match.pattern = 'context'.

  Returns:
    The network.

  Raises:
    ValueError: A number is out of range.
  """
  fc_layer_params = layer_units(fc_layer_params)
  checks.integer('context_size', context_size, 0, checks.MAX_SIZE)
  if context_size and not isinstance(observation_spec, tf.TensorSpec):
    raise ValueError(
      'context_size needs an observation that is a single vector, not '
      f'{observation_spec}'
    )
  checks.number('min_stddev', min_stddev, above=0)
  checks.number('initial_stddev', initial_stddev, above=min_stddev)

  def projection(spec):
    middle, scale = _middle_and_half_range(spec)
    return normal_projection_network.NormalProjectionNetwork(
      spec,
      mean_transform=lambda mean, _: middle + scale * mean,
      std_bias_initializer_value=math.log(initial_stddev),
      std_transform=lambda log_std: (
        scale * tf.exp(tf.maximum(log_std, math.log(min_stddev)))
      ),
    )

  return actor_distribution_network.ActorDistributionNetwork(
    observation_spec,
    action_spec,
    preprocessing_layers=ContextVector(context_size) if context_size else None,
    fc_layer_params=fc_layer_params,
    activation_fn=tf.keras.activations.tanh,
    continuous_projection_net=projection,
  )


def layer_units(fc_layer_params: Sequence[int]) -> tuple[int, ...]:
  """Checks the numbers of units of layers and returns them as a tuple.

  Raises:
    ValueError: They are not positive integers.
  """
  is_sequence = isinstance(fc_layer_params, Sequence | np.ndarray)
  if not is_sequence or isinstance(fc_layer_params, str):
    raise ValueError(
      f'fc_layer_params is {fc_layer_params!r}: give the units of each layer,'
      ' such as (64, 64)'
    )
  return tuple(
    checks.integer('fc_layer_params', units, 1, checks.MAX_SIZE)
    for units in fc_layer_params
  )


class ContextVector(tf.keras.layers.Layer):
  """Appends a learned vector, which is initially zero, to its input."""

  def __init__(self, size: int, **kwargs):
    """Stores the size of the vector."""
    super().__init__(**kwargs)
    self._size = size

  def build(self, input_shape):
    self.context = self.add_weight('context', [self._size], initializer='zeros')
    super().build(input_shape)

  def call(self, inputs):
    shape = tf.concat([tf.shape(inputs)[:-1], [self._size]], axis=0)
    return tf.concat([inputs, tf.broadcast_to(self.context, shape)], axis=-1)

  def get_config(self):
    return {**super().get_config(), 'size': self._size}


def _middle_and_half_range(
  spec: tensor_spec.BoundedTensorSpec,
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the middle and half range of each action dimension.

  They are 0 and 1 where the action has no bounds.
  """
  dtype = spec.dtype.as_numpy_dtype
  half = np.asarray(spec.maximum / 2 - spec.minimum / 2, dtype)
  # The bounds of an unbounded action are the limits of its dtype.
  bounded = half < np.finfo(dtype).max / 4
  middle = np.where(bounded, spec.minimum, 0) + np.where(bounded, half, 0)
  return middle.astype(dtype), np.where(bounded, half, 1).astype(dtype)
