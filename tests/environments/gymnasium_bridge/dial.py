"""A Gymnasium environment with integer actions that do not start at 0."""

import gymnasium
import numpy as np


class Dial(gymnasium.Env):
  """Rewards one number of a dial, and records what was played."""

  observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)

  def __init__(self, action_space, horizon=20):
    self.action_space = action_space
    self._horizon = horizon
    self._steps = 0
    self.played = []

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self._steps = 0
    return np.zeros(2, np.float32), {}

  def step(self, action):
    assert self.action_space.contains(action)
    self.played.append(np.atleast_1d(action).tolist())
    self._steps += 1
    reward = float(np.sum(action == self.action_space.start + 1))
    truncated = self._steps == self._horizon
    return np.zeros(2, np.float32), reward, False, truncated, {}
