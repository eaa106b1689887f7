"""What each row's episode gives besides its frames: an observer of rollouts."""

import numpy as np
from tf_agents.trajectories import trajectory

from maml_tf.environments import task_environment


class EpisodeOutcomes:
  """Adds up the outcomes of the N episodes of one rollout.

  A row that waits for the others plays on, but only its first episode counts.

  Attributes:
    returns: A float64 array [N]: undiscounted episode returns so far.
    successes: A bool array [N]: whether an episode had a step that was a
      success; None if the environment does not report successes.
    num_discarded: The number of episodes that the environment discarded.
  """

  returns: np.ndarray
  successes: np.ndarray | None
  num_discarded: int

  def __init__(self, environment: task_environment.TaskEnvironment):
    """Starts with nothing.

    Args:
      environment: The environment of the rollout.
    """
    self._environment = environment
    self.clear()

  def clear(self) -> None:
    """Forgets everything, before another rollout."""
    self.returns = np.zeros(self._environment.batch_size)
    self.successes = None
    if self._environment.success is not None:
      self.successes = np.zeros(self._environment.batch_size, bool)
    self.num_discarded = 0

  def __call__(self, frame: trajectory.Trajectory) -> None:
    """Adds one frame, a `Trajectory` of arrays [N, ...]."""
    counts = ~np.asarray(frame.is_boundary())
    self.returns += np.where(counts, frame.reward, 0)
    if self.successes is not None:
      self.successes |= counts & self._environment.success
    if self._environment.may_discard:
      self.num_discarded += np.count_nonzero(
        counts & self._environment.discarded
      )
