"""How the outer loss is minimised."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

import gin
import tensorflow as tf
from tf_agents.typing import types

from maml_tf import checks

GradientFn = Callable[[], tuple[types.NestedTensor, Sequence[types.Tensor]]]


class UpdateInfo(NamedTuple):
  """What an update reports.

  Attributes:
    metrics: What the gradient function returned at the last optimizer step.
    gradient_norm: Global norm of the last gradient, before clipping.
    learning_rate: The optimizer's.
  """

  metrics: types.NestedTensor
  gradient_norm: types.Tensor
  learning_rate: types.Tensor


@gin.configurable
class GradientUpdate(tf.Module):
  """Several optimizer steps on one meta-batch, each on a fresh gradient."""

  def __init__(
    self,
    optimizer: tf.keras.optimizers.Optimizer,
    num_steps: int = 5,
    max_gradient_norm: float | None = None,
    name: str | None = None,
  ):
    """Sets the update.

    Args:
      optimizer: A Keras optimizer.
      num_steps: K, optimizer steps a meta-iteration.
      max_gradient_norm: Gradients are scaled to at most this global norm. None:
        never.
      name: The name of the module.

    Raises:
      ValueError: A number is out of range.
    """
    super().__init__(name=name)
    checks.integer('num_steps', num_steps, 1)
    if max_gradient_norm is not None:
      checks.number('max_gradient_norm', max_gradient_norm, above=0)
    if not isinstance(optimizer, tf.keras.optimizers.Optimizer):
      raise ValueError(f'optimizer is {optimizer!r}: give a Keras optimizer')
    self._optimizer = optimizer
    self._num_steps = num_steps
    self._max_gradient_norm = max_gradient_norm
    checks.number('learning_rate', float(self.learning_rate), above=0)

  @property
  def learning_rate(self) -> types.Tensor:
    """The optimizer's learning rate."""
    return tf.convert_to_tensor(self._optimizer.learning_rate)

  def build(self, variables: Sequence[tf.Variable]) -> None:
    """Creates the optimizer's slots."""
    self._optimizer.build(variables)

  def __call__(
    self, variables: Sequence[tf.Variable], gradient_fn: GradientFn
  ) -> UpdateInfo:
    """Changes the variables.

    Args:
      variables: The meta-parameters.
      gradient_fn: Returns (metrics, gradients) at the variables' present
        values, the same on all replicas.

    Returns:
      An `UpdateInfo`.
    """
    for _ in range(self._num_steps):
      metrics, gradients = gradient_fn()
      norm = tf.linalg.global_norm(gradients)
      if self._max_gradient_norm is not None:
        gradients, _ = tf.clip_by_global_norm(
          gradients, self._max_gradient_norm, norm
        )
      # The gradients are reduced already: clipping must see the whole one.
      self._optimizer.apply_gradients(
        zip(gradients, variables), skip_gradients_aggregation=True
      )
    return UpdateInfo(metrics, norm, self.learning_rate)
