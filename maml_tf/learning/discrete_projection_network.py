"""The head of a policy network for integer actions of any bounds."""

import numpy as np
import tensorflow as tf
from tf_agents.networks import categorical_projection_network
from tf_agents.networks import network
from tf_agents.networks import utils
from tf_agents.specs import distribution_spec
from tf_agents.specs import tensor_spec
from tf_agents.typing import types

from maml_tf.core import discrete_actions

# The most choices of one dimension: those of two bytes.
_MAX_CHOICES = 2**16
# That of TF-Agents' `ActorDistributionNetwork`.
_INITIAL_SCALE = 0.1


def create(spec: tensor_spec.BoundedTensorSpec) -> network.DistributionNetwork:
  """Creates the head for one part of an action.

  It is TF-Agents' `CategoricalProjectionNetwork` where that suffices: all
  dimensions start at 0 and have equally many choices.

  Args:
    spec: The part's spec, of an integer type and of shape [A] or [].

  Returns:
    A network, whose output is a Categorical of batch shape [N, A] or [N].

  Raises:
    ValueError: A dimension has too many choices.
  """
  num_choices = _num_choices(spec)
  if (
    spec.dtype in (tf.int32, tf.int64)
    and not np.any(spec.minimum)
    and np.unique(num_choices).size == 1
  ):
    return categorical_projection_network.CategoricalProjectionNetwork(
      spec, logits_init_output_factor=_INITIAL_SCALE
    )
  return DiscreteProjectionNetwork(spec)


class DiscreteProjectionNetwork(network.DistributionNetwork):
  """One Categorical a dimension, whose choices are the values of the spec."""

  def __init__(
    self,
    sample_spec: tensor_spec.BoundedTensorSpec,
    # A part of the variables' names, by which `names_match` selects the head.
    name: str = 'CategoricalProjectionNetwork',
  ):
    """Creates the layer.

    Args:
      sample_spec: The spec of the values, of an integer type.
      name: The name of the network.

    Raises:
      ValueError: A dimension has too many choices.
    """
    num_choices = _num_choices(sample_spec)
    self._output_shape = [*sample_spec.shape, int(np.max(num_choices))]
    minimum, maximum = (
      np.broadcast_to(bound, sample_spec.shape).astype(np.int64)
      for bound in (sample_spec.minimum, sample_spec.maximum)
    )
    logits_spec = tensor_spec.TensorSpec(
      self._output_shape, tf.float32, f'{name}_logits'
    )
    super().__init__(
      input_tensor_spec=None,
      state_spec=(),
      output_spec=distribution_spec.DistributionSpec(
        discrete_actions.BoundedCategorical,
        {'logits': logits_spec},
        sample_spec=sample_spec,
        minimum=minimum,
        maximum=maximum,
        dtype=sample_spec.dtype,
      ),
      name=name,
    )
    self._projection_layer = tf.keras.layers.Dense(
      int(np.prod(self._output_shape)),
      kernel_initializer=tf.keras.initializers.VarianceScaling(_INITIAL_SCALE),
      name='logits',
    )

  def call(
    self,
    inputs: types.Tensor,
    outer_rank: int,
    training: bool = False,
    mask: types.Tensor | None = None,
  ) -> tuple[types.Distribution, tuple[()]]:
    if mask is not None:
      raise NotImplementedError('masks of actions are not supported')
    batch_squash = utils.BatchSquash(outer_rank)
    logits = self._projection_layer(
      batch_squash.flatten(inputs), training=training
    )
    logits = batch_squash.unflatten(
      tf.reshape(logits, [-1, *self._output_shape])
    )
    return self.output_spec.build_distribution(logits=logits), ()


def _num_choices(spec):
  """Returns the number of choices of each dimension, an integer array [A].

  Raises:
    ValueError: A dimension has too many choices.
  """
  # Python's integers: the difference of two int64 may exceed an int64.
  minimum, maximum = (
    np.asarray(bound).astype(object) for bound in (spec.minimum, spec.maximum)
  )
  num_choices = np.asarray(maximum - minimum + 1)
  largest = max(num_choices.ravel(), default=1)
  if largest > _MAX_CHOICES:
    raise ValueError(
      f'{spec.name or "the action"} has {largest} choices in one dimension:'
      f' give bounds with at most {_MAX_CHOICES}, or float actions, which the'
      ' environment rounds'
    )
  return num_choices.astype(np.int64)
