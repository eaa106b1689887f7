"""Holds one stage that was collected whole, until it is read."""

import numpy as np
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory


class StageHolder:
  """Holds what `GraphDriver` collected, with the methods of `EpisodeBuffer`.

  An empty holder stands for frames that are all LAST/LAST boundaries.
  """

  def __init__(
    self,
    frame_spec: trajectory.Trajectory,
    num_tasks: int,
    episodes_per_task: int,
    horizon: int,
  ):
    """Creates an empty holder.

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
    self._num_frames = episodes_per_task * (horizon + 1)
    self.clear()

  def clear(self) -> None:
    """Empties the holder."""
    self._stage = None

  def hold(self, stage: trajectory.Trajectory) -> None:
    """Takes a stage: a `Trajectory` of tensors [B, T, ...]."""
    self._stage = stage

  def episode_returns(self) -> np.ndarray:
    """Returns the undiscounted return of every episode, float64 [B, E]."""
    # Rewards on boundaries are 0.
    reward = np.asarray(self._held().reward)
    shape = (self._num_tasks, self._episodes_per_task, -1)
    return np.sum(reward.reshape(shape), axis=2, dtype=np.float64)

  def num_transitions(self) -> int:
    """Returns the number of transitions (env steps) of the stage."""
    step_type = np.asarray(self._held().step_type)
    return int(np.count_nonzero(step_type != ts.StepType.LAST))

  def frames(self) -> trajectory.Trajectory:
    """Returns the frames as read-only arrays [B, T, ...]."""
    # Unlike `Tensor.numpy`, this does not copy.
    return tf.nest.map_structure(np.asarray, self._held())

  def read(self) -> trajectory.Trajectory:
    """Returns all frames, tensors [B, T, ...], and empties the holder."""
    stage = self._held()
    self.clear()
    return stage

  def _held(self):
    if self._stage is not None:
      return self._stage
    blank: trajectory.Trajectory = tf.nest.map_structure(
      lambda spec: tf.zeros(
        [self._num_tasks, self._num_frames, *spec.shape], spec.dtype
      ),
      self._frame_spec,
    )
    last = tf.fill(blank.step_type.shape, ts.StepType.LAST)
    return blank._replace(step_type=last, next_step_type=last)
