"""Memory for one stage: E whole episodes of every task, on-policy."""

import numpy as np
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.typing import types


class EpisodeBuffer:
  """Holds what a driver collects until it is read, whole and once.

  An observer of `EpisodeDriver`: each call adds one frame of all N
  environments. `read` gives the frames of each task end to end, [B, T] with
  T = E * (horizon + 1): an episode is its transitions, a LAST frame with the
  final observation, and LAST/LAST padding if it ended early.
  """

  def __init__(
    self,
    frame_spec: trajectory.Trajectory,
    num_tasks: int,
    episodes_per_task: int,
    horizon: int,
  ):
    """Allocates the frames.

    Args:
      frame_spec: A `Trajectory` of specs of one frame, e.g. the
        `collect_data_spec` of a policy.
      num_tasks: B.
      episodes_per_task: E.
      horizon: The most transitions of an episode.
    """
    self._num_tasks = num_tasks
    self._episodes_per_task = episodes_per_task
    self._length = horizon + 1
    self._frames = tf.nest.map_structure(
      lambda spec: np.zeros(
        (num_tasks * episodes_per_task, self._length, *spec.shape),
        tf.as_dtype(spec.dtype).as_numpy_dtype,
      ),
      frame_spec,
    )
    self.clear()

  def clear(self) -> None:
    """Empties the buffer: every frame is a LAST/LAST boundary of zeros."""
    self._size = 0
    for array in tf.nest.flatten(self._frames):
      array[...] = 0
    self._frames.step_type[...] = ts.StepType.LAST
    self._frames.next_step_type[...] = ts.StepType.LAST

  def __call__(self, frame: trajectory.Trajectory) -> None:
    """Adds one frame.

    Args:
      frame: A `Trajectory` of arrays [N, ...].

    Raises:
      ValueError: The buffer already holds horizon + 1 frames.
    """
    if self._size == self._length:
      raise ValueError(
        f'The buffer holds one stage of {self._length} frames: read it before'
        ' collecting another.'
      )
    for memory, value in zip(
      tf.nest.flatten(self._frames), tf.nest.flatten(frame)
    ):
      memory[:, self._size] = value
    self._size += 1

  def episode_returns(self) -> np.ndarray:
    """Returns the undiscounted return of every episode, float64 [B, E]."""
    valid = self._frames.step_type != ts.StepType.LAST
    returns = np.sum(self._frames.reward * valid, axis=1, dtype=np.float64)
    return returns.reshape(self._num_tasks, self._episodes_per_task)

  def num_transitions(self) -> int:
    """Returns how many transitions (env steps) the buffer holds."""
    return int(np.sum(self._frames.step_type != ts.StepType.LAST))

  def read(self) -> trajectory.Trajectory:
    """Returns all frames, tensors [B, T, ...], and empties the buffer."""
    frames: types.NestedTensor = tf.nest.map_structure(
      lambda array: tf.constant(
        array.reshape(self._num_tasks, -1, *array.shape[2:])
      ),
      self._frames,
    )
    self.clear()
    return frames
