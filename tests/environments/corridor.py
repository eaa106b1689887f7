"""A Gymnasium environment with nested spaces, small enough for hand checks."""

import gymnasium
from gymnasium import spaces
import numpy as np


class Corridor(gymnasium.Env):
  """Walks along cells 0, 1, ... and terminates in cell `length`.

  An action is (direction, effort): -1, 0 or 1, and the reward in [0, 1]. The
  observation contains the cell, the distances to the end, and the cell's
  parity. `actions` lists the actions since the last reset.
  """

  metadata = {'render_modes': ['rgb_array', 'human']}
  observation_space = spaces.Dict(
    {
      'cell': spaces.Discrete(10),
      'sides': spaces.Tuple(
        (
          spaces.Box(-10.0, 10.0, (2,), np.float64),
          spaces.MultiBinary(1),
        )
      ),
    }
  )
  action_space = spaces.Tuple(
    (
      spaces.Discrete(3, start=-1),
      spaces.Box(0.0, 1.0, (1,), np.float64),
    )
  )

  def __init__(self, length=3, render_mode=None):
    self.render_mode = render_mode
    self.closed = False
    self.actions = []
    self._length = length
    self._cell = 0

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self._cell = 0
    self.actions = []
    return self._observation(), {'seed': seed}

  def step(self, action):
    assert self.action_space.contains(action), action
    self.actions.append(action)
    direction, effort = action
    self._cell = max(self._cell + direction, 0)
    return (
      self._observation(),
      effort[0],
      self._cell == self._length,
      False,
      {'cell': self._cell},
    )

  def render(self):
    if self.render_mode == 'rgb_array':
      return np.full((2, 3, 3), self._cell, np.uint8)
    return None

  def close(self):
    self.closed = True

  def _observation(self):
    ahead = self._length - self._cell
    return {
      'cell': self._cell,
      'sides': (np.array([ahead, -ahead]) / 8, [self._cell % 2]),
    }


def corridors(lengths, **kwargs):
  """Returns a vector environment with a corridor of each length."""
  return gymnasium.vector.SyncVectorEnv(
    [lambda length=length: Corridor(length) for length in lengths], **kwargs
  )
