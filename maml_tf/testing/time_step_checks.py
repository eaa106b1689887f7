"""Checks of single time steps and of their order."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts

from maml_tf.testing import check_case
from maml_tf.testing import time_steps
from maml_tf.testing import violations


def check_time_steps(case: check_case.Case) -> list[ts.TimeStep]:
  """Plays; checks structure, shapes, dtypes and numbers; returns a record."""
  observation_spec = case.environment.observation_spec()
  num_rows = case.environment.batch_size

  def visit(t, time_step):
    del t
    _check_structure(case, time_step.observation, observation_spec)
    observation = zip(
      time_steps.leaves(time_step.observation, 'observation'),
      time_steps.leaves(observation_spec),
    )
    for (path, array), (_, spec) in observation:
      _check_array(case, path, array, (num_rows, *spec.shape), spec.dtype)
      if isinstance(spec, array_spec.BoundedArraySpec) and (
        (array < spec.minimum).any() or (array > spec.maximum).any()
      ):
        violations.warn(
          case.name, f'{path} leaves its bounds', 'widen its spec'
        )
    for field, dtype in (
      ('reward', np.float32),
      ('discount', np.float32),
      ('step_type', np.int32),
    ):
      _check_array(case, field, getattr(time_step, field), (num_rows,), dtype)
    for field in ('success', 'discarded'):
      flags = getattr(case.environment, field)
      if flags is None and field == 'success':
        continue
      violations.require(
        isinstance(flags, np.ndarray)
        and flags.shape == (num_rows,)
        and flags.dtype == bool,
        case.name,
        f'{field} is not a bool array of shape {(num_rows,)}',
        'return one',
      )

  return time_steps.play(
    case.environment, case.tasks, case.keys, case.actions, visit
  )


def _check_structure(case, observation, spec):
  try:
    tf.nest.assert_same_structure(observation, spec)
  except (TypeError, ValueError):
    given, expected = (
      [path for path, _ in time_steps.leaves(nest, 'observation')]
      for nest in (observation, spec)
    )
    violations.fail(
      case.name,
      f'the observation has the parts {given}, its spec {expected}',
      'return the nest that observation_spec describes',
    )


def _check_array(case, path, array, shape, dtype):
  """Checks one array of a time step."""
  violations.require(
    isinstance(array, np.ndarray),
    case.name,
    f'{path} is a {type(array).__name__}',
    'return an array',
  )
  violations.require(
    array.shape == shape,
    case.name,
    f'{path} has the shape {array.shape}, expected {shape}',
    'one value for each row: see _reset_rows and _advance',
  )
  violations.require(
    array.dtype == dtype,
    case.name,
    f'{path} has the dtype {array.dtype}, expected {np.dtype(dtype)}',
    f'convert it, e.g. with astype(np.{np.dtype(dtype)})',
  )
  violations.require(
    array.flags.writeable,
    case.name,
    f'{path} is read-only',
    'return a new array at every call, e.g. a copy',
  )
  if array.dtype.kind == 'f':
    violations.require(
      np.isfinite(array).all(),
      case.name,
      f'{path} of row {_first_row(~np.isfinite(array))} is not finite',
      'end the episode before numbers overflow',
    )


def check_order(case: check_case.Case, played: Sequence[ts.TimeStep]) -> None:
  """Checks step types, the horizon, and rewards and discounts at the ends."""
  horizon = case.environment.horizon
  ages = np.zeros(case.environment.batch_size, int)
  ended = np.ones(case.environment.batch_size, bool)
  at_horizon = []
  for t, time_step in enumerate(played):
    step_type, discount = time_step.step_type, time_step.discount
    ages = np.where(ended, 0, ages + 1)
    rules = (
      (
        ended & (step_type != check_case.FIRST),
        'is not FIRST after LAST',
        'the step after the end of an episode resets the row',
      ),
      (
        ~ended & ~np.isin(step_type, (check_case.MID, check_case.LAST)),
        'is neither MID nor LAST within an episode',
        'only the step after LAST resets a row',
      ),
      (
        ~ended & (ages >= horizon) & (step_type != check_case.LAST),
        f'is not LAST after {horizon} steps, the horizon',
        'leave the horizon to TaskEnvironment',
      ),
    )
    for wrong, what, remedy in rules:
      violations.require(
        not wrong.any(),
        case.name,
        f'the step type of row {_first_row(wrong)} {what}',
        remedy,
      )
    first = step_type == check_case.FIRST
    for wrong, what, remedy in (
      (
        first & (time_step.reward != 0),
        'has a reward at its reset',
        'the reward of FIRST is 0',
      ),
      (
        (step_type != check_case.LAST) & (discount != 1),
        'has a discount other than 1 before its end',
        'only termination has the discount 0; gamma is MamlAgent.discount',
      ),
      (
        (discount != 0) & (discount != 1),
        'ends with a discount other than 0 or 1',
        'a terminated episode has 0, a truncated one 1',
      ),
    ):
      violations.require(
        not wrong.any(), case.name, f'row {_first_row(wrong)} {what}', remedy
      )
    ended = step_type == check_case.LAST
    at_horizon += discount[ended & (ages == horizon)].tolist()
    del t
  if horizon > 1 and len(at_horizon) > 1 and not any(at_horizon):
    violations.warn(
      case.name,
      'every episode that reached the horizon terminated there, so that its'
      ' last state counts as worth nothing',
      'let _advance return terminated = False when only time is over',
    )


def _first_row(wrong):
  return int(np.argwhere(wrong)[0][0]) if wrong.any() else None
