"""Locates the first NaN or infinity in a stage or in parameters."""

from typing import NamedTuple

import numpy as np
from tf_agents.trajectories import trajectory
from tf_agents.typing import types
from tf_agents.utils import nest_utils


class Finding(NamedTuple):
  """Non-finite numbers in an array.

  Attributes:
    quantity: The array's name, such as `reward` or `observation/position`.
    task: The index of the first affected task in that array.
    count: The number of non-finite numbers of that task in that array.
  """

  quantity: str
  task: int
  count: int


class NonFiniteError(FloatingPointError):
  """A quantity contains NaN or infinity.

  Attributes:
    quantity: The quantity's name.
    task: The task's index in the whole meta-batch, None if the quantity belongs
      to no single task.
    stage: The number of adaptation steps before the stage, None if the quantity
      belongs to no single stage.
    count: The number of non-finite numbers, None if not counted.
  """

  def __init__(
    self,
    quantity: str,
    task: int | None = None,
    stage: int | None = None,
    count: int | None = None,
  ):
    """Composes the one-line message.

    Args:
      quantity: The quantity's name in the message.
      task: The task's index in the whole meta-batch, None if the quantity
        belongs to no single task.
      stage: The number of adaptation steps before the stage, None if the
        quantity belongs to no single stage.
      count: The number of non-finite numbers, None if not counted.
    """
    self.quantity = quantity
    self.task = task
    self.stage = stage
    self.count = count
    owner = [] if task is None else [f'task {task}']
    if stage is not None:
      steps = 'step' if stage == 1 else 'steps'
      owner.append(f'stage {stage} (after {stage} adaptation {steps})')
    subject = f'the {quantity}' + (f' of {", ".join(owner)}' if owner else '')
    numbers = {
      None: 'it holds NaN or infinity',
      1: '1 number is NaN or infinite',
    }.get(count, f'{count} numbers are NaN or infinite')
    super().__init__(f'{subject} is not finite: {numbers}')


def find(quantities: types.NestedArray) -> Finding | None:
  """Searches arrays for non-finite numbers.

  Args:
    quantities: A nest of arrays [B, ...]. The keys of its dictionaries become
      the names in a finding. Arrays of integers count as finite.

  Returns:
    A `Finding` about the first array, in the order of the nest, that contains
    non-finite numbers, and about its first affected task. None if all numbers
    are finite.
  """
  for name, array in nest_utils.flatten_with_joined_paths(quantities):
    if _all_finite(array):
      continue
    counts = _count_non_finite(array, leading_axes=1)
    task = int(np.argmax(counts > 0))
    return Finding(name, task, int(counts[task]))
  return None


def find_in_stage(frames: trajectory.Trajectory) -> Finding | None:
  """Searches one stage for non-finite numbers.

  The search covers all transitions, and the observation after each transition,
  whose value the advantages use. It ignores padding.

  Args:
    frames: A `Trajectory` of arrays [B, T, ...]: episodes end to end.

  Returns:
    A `Finding` about the first affected task, in its earliest affected frame.
    Later numbers often follow from it. Within a frame the order is observation,
    `policy_info`, action, reward, since each depends on those before it. None
    if all numbers are finite.
  """
  quantities = [
    (name, array)
    for field in ('observation', 'policy_info', 'action', 'reward')
    for name, array in nest_utils.flatten_with_joined_paths(
      {field: getattr(frames, field)}
    )
    if not _all_finite(array)
  ]
  if not quantities:
    return None
  transition = ~np.asarray(frames.is_boundary())
  observed = transition.copy()
  observed[:, 1:] |= transition[:, :-1]
  earliest, finding = None, None
  for name, array in quantities:
    used = observed if name.startswith('observation') else transition
    counts = _count_non_finite(array, leading_axes=2) * used
    if not counts.any():
      continue
    place = np.unravel_index(np.argmax(counts > 0), counts.shape)
    if earliest is None or place < earliest:
      earliest = place
      finding = Finding(name, int(place[0]), int(counts[place[0]].sum()))
  return finding


def _all_finite(array):
  return not np.issubdtype(array.dtype, np.inexact) or np.isfinite(array).all()


def _count_non_finite(array, leading_axes):
  """Counts non-finite numbers over all but the leading axes."""
  axes = tuple(range(leading_axes, array.ndim))
  return np.count_nonzero(~np.isfinite(array), axis=axes)
