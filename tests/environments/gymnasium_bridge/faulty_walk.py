"""A Gymnasium environment whose process fails at a chosen point."""

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
  """A random walk from a random start with a reward of 1 for each step.

  The observation is the position and the number of steps since the reset. An
  episode ends after `length` steps: it terminates if that is even, otherwise it
  is truncated. A picture shows the number of steps.
  """

  render_mode = 'rgb_array'
  observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
  action_space = spaces.Box(-0.1, 0.1, (2,), np.float32)

  def __init__(
    self, length=5, fault=None, at='step 1', times=1, folder=None, width=None
  ):
    """Creates the environment.

    Args:
      length: The length of an episode.
      fault: One of `FAULTS`.
      at: The point of the fault: 'make', 'close', or 'reset', 'step' or
        'render' with a number. The number counts from 1 in each process.
      times: The number of successive processes in which the fault happens.
      folder: A folder in which the processes count faults, as files.
      width: The length of the action.
    """
    self._length = length
    self._fault = fault
    self._at = at
    self._times = times
    self._folder = folder and pathlib.Path(folder)
    self._counts = {'reset': 0, 'step': 0, 'render': 0}
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

  def render(self):
    self._count('render')
    return np.full((4, 5, 3), self._age, np.uint8)

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
