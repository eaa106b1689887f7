"""Updates of the meta-parameters: optimizer steps and Reptile."""

from typing import NamedTuple
from typing import Protocol

import gin
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import checks
from maml_tf.learning import finite_updates
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_problem
from maml_tf.learning import repetition


class UpdateInfo(NamedTuple):
  """The report of an update.

  Attributes:
    metrics: The `TaskLoss` before the last optimizer step.
    gradient_norm: Global norm of the last gradient, before clipping.
    learning_rate: The optimizer's learning rate. For a trust region, the factor
      that multiplied the direction.
    finite_tasks: A tensor [B] of this replica's tasks: 1 if the task's loss and
      gradient were finite at every optimizer step, else 0.
  """

  metrics: types.NestedTensor
  gradient_norm: types.Tensor
  learning_rate: types.Tensor
  finite_tasks: types.Tensor


class MetaUpdate(Protocol):
  """Changes the meta-parameters by one meta-batch.

  Attributes:
    learning_rate: A scalar tensor, for the metrics.
    variables_tuple: The update's own variables, such as an optimizer's slots.
  """

  learning_rate: types.Tensor
  variables_tuple: tuple[tf.Variable, ...]

  def build(self, theta: inner_loop_lib.Theta) -> None:
    """Creates the update's own variables, given those of theta."""

  def __call__(
    self, theta: inner_loop_lib.Theta, problem: meta_problem.MetaProblem
  ) -> UpdateInfo:
    """Changes the variables of theta."""
    ...


@gin.configurable
class GradientUpdate(tf.Module):
  """Takes several optimizer steps on one meta-batch.

  Each step computes the gradient anew.
  """

  def __init__(
    self,
    optimizer: tf.keras.optimizers.Optimizer,
    num_steps: int = 5,
    max_gradient_norm: float | None = None,
    name: str | None = None,
  ):
    """Stores the settings.

    Args:
      optimizer: A Keras optimizer. A schedule of its learning rate counts
        optimizer steps: num_steps of them for each meta-iteration.
      num_steps: K, the number of optimizer steps per meta-iteration.
      max_gradient_norm: The largest global norm of a gradient; a larger one is
        scaled down to it. None: no limit.
      name: The name of the module.

    Raises:
      ValueError: A number is out of range.
    """
    super().__init__(name=name)
    checks.integer('num_steps', num_steps, 1, checks.MAX_UNROLLED_STEPS)
    if max_gradient_norm is not None:
      checks.number('max_gradient_norm', max_gradient_norm, above=0)
    if not isinstance(optimizer, tf.keras.optimizers.Optimizer):
      raise ValueError(
        f'optimizer is {optimizer!r}: give an optimizer of tf.keras.optimizers,'
        ' and not of its legacy module'
      )
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

  def build(self, theta: inner_loop_lib.Theta) -> None:
    """Creates the optimizer's slots."""
    self._optimizer.build(tf.nest.flatten(theta))

  def __call__(
    self, theta: inner_loop_lib.Theta, problem: meta_problem.MetaProblem
  ) -> UpdateInfo:
    """Changes the variables of theta.

    Args:
      theta: The meta-parameters, variables.
      problem: One meta-batch as functions of theta.

    Returns:
      An `UpdateInfo`.
    """
    if problem.in_loop:
      return self._take_in_loop(theta, problem)
    finite_tasks = []
    for _ in range(self._num_steps):
      metrics, gradients, finite = problem.gradient(_values(theta))
      norm = self._apply(gradients, theta)
      finite_tasks.append(finite)
    return UpdateInfo(
      metrics, norm, self.learning_rate, finite_updates.in_all(finite_tasks)
    )

  def _take_in_loop(self, theta, problem):
    """Does the same in a loop, whose body XLA compiles once."""

    def step(_, before):
      metrics, gradients, finite = problem.gradient(_values(theta))
      norm = self._apply(gradients, theta)
      return metrics, norm, finite_updates.in_all([before[-1], finite])

    metrics, _, finite = repetition.zeros_like_result(
      lambda: problem.gradient(_values(theta))
    )
    norm = tf.zeros([], tf.nest.flatten(theta)[0].dtype)
    metrics, norm, finite_tasks = repetition.repeat(
      step, (metrics, norm, tf.ones_like(finite)), self._num_steps, in_loop=True
    )
    return UpdateInfo(metrics, norm, self.learning_rate, finite_tasks)

  def _apply(self, gradients, theta):
    """Takes an optimizer step; returns the gradient's norm before clipping."""
    gradients = tf.nest.flatten(gradients)
    norm = tf.linalg.global_norm(gradients)
    if self._max_gradient_norm is not None:
      gradients, _ = tf.clip_by_global_norm(
        gradients, self._max_gradient_norm, norm
      )
    # The gradients are already means over replicas: clipping needs the norm of
    # the whole gradient.
    self._optimizer.apply_gradients(
      zip(gradients, tf.nest.flatten(theta)), skip_gradients_aggregation=True
    )
    return norm


@gin.configurable
class ReptileUpdate(tf.Module):
  """Moves the meta-parameters towards the adapted ones (arXiv:1803.02999).

      theta <- theta + step size * mean over tasks of (phi - theta)

  Reptile computes no meta-gradient. The outer loss is only reported.
  """

  def __init__(self, step_size: float = 0.1, name: str | None = None):
    """Stores the settings.

    Args:
      step_size: The share of the way to the adapted parameters, in (0, 1].
      name: The name of the module.

    Raises:
      ValueError: The step size is out of range.
    """
    super().__init__(name=name)
    self._step_size = checks.number('step_size', step_size, above=0, maximum=1)

  @property
  def learning_rate(self) -> types.Tensor:
    """The step size."""
    return tf.constant(self._step_size, tf.float32)

  @property
  def variables_tuple(self) -> tuple[tf.Variable, ...]:
    """Empty: the update has no variables."""
    return ()

  def build(self, theta: inner_loop_lib.Theta) -> None:
    """Does nothing: the update has no variables."""

  def __call__(
    self, theta: inner_loop_lib.Theta, problem: meta_problem.MetaProblem
  ) -> UpdateInfo:
    """Changes the variables of theta.

    Args:
      theta: The meta-parameters, variables.
      problem: One meta-batch as functions of theta.

    Returns:
      An `UpdateInfo`. Its gradient norm is that of the mean of phi - theta.
    """
    metrics, direction, finite_tasks = problem.reptile_direction(_values(theta))
    direction = tf.nest.flatten(direction)
    for variable, change in zip(tf.nest.flatten(theta), direction):
      variable.assign_add(self._step_size * change)
    return UpdateInfo(
      metrics,
      tf.linalg.global_norm(direction),
      self.learning_rate,
      finite_tasks,
    )


def _values(theta):
  return tf.nest.map_structure(tf.identity, theta)
