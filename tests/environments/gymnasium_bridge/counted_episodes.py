"""A single TF-Agents environment whose episodes have given lengths."""

import itertools

import numpy as np
from tf_agents.environments import py_environment
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts


class CountedEpisodes(py_environment.PyEnvironment):
  """Episode i has `lengths[i]` steps, over and over; 0 is one without end.

  The observation is [i, steps so far], the reward of step t in episode i is
  10 * i + t. Even episodes terminate, odd ones are truncated. `actions` are the
  actions it was given. It cannot be seeded, and does not clip. `discarded` is
  whether it has just ended an episode that does not count.
  """

  def __init__(self, lengths, first=0, every=1, faults=None, discards=()):
    """Begins before episode `first`, and plays every `every`-th.

    Args:
      lengths: Of the episodes.
      first: The number of the first episode.
      every: How many rows share the episodes.
      faults: {(episode, step): the time step's field that is NaN there}.
      discards: The episodes that do not count.
    """
    super().__init__()
    self._lengths = itertools.cycle(lengths[first::every])
    self._numbers = itertools.count(first, every)
    self._faults = faults or {}
    self._discards = discards
    self.discarded = False
    self.actions = []

  def observation_spec(self):
    return array_spec.ArraySpec((2,), np.float64, 'observation')

  def action_spec(self):
    return array_spec.BoundedArraySpec((2,), np.float32, -0.025, 0.05, 'action')

  def _reset(self):
    self._length, self._number = next(self._lengths), next(self._numbers)
    self._age = 0
    self.discarded = False
    return self._faulty(ts.restart(self._observation()))

  def _step(self, action):
    if self._current_time_step.is_last():
      return self.reset()
    self.actions.append(action)
    self._age += 1
    reward = 10.0 * self._number + self._age
    if self._age != self._length:
      return self._faulty(ts.transition(self._observation(), reward))
    self.discarded = self._number in self._discards
    end = ts.truncation if self._number % 2 else ts.termination
    return self._faulty(end(self._observation(), reward))

  def _observation(self):
    return np.array([self._number, self._age], np.float64)

  def _faulty(self, time_step):
    name = self._faults.get((self._number, self._age))
    if name is None:
      return time_step
    value = np.asarray(getattr(time_step, name))
    return time_step._replace(**{name: np.full_like(value, np.nan)})
