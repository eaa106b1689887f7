"""Samples whole episodes of one task, of any length, in any environment."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tf_agents.environments import py_environment
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from maml_tf.collection import adapted_policy
from maml_tf.collection import compiled_actor
from maml_tf.collection import matched_environment
from maml_tf.collection import rollout
from maml_tf.core import checks

# T is a multiple of this, because every new T traces a function of [1, T] anew.
_FRAMES_MULTIPLE = 256


class Episodes(NamedTuple):
  """E whole episodes of one task.

  Attributes:
    experience: A `Trajectory`, leaves [1, T, ...], the episodes end to end: the
      transitions of each and a LAST frame with its final observation; then
      LAST/LAST padding.
    returns: A float64 array [E], undiscounted.
    lengths: An int array [E] of transitions.
    num_discarded: How many other episodes the environment discarded.
  """

  experience: trajectory.Trajectory
  returns: np.ndarray
  lengths: np.ndarray
  num_discarded: int


class EpisodeSampler:
  """Plays episodes whose number and length are not known beforehand.

  A single environment plays them one after the other, a batched one N at a time
  in rounds that end with their longest episode, so that short episodes are not
  favoured. An environment that does not clip its actions gets them clipped to
  its spec; the experience holds them as they were sampled.

  Episodes that the environment has `discarded`, as `GymnasiumEnvironment` may,
  are left out, and others are played instead.
  """

  def __init__(
    self,
    environment: py_environment.PyEnvironment,
    policy: adapted_policy.AdaptedPolicy,
    max_episode_steps: int = 1000,
    actor: compiled_actor.CompiledActor | None = None,
  ):
    """Prepares the policy's compiled step.

    Args:
      environment: All its rows play the same task.
      policy: The policy.
      max_episode_steps: An episode is cut off after this many transitions, as
        by a time limit.
      actor: The policy's compiled step, if there is one already.

    Raises:
      ValueError: The specs of environment and policy do not match.
    """
    self._environment = matched_environment.MatchedEnvironment(
      environment, policy
    )
    self._distributions = policy.distributions
    self._max_episode_steps = checks.integer(
      'max_episode_steps', max_episode_steps, 1
    )
    self._actor = actor or compiled_actor.CompiledActor(policy)
    self._num_frames = 0

  def sample(
    self,
    policy_state: adapted_policy.Parameters,
    num_episodes: int,
    generator: np.random.Generator,
  ) -> Episodes:
    """Plays E episodes.

    Args:
      policy_state: The parameters, leaves [1, ...].
      num_episodes: E.
      generator: Draws the actions' noise, step after step.

    Returns:
      `Episodes`.

    Raises:
      FloatingPointError: An observation, reward or action of an episode that
        is kept is not finite. The environment is not stepped after that.
    """
    episodes = []
    num_discarded = 0
    while len(episodes) < num_episodes:
      missing = num_episodes - len(episodes)
      self._environment.count(missing)
      played, discarded = self._play_round(policy_state, generator)
      kept = np.flatnonzero(~discarded)[:missing]
      for row in kept.tolist():
        # It was to be surplus, but one before it is lost.
        if row in self._environment.faults:
          raise FloatingPointError(self._environment.faults[row])
        episodes.append(played[row])
      num_discarded += np.count_nonzero(discarded)
    returns = [np.sum(e.reward, dtype=np.float64) for e in episodes]
    lengths = [len(e.reward) - 1 for e in episodes]
    return Episodes(
      self._end_to_end(episodes),
      np.array(returns),
      np.array(lengths),
      num_discarded,
    )

  def _play_round(self, policy_state, generator):
    """Plays one episode of every row.

    Returns:
      N `Trajectory`s, leaves [length + 1, ...], and a bool array [N]: which of
      them the environment has discarded.
    """
    environment = self._environment
    discarded = np.zeros(environment.num_rows, bool)
    frames = []

    def find_discarded(frame):
      # A row that waits plays on, but only its first episode counts.
      discarded[:] |= ~frame.is_boundary() & environment.discarded

    actor = self._actor.for_episode(
      policy_state,
      lambda t: self._distributions.draw_noise(
        generator, (environment.num_rows,)
      ),
    )
    rollout.play_episodes(
      environment,
      actor,
      [frames.append, find_discarded],
      self._max_episode_steps,
    )
    stacked = tf.nest.map_structure(lambda *f: np.stack(f, axis=1), *frames)
    return [_episode(stacked, row) for row in range(len(discarded))], discarded

  def _end_to_end(self, episodes):
    """Concatenates episodes to [1, T, ...]; T never shrinks."""
    num_frames = sum(len(e.reward) for e in episodes)
    multiples = -(-num_frames // _FRAMES_MULTIPLE)
    self._num_frames = max(self._num_frames, multiples * _FRAMES_MULTIPLE)
    padding = self._num_frames - num_frames

    def join(*arrays):
      joined = np.concatenate(arrays)
      return np.pad(joined, [(0, padding)] + [(0, 0)] * (joined.ndim - 1))

    frames = tf.nest.map_structure(join, *episodes)
    for step_type in (frames.step_type, frames.next_step_type):
      step_type[num_frames:] = ts.StepType.LAST
    return tf.nest.map_structure(lambda a: tf.constant(a[np.newaxis]), frames)


def _episode(frames, row):
  """Returns the first episode of one row of [N, L, ...]."""
  ends = np.flatnonzero(frames.next_step_type[row] == ts.StepType.LAST)
  # An episode that did not end has all frames but the last as transitions.
  length = ends[0] + 1 if ends.size else frames.reward.shape[1] - 1
  frames = tf.nest.map_structure(lambda a: a[row, : length + 1].copy(), frames)
  # If it was cut off, the environment itself has not marked its end.
  frames.next_step_type[length - 1 :] = ts.StepType.LAST
  frames.step_type[length] = ts.StepType.LAST
  frames.reward[length] = 0
  return frames
