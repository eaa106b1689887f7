"""Whole episodes of one task from any environment, however long they are."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tf_agents.environments import py_environment
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.typing import types

from maml_tf.collection import adapted_policy
from maml_tf.collection import environment_specs
from maml_tf.core import checks
from maml_tf.environments import task_environment

# T is a multiple of it: a function of [1, T] is traced again for every new T.
_FRAMES_MULTIPLE = 256


class Episodes(NamedTuple):
  """E whole episodes of one task.

  Attributes:
    experience: A `Trajectory`, leaves [1, T, ...], the episodes end to end: the
      transitions of each and a LAST frame with its final observation; then
      LAST/LAST padding.
    returns: A float64 array [E], undiscounted.
    lengths: An int array [E] of transitions.
    num_discarded: How many more were begun, but discarded by the environment.
  """

  experience: trajectory.Trajectory
  returns: np.ndarray
  lengths: np.ndarray
  num_discarded: int


class EpisodeSampler:
  """Plays episodes whose number and length no buffer knows beforehand.

  A single environment plays them one after the other, a batched one N at a time
  in rounds that end with their longest episode, so that short episodes are not
  favoured. An environment that does not clip its actions gets them clipped to
  its spec; what was sampled is what the experience holds.

  What an environment has `discarded`, as `GymnasiumEnvironment` may, is left
  out, and another episode is played.
  """

  def __init__(
    self,
    environment: py_environment.PyEnvironment,
    policy: adapted_policy.AdaptedPolicy,
    max_episode_steps: int = 1000,
  ):
    """Compiles the policy's step.

    Args:
      environment: All its rows play the same task.
      policy: What acts.
      max_episode_steps: An episode that goes on after so many transitions is
        cut off there, as by a time limit.

    Raises:
      ValueError: The specs of environment and policy do not match.
    """
    environment_specs.check_match(environment, policy)
    self._environment = environment
    self._policy = policy
    self._max_episode_steps = checks.integer(
      'max_episode_steps', max_episode_steps, 1
    )
    self._act = tf.function(self._act_on, autograph=False)
    # A task environment clips by itself, after it has priced the action.
    self._clips = not isinstance(environment, task_environment.TaskEnvironment)
    self._num_frames = 0

  def sample(
    self,
    policy_state: tuple[types.Tensor, ...],
    num_episodes: int,
    generator: np.random.Generator,
  ) -> Episodes:
    """Plays E episodes.

    Args:
      policy_state: The parameters, leaves [1, ...].
      num_episodes: E.
      generator: What the actions' noise is drawn from, step after step.

    Returns:
      `Episodes`.

    Raises:
      FloatingPointError: An observation, reward or action is not finite. The
        environment was not stepped any more.
    """
    episodes = []
    num_discarded = 0
    while len(episodes) < num_episodes:
      played, discarded = self._play_round(policy_state, generator)
      episodes += [e for e, lost in zip(played, discarded) if not lost]
      num_discarded += np.count_nonzero(discarded)
    episodes = episodes[:num_episodes]
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
    time_step = self._time_step(self._environment.reset())
    _check_finite('observation', time_step.observation, 0)
    finished = np.zeros(time_step.step_type.shape, bool)
    discarded = np.zeros_like(finished)
    frames = []
    for t in range(self._max_episode_steps):
      action_step = self._action_step(time_step, policy_state, generator)
      _check_finite('action', action_step.action, t + 1)
      next_time_step = self._time_step(
        self._environment.step(self._to_environment(action_step.action))
      )
      _check_finite('observation', next_time_step.observation, t + 1)
      _check_finite('reward', next_time_step.reward, t + 1)
      frames.append(
        trajectory.from_transition(time_step, action_step, next_time_step)
      )
      time_step = next_time_step
      # Not what a row plays after its first episode.
      discarded |= ~finished & getattr(self._environment, 'discarded', False)
      finished |= time_step.is_last()
      if finished.all():
        break
    # The frame that holds the last observation, for the value of its state.
    idle = tf.nest.map_structure(np.zeros_like, action_step)
    frames.append(trajectory.from_transition(time_step, idle, time_step))
    stacked = tf.nest.map_structure(lambda *f: np.stack(f, axis=1), *frames)
    episodes = [_episode(stacked, row) for row in range(len(finished))]
    return episodes, discarded

  def _end_to_end(self, episodes):
    """Concatenates to [1, T, ...]; T grows, but never shrinks."""
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

  def _time_step(self, time_step):
    """As the policy takes it: batched, in the structure and types it knows."""
    if not self._environment.batched:
      time_step = tf.nest.map_structure(
        lambda a: np.asarray(a)[np.newaxis], time_step
      )
    spec = self._policy.time_step_spec.observation
    observation = [
      np.asarray(o, s.dtype.as_numpy_dtype)
      for o, s in zip(
        tf.nest.flatten(time_step.observation), tf.nest.flatten(spec)
      )
    ]
    return ts.TimeStep(
      np.asarray(time_step.step_type, np.int32),
      np.asarray(time_step.reward, np.float32),
      np.asarray(time_step.discount, np.float32),
      tf.nest.pack_sequence_as(spec, observation),
    )

  def _to_environment(self, action):
    """As the environment takes it."""
    spec = self._environment.action_spec()
    parts = []
    for part, s in zip(tf.nest.flatten(action), tf.nest.flatten(spec)):
      if self._clips and isinstance(s, array_spec.BoundedArraySpec):
        part = np.clip(part, s.minimum, s.maximum)
      part = part.astype(s.dtype)
      parts.append(part if self._environment.batched else part[0])
    return tf.nest.pack_sequence_as(spec, parts)

  def _action_step(self, time_step, policy_state, generator):
    noise = self._policy.distributions.draw_noise(
      generator, time_step.step_type.shape
    )
    observation, step_type, noise = tf.nest.map_structure(
      tf.constant, (time_step.observation, time_step.step_type, noise)
    )
    step = self._act(observation, step_type, policy_state, noise)
    return tf.nest.map_structure(lambda t: t.numpy(), step)

  def _act_on(self, observation, step_type, policy_state, noise):
    time_step = ts.TimeStep(step_type, (), (), observation)
    return adapted_policy.act_batch_invariant(
      self._policy, time_step, policy_state, noise
    )


def _episode(frames, row):
  """Cuts what one row of [N, L, ...] played after its first episode."""
  ends = np.flatnonzero(frames.next_step_type[row] == ts.StepType.LAST)
  # Without an end of its own: the last frame is none of its transitions.
  length = ends[0] + 1 if ends.size else frames.reward.shape[1] - 1
  frames = tf.nest.map_structure(lambda a: a[row, : length + 1].copy(), frames)
  # Where it was cut off, the environment itself has not said LAST.
  frames.next_step_type[length - 1 :] = ts.StepType.LAST
  frames.step_type[length] = ts.StepType.LAST
  frames.reward[length] = 0
  return frames


def _check_finite(name, arrays, step):
  for array in tf.nest.flatten(arrays):
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
      raise FloatingPointError(
        f'the {name} of step {step} of an episode is not finite'
      )
