"""A driver that runs one whole episode in every environment of a batch."""

from collections.abc import Callable
from collections.abc import Sequence
import time

import numpy as np
import tensorflow as tf
from tf_agents.environments import py_environment
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.typing import types

from maml_tf.collection import adapted_policy


class EpisodeDriver:
  """Runs E episodes for every task: one in each of the N = B * E environments.

  Stock drivers count episodes across the batch, which favours short ones. Here
  every environment contributes exactly one; an environment that is done early
  waits, and its later frames are LAST/LAST boundaries.
  """

  def __init__(
    self,
    environment: py_environment.PyEnvironment,
    policy: adapted_policy.AdaptedPolicy,
    observers: Sequence[Callable[[trajectory.Trajectory], None]],
    horizon: int,
    jit_compile: bool = False,
  ):
    """Compiles the policy's step.

    Args:
      environment: A batched environment of N rows, grouped by task.
      policy: What acts.
      observers: Each is called with every frame, a `Trajectory` of arrays
        [N, ...].
      horizon: The most transitions of an episode.
      jit_compile: Whether XLA compiles the forward pass.
    """
    self._environment = environment
    self._observers = tuple(observers)
    self._horizon = horizon
    self._policy = policy
    self._act = tf.function(
      self._act_on, autograph=False, jit_compile=jit_compile
    )
    self.environment_seconds = 0.0
    self.policy_seconds = 0.0

  def run(
    self,
    policy_state: tuple[types.Tensor, ...],
    noise: tuple[np.ndarray, ...],
  ) -> None:
    """Collects one episode in every environment.

    Args:
      policy_state: The parameters, leaves [B, ...].
      noise: What the actions are drawn from: for each of the policy's noise
        specs an array [horizon, N, *shape].
    """
    time_step = self._timed_environment(self._environment.reset)
    # One look-up a stage, not one a step.
    act = self._act.get_concrete_function(
      *_act_arguments(time_step, policy_state, tuple(n[0] for n in noise))
    )
    finished = np.zeros(time_step.step_type.shape, bool)
    for t in range(self._horizon):
      action_step = self._timed_action(
        act, time_step, policy_state, tuple(n[t] for n in noise)
      )
      next_time_step = self._timed_environment(
        self._environment.step, action_step.action
      )
      self._observe(time_step, action_step, next_time_step, finished)
      finished = finished | time_step.is_last()
      time_step = next_time_step
      if np.all(finished | time_step.is_last()):
        break
    # The frame that holds the last observation, for the value of its state.
    idle = tf.nest.map_structure(np.zeros_like, action_step)
    self._observe(time_step, idle, time_step, finished)

  def _observe(self, time_step, action_step, next_time_step, finished):
    frame = trajectory.from_transition(time_step, action_step, next_time_step)
    if finished.any():
      frame = frame._replace(
        step_type=_last_where(finished, frame.step_type),
        next_step_type=_last_where(finished, frame.next_step_type),
        reward=np.where(finished, np.float32(0), frame.reward),
      )
    for observer in self._observers:
      observer(frame)

  def _timed_environment(self, call, *args) -> ts.TimeStep:
    start = time.perf_counter()
    time_step = call(*args)
    self.environment_seconds += time.perf_counter() - start
    return time_step

  def _act_on(self, observation, step_type, policy_state, noise):
    time_step = ts.TimeStep(step_type, (), (), observation)
    return adapted_policy.act_batch_invariant(
      self._policy, time_step, policy_state, noise
    )

  def _timed_action(
    self, act, time_step, policy_state, noise
  ) -> policy_step.PolicyStep:
    start = time.perf_counter()
    step = act(*_act_arguments(time_step, policy_state, noise))
    step = tf.nest.map_structure(lambda t: t.numpy(), step)
    self.policy_seconds += time.perf_counter() - start
    return step


def _act_arguments(time_step, policy_state, noise):
  """What decides the actions, as tensors."""
  observation, noise = tf.nest.map_structure(
    tf.constant, (time_step.observation, noise)
  )
  return observation, tf.constant(time_step.step_type), policy_state, noise


def _last_where(finished, step_type):
  return np.where(finished, np.int32(ts.StepType.LAST), step_type)
