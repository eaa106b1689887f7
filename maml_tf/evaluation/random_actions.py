"""Episodes of random actions: the score of a random policy."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tf_agents.specs import array_spec
from tf_agents.trajectories import policy_step
from tf_agents.typing import types

from maml_tf.collection import rollout
from maml_tf.core import random_streams
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
  returns = np.zeros(environment.batch_size)
  successes = np.zeros(environment.batch_size, bool)

  def act(time_step, t):
    del time_step, t
    return policy_step.PolicyStep(
      draw(
        environment.action_spec(),
        generators,
        environment.environments_per_task,
      ),
      state=(),
      info=(),
    )

  def add_rewards(frame):
    returns[:] += np.where(frame.is_boundary(), 0, frame.reward)

  def note_successes(frame):
    if environment.success is not None:
      successes[:] |= environment.success & ~frame.is_boundary()

  environment.seed(resets)
  rollout.play_episodes(
    environment, act, [add_rewards, note_successes], environment.horizon
  )
  return RandomEpisodes(
    returns.reshape(environment.num_tasks, -1),
    successes.reshape(environment.num_tasks, -1)
    if environment.success is not None
    else None,
  )


def draw(
  action_spec: types.NestedArraySpec,
  generators: Sequence[np.random.Generator],
  num_each: int,
) -> types.NestedArray:
  """Draws actions, uniform or standard normal.

  Args:
    action_spec: A nest of array specs.
    generators: B of them, one for each task.
    num_each: E, the number of actions to draw from each.

  Returns:
    A nest of arrays [B * E, ...].
  """
  return tf.nest.map_structure(
    lambda spec: np.concatenate(
      [_draw_part(spec, rng, (num_each, *spec.shape)) for rng in generators]
    ),
    action_spec,
  )


def _draw_part(spec, rng, shape):
  if spec.dtype == np.bool_:
    return rng.integers(0, 2, shape).astype(np.bool_)
  spec = array_spec.BoundedArraySpec.from_spec(spec)
  low, high = spec.minimum, spec.maximum
  if np.issubdtype(spec.dtype, np.integer):
    return rng.integers(low, high, shape, spec.dtype, endpoint=True)
  # The bounds of an unbounded spec are the limits of its type.
  limit = np.finfo(spec.dtype).max
  bounded = (low > -limit) & (high < limit)
  uniform = rng.uniform(
    np.where(bounded, low, 0), np.where(bounded, high, 1), shape
  )
  normal = np.clip(rng.standard_normal(shape), low, high)
  return np.where(bounded, uniform, normal).astype(spec.dtype)
