"""Point navigation that calls a function at the start of an iteration."""

from collections.abc import Callable

import gin

from maml_tf.environments import point_navigation


@gin.configurable
class EventfulNavigation(point_navigation.PointNavigation):
  """Calls `events[i]` with itself at the start of iteration i.

  Tests set `events`, which is not part of a run's config. `reward_scale`
  multiplies all rewards. An event may set it to NaN.
  """

  events: dict[int, Callable[['EventfulNavigation'], None]] = {}

  def __init__(self, num_tasks=2, environments_per_task=2, horizon=5):
    super().__init__(num_tasks, environments_per_task, horizon)
    self.reward_scale = 1.0

  def seed(self, seed):
    super().seed(seed)
    # A run's keys are (seed, iteration, stage, task index, purpose).
    if isinstance(seed, list):
      _, iteration, stage, _, _ = seed[0]
      if stage == 0 and iteration in self.events:
        self.events[iteration](self)

  def _advance(self, action):
    observation, reward, terminated = super()._advance(action)
    return observation, reward * self.reward_scale, terminated
