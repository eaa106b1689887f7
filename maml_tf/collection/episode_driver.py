"""A driver that runs one whole episode in every environment of a batch."""

from collections.abc import Sequence
from concurrent import futures
import threading

import numpy as np
from tf_agents.environments import py_environment

from maml_tf.collection import adapted_policy
from maml_tf.collection import compiled_actor
from maml_tf.collection import rollout
from maml_tf.environments import task_groups


class EpisodeDriver:
  """Runs E episodes for every task: one in each of the N = B * E environments.

  Stock drivers count episodes across the batch, which favours short ones. Here
  every environment contributes exactly one; an environment that finishes early
  waits, and its later frames are LAST/LAST boundaries.

  The groups of `TaskGroups` play side by side, each in its own thread, if all
  observers can watch single rows, as an `EpisodeBuffer` can. While the policy
  acts for one group, the others move.

  Attributes:
    environment_seconds: Wall time of the environment's steps, over all runs. Of
      groups that play side by side, the mean.
    policy_seconds: Wall time of acting, likewise.
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
        [N, ...]. An observer with a method `of_rows`, which returns an observer
        of the frames of some rows, can watch groups.
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
    if isinstance(self._environment, task_groups.TaskGroups) and all(
      hasattr(observer, 'of_rows') for observer in self._observers
    ):
      seconds = self._play_groups(self._environment, policy_state, noise)
    else:
      seconds = self._play(
        self._environment, policy_state, noise, self._observers
      )
    self.environment_seconds += seconds.environment
    self.policy_seconds += seconds.actor

  def _play(self, environment, policy_state, noise, observers):
    actor = self._actor.for_episode(
      policy_state, lambda t: tuple(n[t] for n in noise)
    )
    return rollout.play_episodes(environment, actor, observers, self._horizon)

  def _play_groups(self, environment, policy_state, noise):
    """Plays the first group in this thread, which signals may interrupt."""
    stop = threading.Event()

    def check_stop(frame):
      del frame
      if stop.is_set():
        raise _OtherGroupFailed

    def play(group, rows, tasks):
      observers = [observer.of_rows(rows) for observer in self._observers]
      try:
        return self._play(
          group,
          tuple(parameter[tasks] for parameter in policy_state),
          tuple(array[:, rows] for array in noise),
          [check_stop, *observers],
        )
      except BaseException:
        stop.set()
        raise

    first, *others = zip(
      environment.groups, environment.group_rows, environment.group_tasks
    )
    with futures.ThreadPoolExecutor(len(others)) as pool:
      playing = [pool.submit(play, *other) for other in others]
      try:
        played = [play(*first), *(future.result() for future in playing)]
      except _OtherGroupFailed:
        for future in futures.as_completed(playing):
          if not isinstance(future.exception(), _OtherGroupFailed):
            future.result()
        raise
      except BaseException:
        stop.set()  # A signal may arrive while this thread waits.
        raise
    return rollout.Seconds(*np.mean(played, axis=0).tolist())


class _OtherGroupFailed(Exception):
  """Ends the rollout of a group because another one has failed."""
