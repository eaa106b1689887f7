"""A driver that runs one whole episode in every environment of a batch."""

from collections.abc import Sequence

import numpy as np
from tf_agents.environments import py_environment

from maml_tf.collection import adapted_policy
from maml_tf.collection import compiled_actor
from maml_tf.collection import rollout


class EpisodeDriver:
  """Runs E episodes for every task: one in each of the N = B * E environments.

  Stock drivers count episodes across the batch, which favours short ones. Here
  every environment contributes exactly one; an environment that finishes early
  waits, and its later frames are LAST/LAST boundaries.

  Attributes:
    environment_seconds: Wall time of the environment's steps, over all runs.
    policy_seconds: Wall time of acting, over all runs.
  """

  def __init__(
    self,
    environment: py_environment.PyEnvironment,
    policy: adapted_policy.AdaptedPolicy,
    observers: Sequence[rollout.Observer],
    horizon: int,
    jit_compile: bool = False,
  ):
    """Prepares the policy's compiled step.

    Args:
      environment: A batched environment of N rows, grouped by task.
      policy: The policy.
      observers: Each is called with every frame, a `Trajectory` of arrays
        [N, ...].
      horizon: The maximum number of transitions of an episode.
      jit_compile: Whether XLA compiles the forward pass.
    """
    self._environment = environment
    self._observers = tuple(observers)
    self._horizon = horizon
    self._actor = compiled_actor.CompiledActor(policy, jit_compile)
    self.environment_seconds = 0.0
    self.policy_seconds = 0.0

  def run(
    self,
    policy_state: adapted_policy.Parameters,
    noise: tuple[np.ndarray, ...],
  ) -> None:
    """Collects one episode in every environment.

    Args:
      policy_state: The parameters, leaves [B, ...].
      noise: The noise of the actions, one array [horizon, N, *shape] for each
        of the policy's noise specs.
    """
    actor = self._actor.for_episode(
      policy_state, lambda t: tuple(n[t] for n in noise)
    )
    seconds = rollout.play_episodes(
      self._environment, actor, self._observers, self._horizon
    )
    self.environment_seconds += seconds.environment
    self.policy_seconds += seconds.actor
