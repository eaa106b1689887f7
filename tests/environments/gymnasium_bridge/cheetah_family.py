"""HalfCheetah-v5 as a user's family: a task is a direction."""

import gymnasium


class CheetahFamily(gymnasium.Wrapper):
  """Runs forward or backward."""

  def __init__(self, render_mode=None):
    super().__init__(gymnasium.make('HalfCheetah-v5', render_mode=render_mode))
    self._direction = 1.0

  def sample_tasks(self, n, rng):
    return list(rng.choice([-1.0, 1.0], n))

  def set_task(self, task):
    self._direction = task

  def step(self, action):
    observation, reward, *others = self.env.step(action)
    return observation, self._direction * reward, *others
