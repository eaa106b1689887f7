"""Undoes an update unless every number that it computed is finite."""

from collections.abc import Iterable
from collections.abc import Sequence

import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import finite_checks


def finite_tasks(per_task: types.NestedTensor) -> types.Tensor:
  """Finds the tasks whose numbers are all finite.

  Args:
    per_task: A nest of tensors [B, ...].

  Returns:
    A float32 tensor [B]: 1 for finite tasks, else 0.
  """
  leaves = [
    tf.reduce_all(tf.math.is_finite(t), axis=list(range(1, t.shape.rank)))
    for t in tf.nest.flatten(per_task)
  ]
  return tf.cast(tf.reduce_all(tf.stack(leaves), axis=0), tf.float32)


def in_all(parts: Iterable[types.Tensor]) -> types.Tensor:
  """Combines tensors [B] of 0 and 1: a task is finite if it is so in all."""
  return tf.reduce_min(tf.stack(list(parts)), axis=0)


def restore_unless_finite(
  variables: Sequence[tf.Variable],
  before: Sequence[types.Tensor],
  tasks: types.Tensor,
  reported: types.NestedTensor,
) -> types.Tensor:
  """Undoes an update if any of its numbers is not finite.

  Args:
    variables: All variables that the update has changed.
    before: Their values before the update.
    tasks: A tensor [B] of all replicas' tasks: 1 for finite tasks, else 0.
    reported: A nest of tensors: the numbers that the update reports.

  Returns:
    A scalar: 1 if the update stays, 0 if the variables have their old values.
  """
  is_taken = tf.reduce_min(tasks) > 0
  for value in (*variables, *tf.nest.flatten(reported)):
    if value.dtype.is_floating:
      is_taken &= tf.reduce_all(tf.math.is_finite(value))
  for variable, old in zip(variables, before):
    # Select without a branch: replicas cannot assign variables inside one.
    variable.assign(tf.where(is_taken, variable, old))
  return tf.cast(is_taken, tf.float32)


def check_policy_state(policy_state: Sequence[types.Tensor]) -> None:
  """Checks that adapted parameters, leaves [B, ...], are finite.

  Raises:
    finite_checks.NonFiniteError: They are not. The error names the first task
      concerned.
  """
  finding = finite_checks.find(
    {'adapted parameters': [p.numpy() for p in policy_state]}
  )
  if finding is not None:
    raise finite_checks.NonFiniteError(
      finding.quantity, finding.task, count=finding.count
    )
