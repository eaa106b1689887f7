"""A Gymnasium environment that returns what it is given."""

import gymnasium
from gymnasium import spaces
import numpy as np

OBSERVATION = np.zeros(3, np.float32)
RESET = (OBSERVATION, {})
STEP = (OBSERVATION, 1.0, False, False, {})


class ScriptedReturns(gymnasium.Env):
  """Returns `reset_values` from `reset`, one of `steps` after another.

  The last of `steps` is returned for ever.
  """

  observation_space = spaces.Box(-1, 1, (3,), np.float32)
  action_space = spaces.Box(-1, 1, (2,), np.float32)

  def __init__(self, reset_values=RESET, steps=(STEP,)):
    self._reset_values = reset_values
    self._steps = list(steps)

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    return self._reset_values

  def step(self, action):
    return self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
