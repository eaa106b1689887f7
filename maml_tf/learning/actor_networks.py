"""The default policy network: tanh layers and a learned standard deviation."""

from collections.abc import Sequence
import itertools
import math

import gin
import numpy as np
import tensorflow as tf
from tf_agents.networks import actor_distribution_network
from tf_agents.networks import normal_projection_network
from tf_agents.specs import tensor_spec
from tf_agents.typing import types

from maml_tf.core import checks
from maml_tf.core import memory
from maml_tf.core import plain_texts
from maml_tf.learning import discrete_projection_network
from maml_tf.learning import encoder_layers
from maml_tf.learning import observation_encoders

# A name of version 0.1.0.
ContextVector = encoder_layers.ContextVector


@gin.configurable(denylist=['observation_spec', 'action_spec'])
def create_actor_network(
  observation_spec: types.NestedTensorSpec,
  action_spec: types.NestedTensorSpec,
  fc_layer_params: Sequence[int] = (64, 64),
  initial_stddev: float = 1.0,
  min_stddev: float = 1e-3,
  context_size: int = 0,
  encoders: observation_encoders.Encoders | None = (
    observation_encoders.DEFAULTS
  ),
) -> actor_distribution_network.ActorDistributionNetwork:
  """Creates an `ActorDistributionNetwork` with tanh layers.

  The distribution of continuous actions is a diagonal Gaussian. Its mean is a
  linear output, which is not squashed to the action spec. Its log standard
  deviation is one trainable vector, the same in every state. Both are in units
  of half the action's range, and the mean is relative to the middle of the
  range: one inner step size then suits small and large actions alike. The
  distribution of integer actions is one Categorical a dimension, over all
  values of the spec.

  The layers read the parts of the observation flattened and joined. Pictures
  pass through convolutions and small ranges of integers become one-hot: see
  `observation_encoders.create`.

  Args:
    observation_spec: A nest of `TensorSpec`.
    action_spec: A nest of `BoundedTensorSpec`.
    fc_layer_params: The number of units of each layer.
    initial_stddev: The initial standard deviation, in units of half the
      action's range.
    min_stddev: The smallest standard deviation, in the same units. Adaptation
      changes the standard deviation too and must not collapse it.
    context_size: The size of a learned context vector, which the network
      appends to the observation. CAVIA (arXiv:1810.03642) adapts the context
      vector alone: InnerLoop.adapts = @names_match(), names_match.pattern =
      'context'.
    encoders: Keras layers that replace the default encoders of parts of the
      observation: a mapping from paths to layers, such as {'camera':
      @PictureEncoder()}; for an observation that is a single tensor, a layer.

  Returns:
    The network.

  Raises:
    ValueError: A number is out of range, an action has too many choices, or
      `encoders` does not fit the observation.
  """
  fc_layer_params = layer_units(fc_layer_params)
  checks.integer('context_size', context_size, 0, checks.MAX_SIZE)
  checks.number('min_stddev', min_stddev, above=0)
  checks.number('initial_stddev', initial_stddev, above=min_stddev)

  preprocessing, joined = observation_encoders.create(
    observation_spec, encoders, context_size
  )

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
    preprocessing_layers=preprocessing,
    # Runs of older versions record the default of an argument not given.
    **({'preprocessing_combiner': joined} if joined else {}),
    fc_layer_params=fc_layer_params,
    activation_fn=tf.keras.activations.tanh,
    discrete_projection_net=discrete_projection_network.create,
    continuous_projection_net=projection,
  )


def layer_units(fc_layer_params: Sequence[int]) -> tuple[int, ...]:
  """Checks the numbers of units of layers and returns them as a tuple.

  Raises:
    ValueError: They are not positive integers, or their weights exceed the
      memory of this machine.
  """
  is_sequence = isinstance(fc_layer_params, Sequence | np.ndarray)
  if not is_sequence or isinstance(fc_layer_params, str):
    raise ValueError(
      f'fc_layer_params is {plain_texts.of(fc_layer_params)}: give the units of'
      ' each layer, such as (64, 64)'
    )
  layers = tuple(
    checks.integer('fc_layer_params', units, 1, checks.MAX_SIZE)
    for units in fc_layer_params
  )
  memory.check(
    f'the weights of fc_layer_params = {layers}',
    4 * (sum(layers) + sum(a * b for a, b in itertools.pairwise(layers))),
    'give fewer units',
  )
  return layers


def _middle_and_half_range(
  spec: tensor_spec.BoundedTensorSpec,
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the middle and half range of each action dimension.

  They are 0 and 1 where the action has no bounds. A dimension without a range,
  such as that of a locked joint, gets a small range, because a scale of 0 has
  no density.
  """
  dtype = spec.dtype.as_numpy_dtype
  limits = np.finfo(dtype)
  half = np.asarray(spec.maximum / 2 - spec.minimum / 2, dtype)
  # The bounds of an unbounded action are the limits of its dtype.
  bounded = half < limits.max / 4
  middle = np.where(bounded, spec.minimum, 0) + np.where(bounded, half, 0)
  smallest = 0.01 * np.maximum(np.abs(middle), 1)
  half = np.where(half < limits.tiny, smallest, half)
  return middle.astype(dtype), np.where(bounded, half, 1).astype(dtype)
