"""A single TF-Agents environment whose episodes have given lengths."""

import itertools

import numpy as np
from tf_agents.environments import py_environment
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts


class CountedEpisodes(py_environment.PyEnvironment):
  """Plays episodes of `lengths[i]` steps in a cycle; 0 means without end.

  The observation is [i, steps so far]. The reward of step t in episode i is
  10 * i + t. Even episodes terminate, odd ones are truncated. `actions` lists
  the received actions. The environment has no seed and does not clip.
  `discarded` is True after the last step of a discarded episode.
  """

  def __init__(self, lengths, first=0, every=1, faults=None, discards=()):
    """Starts before episode `first` and plays every `every`-th episode.

    Args:
      lengths: The lengths of the episodes.
      first: The number of the first episode.
      every: The number of rows that share the episodes.
      faults: A dict {(episode, step): name of the time step's NaN field}.
      discards: The numbers of the discarded episodes.
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
