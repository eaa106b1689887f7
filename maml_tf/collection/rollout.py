"""The rollout: one loop that steps an environment with a policy.

Collection, `maml_tf.adapt`, evaluation, videos and random references all play
their episodes here.
"""

from collections.abc import Callable
from collections.abc import Sequence
import time
from typing import Any
from typing import NamedTuple
from typing import Protocol

import numpy as np
import tensorflow as tf
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

Actor = Callable[[ts.TimeStep, int], policy_step.PolicyStep]
Observer = Callable[[trajectory.Trajectory], None]


class Environment(Protocol):
  """What a rollout needs of an environment, e.g. of a batched `PyEnvironment`.

  `TaskEnvironment`'s method `rest` saves steps of rows that wait; it is called
  if there is one.

  Both methods return a `TimeStep` of arrays [N, ...], which the next step may
  overwrite. An action is a nest of arrays [N, ...], which `step` may overwrite.
  """

  def reset(self) -> Any:
    """Starts an episode in every row."""

  def step(self, action: Any) -> Any:
    """Advances every row; a row whose episode has ended starts anew."""


class Seconds(NamedTuple):
  """Wall time of a rollout.

  Attributes:
    environment: Seconds in `reset` and `step`.
    actor: Seconds in the actor.
  """

  environment: float
  actor: float


def play_episodes(
  environment: Environment,
  actor: Actor,
  observers: Sequence[Observer],
  horizon: int,
) -> Seconds:
  """Plays one episode in each of the N rows.

  The rollout ends as soon as every row has finished its episode, or after
  `horizon` steps. A row that finishes early waits for the others: the
  environment lets it rest or goes on stepping it, but its frames are LAST/LAST
  boundaries with reward 0.

  Observers see one frame for each step and a final one, at most horizon + 1.
  Frame t holds observation t, the action taken there and the reward that
  followed; at that time the environment has already made the step. The final
  frame holds the last observation, for the value of its state; its action is
  zero.

  Args:
    environment: Resets and steps N rows together.
    actor: (time step, t) -> a `PolicyStep` of arrays [N, ...], whose `action`
      goes to the environment; t counts from 0.
    observers: Each is called with every frame, a `Trajectory` of arrays
      [N, ...], in order.
    horizon: The maximum number of steps.

  Returns:
    `Seconds`.
  """
  start = time.perf_counter()
  time_step = _copy(environment.reset())
  environment_seconds = time.perf_counter() - start
  actor_seconds = 0.0
  ended = time_step.is_last()
  finished = np.zeros_like(ended)
  action_step = None
  rest = getattr(environment, 'rest', lambda rows: None)
  try:
    for t in range(horizon):
      start = time.perf_counter()
      action_step = actor(time_step, t)
      acted = time.perf_counter()
      # A copy, since frames hold the action as it was sampled.
      action = _copy_nest(action_step.action)
      next_time_step = _copy(environment.step(action))
      environment_seconds += time.perf_counter() - acted
      actor_seconds += acted - start
      _observe(observers, time_step, action_step, next_time_step, finished)
      finished = finished | ended
      time_step, ended = next_time_step, next_time_step.is_last()
      waiting = finished | ended
      if waiting.all():
        break
      if waiting.any():
        rest(waiting)
  finally:
    # Whoever steps on, without a reset, plays all rows.
    rest(np.zeros_like(finished))
  no_action = tf.nest.map_structure(np.zeros_like, action_step)
  _observe(observers, time_step, no_action, time_step, finished)
  return Seconds(environment_seconds, actor_seconds)


def _copy(time_step):
  """Copies a time step: its frame is shown after the next step, and kept."""
  return ts.TimeStep(
    np.array(time_step.step_type),
    np.array(time_step.reward),
    np.array(time_step.discount),
    _copy_nest(time_step.observation),
  )


def _copy_nest(nest):
  if isinstance(nest, np.ndarray):
    return nest.copy()  # `tf.nest` takes longer.
  return tf.nest.map_structure(np.array, nest)


def _observe(observers, time_step, action_step, next_time_step, finished):
  """Shows a frame, in which rows that wait are boundaries, to observers."""
  frame = trajectory.from_transition(time_step, action_step, next_time_step)
  if finished.any():
    last = np.int32(ts.StepType.LAST)
    frame = frame._replace(
      step_type=_replace(finished, last, frame.step_type),
      next_step_type=_replace(finished, last, frame.next_step_type),
      reward=_replace(finished, np.float32(0), frame.reward),
    )
  for observer in observers:
    observer(frame)


def _replace(rows, value, array):
  return np.where(rows, value, array)
