"""Small Gymnasium families, as users write them."""

import dataclasses
import os
import signal
import time

import gymnasium
from gymnasium import spaces
import numpy as np


class Counter(gymnasium.Env):
  """Counts steps; the reward is the task. A step costs nothing."""

  observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
  action_space = spaces.Box(-1, 1, (1,), np.float32)
  render_mode = None

  def __init__(self, length=None):
    self._length = length
    self._task = 0.0
    self._count = 0

  def sample_tasks(self, n_tasks):
    return list(self.np_random.uniform(-1, 1, n_tasks))

  def set_task(self, task):
    self._task = task

  def get_task(self):
    return self._task

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self._count = 0
    return np.array([0, 0], np.float32), {}

  def step(self, action):
    self._count += 1
    observation = np.array([self._count, action[0]], np.float32)
    ended = self._count == self._length
    return observation, self._task * action[0], ended, False, {}


@dataclasses.dataclass(frozen=True)
class Wish:
  """A task that is no number."""

  name: str
  place: int


class Doors(gymnasium.Env):
  """Which of five doors is the wished one? Everything is nested.

  The action says which door and how hard to push, the observation what stands
  on the door before one. An episode ends at the right door.
  """

  observation_space = spaces.Dict(
    door=spaces.Discrete(5, start=1),
    signs=spaces.Tuple(
      (spaces.MultiBinary(2), spaces.Box(-1, 1, (3,), np.float64))
    ),
  )
  action_space = spaces.Dict(
    door=spaces.Discrete(5, start=1), push=spaces.Box(0, 1, (1,), np.float32)
  )
  training_tasks = tuple(Wish(f'door {i}', i) for i in (1, 2, 3))
  held_out_tasks = tuple(Wish(f'door {i}', i) for i in (4, 5))

  def __init__(self):
    self._wish = None
    self._door = 1

  def set_task(self, task):
    self._wish = task

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self._door = int(self.np_random.integers(1, 6))
    return self._observation(), {'anything': object()}

  def step(self, action):
    self._door = action['door']
    success = self._door == self._wish.place
    reward = float(success) - 0.1 * float(action['push'][0])
    return self._observation(), reward, success, False, {'success': success}

  def _observation(self):
    return {
      'door': self._door,
      'signs': (
        np.array([self._door % 2, self._door // 4], np.int8),
        self.np_random.uniform(-1, 1, 3),
      ),
    }


class Faulty(gymnasium.Env):
  """Fails at its third step while the file `armed` exists."""

  observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)
  action_space = spaces.Discrete(2)
  render_mode = None

  def __init__(self, fault, armed, at=3):
    self._fault, self._armed, self._at = fault, armed, at

  def sample_tasks(self, n):
    return [{'row': i} for i in range(n)]

  def set_task(self, task):
    self._row = task['row']

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self._count = 0
    return np.zeros(1), None

  def step(self, action):
    self._count += 1
    if self._row == 1 and self._count == self._at:
      if os.path.exists(self._armed):
        os.remove(self._armed)
        {'raise': self._raise, 'die': self._die, 'hang': self._hang}[
          self._fault
        ]()
    return np.full(1, self._count), 1.0, False, False, None

  def _raise(self):
    raise KeyError('the motor\nis hot')

  def _die(self):
    os.kill(os.getpid(), signal.SIGKILL)

  def _hang(self):
    time.sleep(1e6)


class FailingReset(gymnasium.Env):
  """Ends after as many steps as its task says; a reset fails if `armed`."""

  observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
  action_space = spaces.Box(-1, 1, (1,), np.float32)
  render_mode = None

  def __init__(self, armed):
    self._armed = armed

  def sample_tasks(self, n):
    return list(self.np_random.uniform(5, 9, n))

  def set_task(self, task):
    self._length = task

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    if os.path.exists(self._armed):
      os.remove(self._armed)
      raise OSError('stuck')
    self._count = 0
    return np.zeros(1, np.float32), {}

  def step(self, action):
    self._count += 1
    ended = self._count >= self._length
    return np.full(1, self._count, np.float32), 1.0, ended, False, {}


class Growing(Counter):
  """A task above 10 changes the observation space."""

  def set_task(self, task):
    super().set_task(task)
    if task > 10:
      self.observation_space = spaces.Box(-9, 9, (4,), np.float32)
