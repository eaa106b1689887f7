"""What an `AdaptedPolicy` is given, checked at the door."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types


def check_time_step(time_step: ts.TimeStep, spec: ts.TimeStep) -> None:
  """Checks that a time step has N rows.

  Args:
    time_step: Its observation and step type are looked at.
    spec: A `TimeStep` of specs, without a batch axis.

  Raises:
    ValueError: A shape is not that of N rows.
  """
  step_type = tf.TensorShape(time_step.step_type.shape)
  num_rows = _leading(step_type)
  for value, part in zip(
    tf.nest.flatten(time_step.observation), tf.nest.flatten(spec.observation)
  ):
    shape = tf.TensorShape(value.shape)
    if not shape.is_compatible_with([num_rows, *part.shape]):
      raise ValueError(
        f'the observation has shape {tuple(shape)}, expected'
        f' {_expected(num_rows, "N", part.shape)}: give a time step of N'
        ' rows, as ts.restart(observation, batch_size=N)'
      )
  if not step_type.is_compatible_with([None]):
    raise ValueError(
      f'step_type has shape {tuple(step_type)}, expected [N]: give a time'
      ' step of N rows, as ts.restart(observation, batch_size=N)'
    )


def check_policy_state(
  policy_state: Sequence[types.Tensor],
  specs: Sequence[tf.TensorSpec],
  time_step: ts.TimeStep,
) -> None:
  """Checks that a policy state has the parameters of B tasks of equal rows.

  Args:
    policy_state: Tensors.
    specs: Their specs, without the B axis.
    time_step: Leaves [N, ...].

  Raises:
    ValueError: A shape is another, or B does not divide N.
  """
  num_tasks = _leading(policy_state[0].shape)
  for value, spec in zip(policy_state, specs):
    shape = tf.TensorShape(value.shape)
    if not shape.is_compatible_with([num_tasks, *spec.shape]):
      raise ValueError(
        f'a parameter in the policy state has shape {tuple(shape)}, expected'
        f' {_expected(None, "B", spec.shape)}: give the parameters of B tasks'
      )
  num_rows = _leading(time_step.step_type.shape)
  if num_rows and num_tasks and num_rows % num_tasks:
    raise ValueError(
      f'the time step has {num_rows} rows, the policy state the parameters of'
      f' {num_tasks} tasks: give each task the same number of rows'
    )


def check_parameters(
  parameters: Sequence[types.Tensor], specs: Sequence[tf.TensorSpec]
) -> tuple[types.Tensor, ...]:
  """Returns one task's parameters as a tuple.

  Args:
    parameters: Tensors without a B axis.
    specs: Their specs.

  Raises:
    ValueError: Their number or a shape is wrong.
  """
  parameters = tuple(parameters)
  shapes = [tuple(p.shape) for p in parameters]
  expected = [tuple(s.shape) for s in specs]
  if shapes != expected:
    raise ValueError(
      f'the parameters have shapes {shapes}, expected {expected}: give those of'
      ' one task, such as tuple(p[0] for p in policy_state)'
    )
  return parameters


def to_tensors(
  name: str, nest: types.NestedTensorOrArray, spec: types.NestedTensorSpec
) -> Any:
  """Converts arrays to tensors of the spec's types.

  Args:
    name: What they are, for the message.
    nest: Tensors, which stay, and arrays.
    spec: A nest like it.

  Raises:
    ValueError: A value is not an array of numbers.
  """

  def convert(value, part):
    if tf.is_tensor(value):
      return value
    try:
      return tf.convert_to_tensor(value, part.dtype)
    except (TypeError, ValueError) as error:
      raise ValueError(
        f'{name} is not an array of {part.dtype.name}: {error}'
      ) from None

  return tf.nest.map_structure(convert, nest, spec)


def _leading(shape):
  """Returns the size of the first axis, or None if it is not known."""
  shape = tf.TensorShape(shape)
  return tf.compat.dimension_value(shape[0]) if shape.rank else None


def _expected(size, letter, shape):
  sizes = [letter if size is None else size, *shape]
  return f'[{", ".join(map(str, sizes))}]'
