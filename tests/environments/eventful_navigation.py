"""A point navigation in which something happens at an iteration."""

from collections.abc import Callable

import gin

from maml_tf.environments import point_navigation


@gin.configurable
class EventfulNavigation(point_navigation.PointNavigation):
  """Calls `events[i]` with itself when iteration i begins.

  Tests set `events`, which is no part of a run's config. `reward_scale`
  multiplies all rewards; an event may make it NaN.
  """

  events: dict[int, Callable[['EventfulNavigation'], None]] = {}

  def __init__(self, num_tasks=2, environments_per_task=2, horizon=5):
    super().__init__(num_tasks, environments_per_task, horizon)
    self.reward_scale = 1.0

  def seed(self, seed):
    super().seed(seed)
    # A run names its streams (seed, iteration, stage, task index, purpose).
    if isinstance(seed, list):
      _, iteration, stage, _, _ = seed[0]
      if stage == 0 and iteration in self.events:
        self.events[iteration](self)

  def _advance(self, action):
    observation, reward, terminated = super()._advance(action)
    return observation, reward * self.reward_scale, terminated
