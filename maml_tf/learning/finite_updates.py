"""An update is taken only if every number that it made is finite."""

from collections.abc import Iterable
from collections.abc import Sequence

import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import finite_checks


def finite_tasks(per_task: types.NestedTensor) -> types.Tensor:
  """Returns 1 for tasks of a nest [B, ...] that are finite, else 0; [B]."""
  leaves = [
    tf.reduce_all(tf.math.is_finite(t), axis=list(range(1, t.shape.rank)))
    for t in tf.nest.flatten(per_task)
  ]
  return tf.cast(tf.reduce_all(tf.stack(leaves), axis=0), tf.float32)


def in_all(parts: Iterable[types.Tensor]) -> types.Tensor:
  """Returns which tasks are finite in all of several tensors [B]."""
  return tf.reduce_min(tf.stack(list(parts)), axis=0)


def restore_unless_finite(
  variables: Sequence[tf.Variable],
  before: Sequence[types.Tensor],
  tasks: types.Tensor,
  reported: types.NestedTensor,
) -> types.Tensor:
  """Takes an update back if a number of it is not finite.

  Args:
    variables: Everything that the update has changed.
    before: Their values before it.
    tasks: A tensor [B], over all replicas: 1 for finite tasks, else 0.
    reported: A nest of tensors: what the update reports.

  Returns:
    1 if the update is taken, 0 if the variables are as before.
  """
  is_taken = tf.reduce_min(tasks) > 0
  for value in (*variables, *tf.nest.flatten(reported)):
    if value.dtype.is_floating:
      is_taken &= tf.reduce_all(tf.math.is_finite(value))
  for variable, old in zip(variables, before):
    # No branch: replicas cannot assign inside one.
    variable.assign(tf.where(is_taken, variable, old))
  return tf.cast(is_taken, tf.float32)


def check_policy_state(policy_state: Sequence[types.Tensor]) -> None:
  """Makes sure that adapted parameters, leaves [B, ...], are finite.

  Raises:
    finite_checks.NonFiniteError: They are not; it names the first task.
  """
  finding = finite_checks.find(
    {'adapted parameters': [p.numpy() for p in policy_state]}
  )
  if finding is not None:
    raise finite_checks.NonFiniteError(
      finding.quantity, finding.task, count=finding.count
    )
