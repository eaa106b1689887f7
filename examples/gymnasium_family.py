"""A Gymnasium family: a boat must find a pier in an unknown current.

  python -m maml_tf.train --gin_file=gymnasium_family.gin

Run it in this folder. The class is plain Gymnasium with two methods more:
`sample_tasks(n)` and `set_task(task)`. `docs/own_tasks.md` explains it.
"""

import gymnasium
from gymnasium import spaces
import numpy as np


class Boat(gymnasium.Env):
  """A task is {'pier': where to go [m], 'current': drift in a step [m]}."""

  observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
  action_space = spaces.Box(-1, 1, (2,), np.float32)

  def sample_tasks(self, n):
    numbers = self.np_random.uniform(-1, 1, (n, 4))
    return [{'pier': x[:2], 'current': 0.02 * x[2:]} for x in numbers]

  def set_task(self, task):
    self._task = task

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)  # It seeds self.np_random.
    self._position = self.np_random.normal(0, 0.05, 2)
    return self._position.astype(np.float32), {}

  def step(self, action):
    self._position = self._position + 0.1 * action + self._task['current']
    distance = float(np.linalg.norm(self._position - self._task['pier']))
    info = {'success': distance < 0.1}
    return self._position.astype(np.float32), -distance, False, False, info
