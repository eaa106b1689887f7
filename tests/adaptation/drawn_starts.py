"""An environment of TF-Agents whose only random numbers are its starts."""

import numpy as np
from tf_agents.environments import py_environment
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts


class DrawnStarts(py_environment.PyEnvironment):
  """Episodes of one step. Observation and reward are the drawn start.

  `seeds` lists the seeds that it was given.
  """

  def __init__(self):
    super().__init__()
    self.seeds = []
    self._generator = np.random.default_rng()

  def observation_spec(self):
    return array_spec.ArraySpec((2,), np.float32, 'observation')

  def action_spec(self):
    return array_spec.BoundedArraySpec((2,), np.float32, -1, 1, 'action')

  def seed(self, seed):
    self.seeds.append(seed)
    self._generator = np.random.default_rng(seed)

  def _reset(self):
    self._start = self._generator.random(2, np.float32)
    return ts.restart(self._start)

  def _step(self, action):
    if self._current_time_step.is_last():
      return self.reset()
    return ts.termination(self._start, self._start[0])
