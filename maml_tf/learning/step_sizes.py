"""Step sizes of the inner loop: fixed, or meta-learned and positive."""

from collections.abc import Sequence
import math
from typing import Protocol
from typing import cast

import gin
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import checks


class StepSizes(Protocol):
  """The step sizes of the parameters that adapt.

  Attributes:
    variables_tuple: The learned variables, which are meta-parameters; empty if
      the step sizes are fixed.
  """

  variables_tuple: tuple[tf.Variable, ...]

  def build(self, variables: Sequence[tf.Variable], num_steps: int) -> None:
    """Creates the learned variables.

    Args:
      variables: The variables that adapt.
      num_steps: X, the number of adaptation steps.
    """

  def at(
    self, values: tuple[types.Tensor, ...], step: types.Int
  ) -> tuple[types.Tensor, ...]:
    """Computes the step sizes of one adaptation step of one task.

    Args:
      values: Tensors like `variables_tuple`, without a batch axis.
      step: The index of the adaptation step, from 0: an integer or a scalar
        integer tensor. Steps after the X-th use the step sizes of the X-th.

    Returns:
      One step size for each variable that adapts: a scalar, or a tensor of the
      variable's shape. It multiplies the gradient.
    """
    ...


def from_setting(step_size: 'float | StepSizes') -> StepSizes:
  """Returns `StepSizes` unchanged; makes them from a number.

  Args:
    step_size: `StepSizes`, or a positive number: a fixed step size.

  Raises:
    ValueError: It is a number that is not positive, or neither of the two.
  """
  if hasattr(step_size, 'at'):
    return cast(StepSizes, step_size)
  return FixedStepSize(cast(float, step_size))


class FixedStepSize(tf.Module):
  """One fixed step size for all parameters and steps.

  Attributes:
    value: The step size.
    variables_tuple: Empty.
  """

  variables_tuple = ()

  def __init__(self, value: float):
    """Stores the step size.

    Args:
      value: The step size.

    Raises:
      ValueError: The step size is not positive.
    """
    super().__init__()
    self.value = checks.number('step_size', value, above=0)

  def build(self, variables, num_steps):
    del num_steps
    self._num_variables = len(variables)

  def at(self, values, step):
    del values, step
    return (self.value,) * self._num_variables


class _LearnedStepSizes(tf.Module):
  """The logarithms of step sizes, with one initial value for all."""

  def __init__(self, initial_value: float = 0.1):
    """Stores the initial value.

    Args:
      initial_value: The initial step size.

    Raises:
      ValueError: The step size is not positive.
    """
    super().__init__()
    self._log_initial = math.log(
      checks.number('initial_value', initial_value, above=0)
    )
    self.variables_tuple = ()


@gin.configurable
class ParameterStepSizes(_LearnedStepSizes):
  """A learned step size for every element of every variable.

  This is Meta-SGD (arXiv:1707.09835). The logarithms of the step sizes are
  learned, so that the step sizes stay positive. For each variable there is one
  tensor of the variable's shape.
  """

  def build(self, variables, num_steps):
    del num_steps
    self.variables_tuple = tuple(
      tf.Variable(tf.cast(tf.fill(v.shape, self._log_initial), v.dtype))
      for v in variables
    )

  def at(self, values, step):
    del step
    return tuple(tf.exp(v) for v in values)


@gin.configurable
class LayerStepSizes(_LearnedStepSizes):
  """A learned step size for every variable and adaptation step.

  These are MAML++'s per-layer per-step learning rates (arXiv:1810.09502). The
  logarithms of the step sizes are learned, so that the step sizes stay
  positive. For each variable there is one tensor [X]. If X is 0 it is [1]:
  steps that are taken after training use its initial value.
  """

  def build(self, variables, num_steps):
    self._num_sizes = max(num_steps, 1)
    self.variables_tuple = tuple(
      tf.Variable(
        tf.cast(tf.fill([self._num_sizes], self._log_initial), v.dtype)
      )
      for v in variables
    )

  def at(self, values, step):
    last = self._num_sizes - 1
    if isinstance(step, int):
      return tuple(tf.exp(v[min(step, last)]) for v in values)
    return tuple(tf.exp(tf.gather(v, tf.minimum(step, last))) for v in values)
