"""A Gymnasium environment whose process fails where a test wants it to."""

import os
import pathlib
import signal
import time

import gymnasium
from gymnasium import spaces
import numpy as np


def _raise():
  raise ValueError('the motor\nis hot')


def _sleep():
  time.sleep(1e6)


def _loop():
  while True:
    pass


def _exit():
  os._exit(3)


def _kill():
  os.kill(os.getpid(), signal.SIGKILL)


FAULTS = {
  'raise': _raise,
  'sleep': _sleep,
  'loop': _loop,
  'exit': _exit,
  'kill': _kill,
}


class FaultyWalk(gymnasium.Env):
  """A random walk from a random start; every step pays 1.

  The observation is the position and the steps since the reset. An episode is
  truncated after `length` steps, or terminates there if that is even.
  """

  observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
  action_space = spaces.Box(-0.1, 0.1, (2,), np.float32)

  def __init__(
    self, length=5, fault=None, at='step 1', times=1, folder=None, width=None
  ):
    """Makes the environment.

    Args:
      length: Of an episode.
      fault: One of `FAULTS`.
      at: Where it happens: 'make', 'close', or 'reset' or 'step' and which of
        this process, from 1.
      times: How often it happens, in one process after the other.
      folder: Where they count that; a file for each.
      width: Of the action, instead of 2.
    """
    self._length = length
    self._fault = fault
    self._at = at
    self._times = times
    self._folder = folder and pathlib.Path(folder)
    self._counts = {'reset': 0, 'step': 0}
    self._age = 0
    self._position = 0.0
    if width:
      self.action_space = spaces.Box(-0.1, 0.1, (width,), np.float32)
    self._maybe_fail('make')

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self._count('reset')
    self._age = 0
    self._position = self.np_random.standard_normal()
    return self._observation(), {'seeded': seed is not None}

  def step(self, action):
    self._count('step')
    self._age += 1
    self._position += action[0] + self.np_random.standard_normal()
    ended = self._age == self._length
    terminates = self._length % 2 == 0
    info = {'age': self._age}
    return (
      self._observation(),
      1.0,
      ended and terminates,
      ended and not terminates,
      info,
    )

  def close(self):
    self._maybe_fail('close')
    if self._folder:
      (self._folder / f'closed {os.getpid()}').touch()

  def _count(self, name):
    self._counts[name] += 1
    self._maybe_fail(f'{name} {self._counts[name]}')

  def _maybe_fail(self, where):
    if not self._fault or where != self._at:
      return
    if len(list(self._folder.glob('fault *'))) < self._times:
      (self._folder / f'fault {os.getpid()}').touch()
      FAULTS[self._fault]()

  def _observation(self):
    return np.array([self._position, self._age], np.float32)
