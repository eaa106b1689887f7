"""Where the first NaN or infinity of a stage, or of parameters, stands."""

from typing import NamedTuple

import numpy as np
from tf_agents.trajectories import trajectory
from tf_agents.typing import types
from tf_agents.utils import nest_utils


class Finding(NamedTuple):
  """Numbers that are not finite.

  Attributes:
    quantity: What they belong to: `reward`, `observation/position`.
    task: The task's place in the arrays that were looked through.
    count: How many there are of that task in that array.
  """

  quantity: str
  task: int
  count: int


class NonFiniteError(FloatingPointError):
  """A quantity of a task has NaN or infinity in it.

  Attributes:
    quantity: What it is called.
    task: The task's place in the whole meta-batch; None: of no single task.
    stage: After how many adaptation steps; None: of no single stage.
    count: How many numbers are not finite; None: nobody counted.
  """

  def __init__(
    self,
    quantity: str,
    task: int | None = None,
    stage: int | None = None,
    count: int | None = None,
  ):
    """Says in a line what is not finite.

    Args:
      quantity: What it is called, as the message should show it.
      task: The task's place in the whole meta-batch. None: it belongs to no
        single task.
      stage: After how many adaptation steps. None: it belongs to no single
        stage.
      count: How many numbers are not finite. None: nobody counted.
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
  """Looks through arrays for numbers that are not finite.

  Args:
    quantities: A nest of arrays [B, ...]; the keys of its dictionaries are the
      names that a finding shows. What is no float is finite.

  Returns:
    A `Finding` in the first array that has one, in the order of the nest, of
    its first task; None if all is finite.
  """
  for name, array in nest_utils.flatten_with_joined_paths(quantities):
    if _all_finite(array):
      continue
    counts = _count_non_finite(array, leading_axes=1)
    task = int(np.argmax(counts > 0))
    return Finding(name, task, int(counts[task]))
  return None


def find_in_stage(frames: trajectory.Trajectory) -> Finding | None:
  """Looks through one stage for numbers that are not finite.

  Transitions count, and the observation behind each, whose value the advantages
  go on with; what padding holds does not.

  Args:
    frames: A `Trajectory` of arrays [B, T, ...]: episodes end to end.

  Returns:
    A `Finding` of the first task that has one, in its earliest frame: what
    follows from it, in that frame and later, is not told. Within a frame comes
    the observation first, then `policy_info`, action and reward, as each is
    made from what stands before it. None if all is finite.
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
  """How many numbers are not finite behind the leading axes."""
  axes = tuple(range(leading_axes, array.ndim))
  return np.count_nonzero(~np.isfinite(array), axis=axes)
