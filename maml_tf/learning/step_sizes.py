"""Step sizes of the inner loop that are meta-learned, and stay positive."""

from collections.abc import Sequence
import math
from typing import Protocol
from typing import cast

import gin
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import checks


class StepSizes(Protocol):
  """Gives a step size to every parameter that adapts.

  Attributes:
    variables_tuple: What is learned: part of the meta-parameters.
  """

  variables_tuple: tuple[tf.Variable, ...]

  def build(self, variables: Sequence[tf.Variable], num_steps: int) -> None:
    """Creates what is learned, for the variables that adapt in X steps."""

  def at(
    self, values: tuple[types.Tensor, ...], step: types.Int
  ) -> tuple[types.Tensor, ...]:
    """Returns the step sizes, one for each variable that adapts.

    Args:
      values: Tensors like `variables_tuple`.
      step: The number of the adaptation step, from 0; or a scalar tensor. Steps
        after the X-th take the sizes of the X-th.
    """
    ...


def from_setting(step_size: 'float | StepSizes') -> StepSizes:
  """Returns step sizes as they are, and a number as one fixed step size."""
  if hasattr(step_size, 'at'):
    return cast(StepSizes, step_size)
  return FixedStepSize(cast(float, step_size))


class FixedStepSize(tf.Module):
  """One step size for all parameters and steps, which is not learned.

  Attributes:
    value: The step size.
    variables_tuple: Empty.
  """

  variables_tuple = ()

  def __init__(self, value: float):
    """Sets the size.

    Args:
      value: The step size.

    Raises:
      ValueError: It is not positive.
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
  """The logarithms of step sizes, all of which begin at one value."""

  def __init__(self, initial_value: float = 0.1):
    """Sets where they begin.

    Args:
      initial_value: The step size at the beginning.

    Raises:
      ValueError: It is not positive.
    """
    super().__init__()
    self._log_initial = math.log(
      checks.number('initial_value', initial_value, above=0)
    )
    self.variables_tuple = ()


@gin.configurable
class ParameterStepSizes(_LearnedStepSizes):
  """A learned step size for every number of every parameter.

  Meta-SGD (arXiv:1707.09835), of which the logarithms are learned, so that the
  sizes stay positive.
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

  MAML++'s per-layer per-step learning rates (arXiv:1810.09502), of which the
  logarithms are learned, so that the sizes stay positive.
  """

  def build(self, variables, num_steps):
    self._num_steps = num_steps
    self.variables_tuple = tuple(
      tf.Variable(tf.cast(tf.fill([num_steps], self._log_initial), v.dtype))
      for v in variables
    )

  def at(self, values, step):
    last = self._num_steps - 1
    if isinstance(step, int):
      return tuple(tf.exp(v[min(step, last)]) for v in values)
    return tuple(tf.exp(tf.gather(v, tf.minimum(step, last))) for v in values)
