"""Checks that a policy can act in an environment; else one line says why."""

import warnings

import numpy as np
import tensorflow as tf
from tf_agents.environments import py_environment
from tf_agents.policies import tf_policy


def check_match(
  environment: py_environment.PyEnvironment, policy: tf_policy.TFPolicy
) -> None:
  """Compares an environment's specs with those that a policy was made for.

  Structure and shapes must be equal; integers must match integers, and floats
  floats. The bounds of integer actions must be equal too. A warning tells of
  other bounds that differ: those of continuous actions, which are clipped to
  the environment's, and those of integer observations, of which the policy may
  not know all.

  Args:
    environment: The environment, batched or not.
    policy: The policy.

  Raises:
    ValueError: They do not match; the message shows both.
  """
  for name, theirs, ours, matches in (
    (
      'observations',
      environment.observation_spec(),
      policy.time_step_spec.observation,
      _same_kind,
    ),
    (
      'actions',
      environment.action_spec(),
      policy.action_spec,
      _same_choices,
    ),
  ):
    if not _match(theirs, ours, matches):
      raise ValueError(
        f"the environment's {name} are {_describe(theirs)}, but the policy's"
        f' are {_describe(ours)}: give an environment like the one it was'
        ' trained on'
      )
  for name, theirs, ours, consequence in (
    (
      'observations',
      environment.observation_spec(),
      policy.time_step_spec.observation,
      'the policy has not been trained on all of them',
    ),
    (
      'actions',
      environment.action_spec(),
      policy.action_spec,
      "an action is clipped to the environment's",
    ),
  ):
    for their, our in zip(tf.nest.flatten(theirs), tf.nest.flatten(ours)):
      if not _within(their, our) and (name == 'actions' or _is_integer(our)):
        warnings.warn(
          f"the environment's {name} are from {_number(their.minimum)} to"
          f" {_number(their.maximum)}, the policy's from"
          f' {_number(our.minimum)} to {_number(our.maximum)}: {consequence}',
          stacklevel=3,
        )


def _match(theirs, ours, matches):
  try:
    tf.nest.assert_same_structure(theirs, ours)
  except (ValueError, TypeError):
    return False
  return all(
    matches(a, b)
    for a, b in zip(tf.nest.flatten(theirs), tf.nest.flatten(ours))
  )


def _same_kind(theirs, ours):
  return tuple(theirs.shape) == tuple(ours.shape) and (
    _is_integer(theirs) == _is_integer(ours)
  )


def _same_choices(theirs, ours):
  if not _same_kind(theirs, ours):
    return False
  return not _is_integer(theirs) or _same_bounds(theirs, ours)


def _same_bounds(theirs, ours):
  if not (hasattr(theirs, 'minimum') and hasattr(ours, 'minimum')):
    return True
  return bool(
    np.all(np.equal(theirs.minimum, ours.minimum))
    and np.all(np.equal(theirs.maximum, ours.maximum))
  )


def _within(theirs, ours):
  """Whether they are the same bounds, or of integers narrower ones."""
  if _same_bounds(theirs, ours):
    return True
  return _is_integer(theirs) and bool(
    np.all(np.greater_equal(theirs.minimum, ours.minimum))
    and np.all(np.less_equal(theirs.maximum, ours.maximum))
  )


def _is_integer(spec):
  return np.issubdtype(_dtype(spec), np.integer)


def _dtype(spec):
  return tf.as_dtype(spec.dtype).as_numpy_dtype


def _describe(specs):
  """Describes a nest of specs in one line, without their default names."""

  def describe(spec):
    text = f'{np.dtype(_dtype(spec)).name} {list(spec.shape)}'
    if _is_integer(spec) and hasattr(spec, 'minimum'):
      text += f' from {_number(spec.minimum)} to {_number(spec.maximum)}'
    return text

  return str(tf.nest.map_structure(describe, specs)).replace("'", '')


def _number(bound):
  values = np.unique(bound)
  return str(values[0]) if values.size == 1 else np.asarray(bound).tolist()
