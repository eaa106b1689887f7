"""Regroups what stock drivers and buffers give: rows [N, T'] to tasks [B, T].

The N = B * E rows are grouped by task (row = b * E + e) and laid end to end, so
T is E * T'. A row holds episodes of any lengths, as a stock driver records
them: transitions, the LAST -> FIRST boundary with the final observation, then
the next episode. It may begin and end in the middle of an episode.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.typing import types
from tf_agents.utils import nest_utils

from maml_tf.core import checks
from maml_tf.core import parameters as parameters_lib


def group_by_task(
  experience: trajectory.Trajectory,
  num_tasks: types.Int,
  frame_spec: trajectory.Trajectory,
) -> trajectory.Trajectory:
  """Lays the rows of each task end to end, as the losses read them.

  A piece of an episode becomes a whole one, so that nothing leaks from one row
  into the next: it begins with FIRST, and if it is cut off, its last frame
  becomes a boundary. That transition is lost, since the row does not hold the
  observation that it led to. Its own observation becomes the final one of the
  transitions before it, from whose value the advantages bootstrap. A transition
  that terminates needs no successor and stays.

  Rows of whole episodes with their boundaries do not change.

  Args:
    experience: A `Trajectory`, leaves [N, T', ...].
    num_tasks: B, which divides N.
    frame_spec: A `Trajectory` of specs of one frame.

  Returns:
    A `Trajectory`, leaves [B, T, ...].

  Raises:
    ValueError: The experience has another structure or shape.
  """
  num_tasks = _check_num_tasks(num_tasks)
  experience = validate_frames(experience, frame_spec)
  num_rows, length = (_size(experience.step_type, axis) for axis in (0, 1))
  if _are_known(num_rows, num_tasks) and num_rows % num_tasks:
    raise ValueError(
      f'experience has {num_rows} rows, which {num_tasks} tasks cannot share:'
      ' give the same number of rows for each task, grouped by task'
    )
  shape: list[Any] = [num_tasks, num_rows // num_tasks * length]
  return tf.nest.map_structure(
    lambda t: tf.reshape(t, [*shape, *t.shape[2:]]),
    _close_episodes(experience),
  )


def validate_frames(
  experience: trajectory.Trajectory,
  frame_spec: trajectory.Trajectory,
  name: str = 'experience',
) -> trajectory.Trajectory:
  """Checks that an experience has the structure that a policy records.

  Args:
    experience: A `Trajectory`, leaves [N, T', ...].
    frame_spec: A `Trajectory` of specs of one frame.
    name: Its name in messages.

  Returns:
    The experience, as tensors.

  Raises:
    ValueError: It has another structure, shape or type, or is empty.
  """
  _check_structure(experience, frame_spec, name)
  try:
    experience = tf.nest.map_structure(tf.convert_to_tensor, experience)
  except (TypeError, ValueError) as error:
    raise ValueError(f'{name} does not consist of tensors: {error}') from None
  _check_shapes(experience, frame_spec, name)
  return experience


def stage_and_state(
  experience: trajectory.Trajectory,
  policy_state: parameters_lib.Parameters,
  num_tasks: int | None,
  frame_spec: trajectory.Trajectory,
  state_spec: tuple[tf.TensorSpec, ...],
) -> tuple[trajectory.Trajectory, parameters_lib.Parameters]:
  """Returns a stage [B, T, ...] and the policy state [B, ...] that acted in it.

  Args:
    experience: A `Trajectory`, leaves [N, T', ...].
    policy_state: The parameters of each task, leaves [B, ...]; or of each row,
      leaves [N, ...], the same for all rows of a task.
    num_tasks: B. None: the number of parameter sets in the policy state.
    frame_spec: A `Trajectory` of specs of one frame.
    state_spec: Specs of the parameters of one task.

  Raises:
    ValueError: An argument has another structure or shape.
  """
  _check_state(policy_state, state_spec)
  num_sets = _size(policy_state[0])
  if num_tasks is None:
    num_tasks = num_sets
  stage = group_by_task(experience, num_tasks, frame_spec)
  num_rows = _size(experience.step_type)
  if not _are_known(num_sets, num_tasks, num_rows) or num_sets == num_tasks:
    return stage, policy_state
  if num_sets != num_rows:
    raise ValueError(
      f'policy_state has {num_sets} parameter sets: give one for each of the'
      f' {num_tasks} tasks, or one for each of the {num_rows} rows'
    )
  per_task = num_rows // num_tasks
  return stage, _take_every(per_task, policy_state)


def _check_num_tasks(num_tasks: Any) -> Any:
  """Returns the number of tasks: a tensor, or an int of at least 1."""
  if tf.is_tensor(num_tasks):
    return num_tasks
  return checks.integer('num_tasks', num_tasks, 1)


def _close_episodes(experience):
  """Makes every piece of an episode a whole one, in rows [N, T', ...]."""
  step_type, next_step_type = experience.step_type, experience.next_step_type
  nothing = tf.fill(tf.shape(step_type[:, :1]), -1)
  successor = tf.concat([step_type[:, 1:], nothing], 1)
  announced = tf.concat([nothing, next_step_type[:, :-1]], 1)
  transition = step_type != ts.StepType.LAST
  terminates = (next_step_type == ts.StepType.LAST) & (experience.discount == 0)
  cut = transition & (successor != next_step_type) & ~terminates
  begins = transition & (announced != step_type)
  before_cut = tf.concat([cut[:, 1:], tf.zeros_like(cut[:, :1])], 1)
  return experience._replace(
    step_type=tf.where(
      cut, ts.StepType.LAST, tf.where(begins, ts.StepType.FIRST, step_type)
    ),
    next_step_type=tf.where(cut | before_cut, ts.StepType.LAST, next_step_type),
  )


def _check_state(policy_state, state_spec):
  advice = (
    'give what collect_policy.get_initial_state(num_tasks) or adapt returned'
  )
  is_sequence = isinstance(policy_state, Sequence)
  if not is_sequence or not all(hasattr(p, 'dtype') for p in policy_state):
    raise ValueError(f'policy_state is not a tuple of tensors: {advice}')
  shapes = [tuple(p.shape) for p in policy_state]
  expected = [tuple(spec.shape) for spec in state_spec]
  if len(shapes) != len(expected) or not all(
    shape
    and shape[0] == shapes[0][0]
    and spec.shape.is_compatible_with(shape[1:])
    for spec, shape in zip(state_spec, shapes)
  ):
    raise ValueError(
      f'policy_state has shapes {shapes}, expected a number of tasks and then'
      f' {expected}: {advice}'
    )
  for parameters, spec in zip(policy_state, state_spec):
    if tf.as_dtype(parameters.dtype) != spec.dtype:
      raise ValueError(
        f'policy_state has type {_name(parameters.dtype)}, expected'
        f' {_name(spec.dtype)}: {advice}'
      )


def _take_every(step, tensors):
  """Takes the rows 0, step, 2 step, ... of each tensor."""
  return tuple(tensor[::step] for tensor in tensors)


def _name(dtype):
  return tf.as_dtype(dtype).name


def _check_structure(experience, frame_spec, name):
  try:
    tf.nest.assert_same_structure(experience, frame_spec)
  except (TypeError, ValueError):
    raise ValueError(
      f'{name} is not what collect_policy records: give a Trajectory of'
      ' frames in which it acted, with its policy_info'
    ) from None


def _check_shapes(experience, frame_spec, name):
  """Raises ValueError unless every leaf is [N, T', ...] and of its type."""
  rows = experience.step_type.shape[:2]
  leaves: Any = nest_utils.flatten_with_joined_paths(experience)
  for (path, tensor), spec in zip(leaves, tf.nest.flatten(frame_spec)):
    expected = rows.concatenate(spec.shape)
    if rows.rank != 2 or not tensor.shape.is_compatible_with(expected):
      raise ValueError(
        f'{name}.{path.replace("/", ".")} has shape {tuple(tensor.shape)},'
        f" expected [N, T', ...] with {tuple(spec.shape)} behind N rows of T'"
        " frames, the same N and T' everywhere"
      )
    types = {spec.dtype}
    if path in ('reward', 'discount'):
      # Networks of float64 learn from rewards of float64.
      types.update(s.dtype for s in tf.nest.flatten(frame_spec.policy_info))
    if tensor.dtype not in types:
      raise ValueError(
        f'{name}.{path.replace("/", ".")} has type {tensor.dtype.name},'
        f' expected {_name(spec.dtype)}'
      )
  if 0 in rows:
    raise ValueError(
      f'{name} has shape {tuple(rows)}: give at least one row and one frame'
    )


def _size(tensor: Any, axis: int = 0) -> Any:
  """The size of an axis: an int where it is known, else a tensor."""
  size = tf.compat.dimension_value(tensor.shape[axis])
  return tf.shape(tensor)[axis] if size is None else size


def _are_known(*sizes):
  return all(isinstance(size, int) for size in sizes)
