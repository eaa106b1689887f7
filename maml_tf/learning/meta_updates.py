"""How the outer loss is minimised."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple
from typing import Protocol

import gin
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import checks

Theta = tuple[types.Tensor, ...]


class MetaProblem(NamedTuple):
  """What an update may ask of one meta-batch.

  Every function takes theta, tensors like the meta-parameters, and answers with
  means over all tasks, the same on all replicas.

  Attributes:
    gradient: theta -> (metrics, gradient of the outer loss).
    loss_and_kl: theta -> (outer loss, mean KL(behaviour || adapted policy) on
      the query stage, nats).
    kl_hvp: (theta, vector) -> the Hessian of that KL times the vector.
    reptile_direction: theta -> (metrics, phi - theta after adaptation to all
      stages, the query too).
  """

  gradient: Callable[[Theta], tuple[types.NestedTensor, Theta]]
  loss_and_kl: Callable[[Theta], tuple[types.Tensor, types.Tensor]]
  kl_hvp: Callable[[Theta, Theta], Theta]
  reptile_direction: Callable[[Theta], tuple[types.NestedTensor, Theta]]


class UpdateInfo(NamedTuple):
  """What an update reports.

  Attributes:
    metrics: What the gradient function returned at the last optimizer step.
    gradient_norm: Global norm of the last gradient, before clipping.
    learning_rate: The optimizer's; of a trust region, what the direction was
      multiplied by.
  """

  metrics: types.NestedTensor
  gradient_norm: types.Tensor
  learning_rate: types.Tensor


class MetaUpdate(Protocol):
  """Changes the meta-parameters by one meta-batch.

  Attributes:
    learning_rate: A scalar tensor, for the record.
    variables_tuple: What it keeps for the meta-parameters.
  """

  learning_rate: types.Tensor
  variables_tuple: tuple[tf.Variable, ...]

  def build(self, variables: Sequence[tf.Variable]) -> None:
    """Creates what the update keeps for each meta-parameter."""

  def __call__(
    self, variables: Sequence[tf.Variable], problem: MetaProblem
  ) -> UpdateInfo:
    """Changes the variables."""


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
    checks.integer('num_steps', num_steps, 1, checks.MAX_UNROLLED_STEPS)
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

  @property
  def variables_tuple(self) -> tuple[tf.Variable, ...]:
    """The optimizer's slots and counter."""
    return tuple(self._optimizer.variables)

  def build(self, variables: Sequence[tf.Variable]) -> None:
    """Creates the optimizer's slots."""
    self._optimizer.build(variables)

  def __call__(
    self, variables: Sequence[tf.Variable], problem: MetaProblem
  ) -> UpdateInfo:
    """Changes the variables.

    Args:
      variables: The meta-parameters.
      problem: Of one meta-batch.

    Returns:
      An `UpdateInfo`.
    """
    for _ in range(self._num_steps):
      metrics, gradients = problem.gradient(_values(variables))
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


@gin.configurable
class ReptileUpdate(tf.Module):
  """Moves the meta-parameters towards the adapted ones (arXiv:1803.02999).

    theta <- theta + step size * mean over tasks of (phi - theta)

  No meta-gradient: the outer loss is only reported.
  """

  def __init__(self, step_size: float = 0.1, name: str | None = None):
    """Sets the update.

    Args:
      step_size: In (0, 1].
      name: The name of the module.

    Raises:
      ValueError: It is out of range.
    """
    super().__init__(name=name)
    self._step_size = checks.number('step_size', step_size, above=0, maximum=1)

  @property
  def learning_rate(self) -> types.Tensor:
    """The step size."""
    return tf.constant(self._step_size, tf.float32)

  @property
  def variables_tuple(self) -> tuple[tf.Variable, ...]:
    """Empty: there are no slots."""
    return ()

  def build(self, variables: Sequence[tf.Variable]) -> None:
    """Does nothing: there are no slots."""

  def __call__(
    self, variables: Sequence[tf.Variable], problem: MetaProblem
  ) -> UpdateInfo:
    """Changes the variables.

    Args:
      variables: The meta-parameters.
      problem: Of one meta-batch.

    Returns:
      An `UpdateInfo`, whose gradient is minus the mean of phi - theta.
    """
    metrics, reptile_direction = problem.reptile_direction(_values(variables))
    for variable, change in zip(variables, reptile_direction):
      variable.assign_add(self._step_size * change)
    return UpdateInfo(
      metrics, tf.linalg.global_norm(reptile_direction), self.learning_rate
    )


def _values(variables):
  return tuple(tf.identity(v) for v in variables)
