"""Episodes of random actions: the score of a random policy."""

from typing import NamedTuple

import numpy as np
from tf_agents.trajectories import policy_step

from maml_tf.collection import episode_outcomes
from maml_tf.collection import rollout
from maml_tf.core import random_streams
from maml_tf.environments import action_draws
from maml_tf.environments import task_environment


class RandomEpisodes(NamedTuple):
  """Episodes of random actions.

  Attributes:
    returns: A float64 array [B, E]: undiscounted episode returns.
    successes: A bool array [B, E]: whether an episode had a step that was a
      success; None if the environment has no successes.
  """

  returns: np.ndarray
  successes: np.ndarray | None


def play(
  environment: task_environment.TaskEnvironment, seed: int, iteration: int
) -> RandomEpisodes:
  """Plays one episode in every environment with its current tasks.

  Actions are uniform within the bounds of the action spec. Actions without
  bounds are standard normal. The episodes have the same starts as the
  collector's first stage of the same seed and iteration.

  Args:
    environment: B tasks with E environments each.
    seed: The run's seed.
    iteration: The meta-iteration, which keys the random streams.

  Returns:
    `RandomEpisodes`.
  """
  resets, actions = (
    random_streams.task_keys(
      seed, iteration, 0, range(environment.num_tasks), purpose
    )
    for purpose in (random_streams.Purpose.RESET, random_streams.Purpose.ACTION)
  )
  generators = [random_streams.generator(key) for key in actions]
  outcomes = episode_outcomes.EpisodeOutcomes(environment)

  def act(time_step, t):
    del time_step, t
    return policy_step.PolicyStep(
      action_draws.draw(
        environment.action_spec(),
        generators,
        environment.environments_per_task,
      ),
      state=(),
      info=(),
    )

  environment.seed(resets)
  rollout.play_episodes(environment, act, [outcomes], environment.horizon)
  shape = (environment.num_tasks, environment.environments_per_task)
  successes = outcomes.successes
  return RandomEpisodes(
    outcomes.returns.reshape(shape),
    None if successes is None else successes.reshape(shape),
  )
