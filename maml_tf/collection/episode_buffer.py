"""Memory for one stage: E whole episodes of every task, on-policy."""

from collections.abc import Callable
import itertools

import numpy as np
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

# In bytes. The kernels of TensorFlow and XLA rely on it.
_ALIGNMENT = 64


class EpisodeBuffer:
  """Holds what a driver collects until it is read, whole and once.

  An observer of `EpisodeDriver`: each call adds one frame of all N
  environments. `read` gives the frames of each task end to end, [B, T] with
  T = E * (horizon + 1): an episode is its transitions, a LAST frame with the
  final observation, and LAST/LAST padding if it ended early.

  Reading copies nothing: the tensors of a stage share the memory that its
  frames were written to, and the next stage gets new memory.
  """

  def __init__(
    self,
    frame_spec: trajectory.Trajectory,
    num_tasks: int,
    episodes_per_task: int,
    horizon: int,
  ):
    """Creates an empty buffer, whose memory the first frame allocates.

    Args:
      frame_spec: A `Trajectory` of specs of one frame, e.g. the
        `collect_data_spec` of a policy.
      num_tasks: B.
      episodes_per_task: E.
      horizon: The maximum number of transitions of an episode.
    """
    self._frame_spec = frame_spec
    self._num_tasks = num_tasks
    self._episodes_per_task = episodes_per_task
    self._length = horizon + 1
    self.clear()

  def clear(self) -> None:
    """Empties the buffer: every frame is a LAST/LAST boundary of zeros."""
    self._size = 0
    self._watched_rows = set()
    self._memory = None

  def __call__(self, frame: trajectory.Trajectory) -> None:
    """Adds one frame.

    Args:
      frame: A `Trajectory` of arrays [N, ...].

    Raises:
      ValueError: The buffer already holds horizon + 1 frames.
    """
    self._write(self._stage(), self._size, frame)
    self._size += 1

  def of_rows(self, rows: slice) -> Callable[[trajectory.Trajectory], None]:
    """Returns an observer of the frames of some rows, for one stage.

    Observers of other rows may be called by other threads at the same time.

    Args:
      rows: The rows, a part of N.

    Raises:
      ValueError: These rows have had an observer since the last `read`.
    """
    if self._size or (rows.start, rows.stop) in self._watched_rows:
      raise ValueError(self._is_full())
    self._watched_rows.add((rows.start, rows.stop))
    stage = tf.nest.map_structure(lambda memory: memory[rows], self._stage())
    sizes = itertools.count()
    return lambda frame: self._write(stage, next(sizes), frame)

  def _write(self, stage, size, frame):
    """Writes a frame [N, ...] into [N, horizon + 1, ...]."""
    if size == self._length:
      raise ValueError(self._is_full())
    for memory, value in zip(tf.nest.flatten(stage), tf.nest.flatten(frame)):
      memory[:, size] = value

  def _is_full(self):
    return (
      f'The buffer holds one stage of {self._length} frames: read it before'
      ' collecting another.'
    )

  def episode_returns(self) -> np.ndarray:
    """Returns the undiscounted return of every episode, float64 [B, E]."""
    stage = self._stage()
    valid = stage.step_type != ts.StepType.LAST
    returns = np.sum(stage.reward * valid, axis=1, dtype=np.float64)
    return returns.reshape(self._num_tasks, self._episodes_per_task)

  def num_transitions(self) -> int:
    """Returns the number of transitions (env steps) in the buffer."""
    return int(np.sum(self._stage().step_type != ts.StepType.LAST))

  def frames(self) -> trajectory.Trajectory:
    """Returns the frames as read-only arrays [B, T, ...]; `read` gives tensors.

    The arrays share the buffer's memory: use them before the next frame.
    """
    return tf.nest.map_structure(self._read_only_by_task, self._stage())

  def read(self) -> trajectory.Trajectory:
    """Returns all frames, tensors [B, T, ...], and empties the buffer."""
    frames: trajectory.Trajectory = tf.nest.map_structure(
      lambda array: _hand_over(self._by_task(array)), self._stage()
    )
    self.clear()
    return frames

  def _stage(self):
    """The stage's memory, a `Trajectory` of arrays [N, horizon + 1, ...]."""
    if self._memory is None:
      num_rows = self._num_tasks * self._episodes_per_task
      self._memory = tf.nest.map_structure(
        lambda spec: _aligned_zeros(
          (num_rows, self._length, *spec.shape),
          tf.as_dtype(spec.dtype).as_numpy_dtype,
        ),
        self._frame_spec,
      )
      self._memory.step_type[...] = ts.StepType.LAST
      self._memory.next_step_type[...] = ts.StepType.LAST
    return self._memory

  def _by_task(self, array):
    """A view of [N, horizon + 1, ...] as [B, T, ...]."""
    frames = self._episodes_per_task * self._length
    return array.reshape(self._num_tasks, frames, *array.shape[2:])

  def _read_only_by_task(self, array):
    view = self._by_task(array)
    view.flags.writeable = False
    return view


def _aligned_zeros(shape, dtype):
  """Like `np.zeros`, aligned so that TensorFlow need not copy the memory."""
  size = int(np.prod(shape)) * np.dtype(dtype).itemsize
  memory = np.zeros(size + _ALIGNMENT, np.uint8)
  start = -memory.ctypes.data % _ALIGNMENT
  return memory[start : start + size].view(dtype).reshape(shape)


def _hand_over(array):
  """Makes a tensor of an array that is not written to any more.

  DLPack shares the memory, `tf.constant` copies it. DLPack has no type for some
  arrays, such as booleans: those are copied.
  """
  if array.dtype.kind in 'fiu':
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
  return tf.constant(array)
