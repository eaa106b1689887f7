"""Collects a meta-batch: tasks, rollouts, adapt, rollouts, ..."""

from collections.abc import Callable
import time
from typing import NamedTuple

import numpy as np
from tf_agents.trajectories import trajectory
from tf_agents.typing import types

from maml_tf import meta_batch
from maml_tf import random_streams
from maml_tf.collection import adapted_policy
from maml_tf.collection import episode_buffer
from maml_tf.collection import episode_driver
from maml_tf.environments import task_environment

AdaptFn = Callable[
  [trajectory.Trajectory, tuple[types.Tensor, ...], int],
  tuple[types.Tensor, ...],
]


class Collected(NamedTuple):
  """What one collection gives.

  Attributes:
    meta_batch: A `MetaBatch`: X support stages and the query.
    policy_states: X + 1 nests of parameters, leaves [B, ...]: what acted in
      each stage.
    tasks: The tasks, an array [B, ...].
    returns: A float64 array [X + 1, B, E]: undiscounted episode returns.
    env_steps: How many transitions all stages hold together.
    seconds: Wall seconds of 'physics', 'acting', 'adaptation' and 'other'.
  """

  meta_batch: meta_batch.MetaBatch
  policy_states: tuple[tuple[types.Tensor, ...], ...]
  tasks: np.ndarray
  returns: np.ndarray
  env_steps: int
  seconds: dict[str, float]


class MetaCollector:
  """Collects all stages of a meta-batch with one environment.

  Every draw comes from a stream named by (seed, iteration, stage, task index,
  purpose): the same iteration is collected again bit for bit.
  """

  def __init__(
    self,
    environment: task_environment.TaskEnvironment,
    policy: adapted_policy.AdaptedPolicy,
    adapt: AdaptFn,
    num_adaptation_steps: int,
    seed: int,
    first_task_index: int = 0,
    jit_compile: bool = False,
  ):
    """Creates the driver and its buffer.

    Args:
      environment: B tasks with E environments each.
      policy: The policy that collects; its initial state is the
        meta-parameters.
      adapt: (trajectory [B, T], policy state [B, ...], step) -> policy state:
        one adaptation step, the first of which is 0.
      num_adaptation_steps: X.
      seed: The run's seed.
      first_task_index: The place of this environment's first task in the whole
        meta-batch, when tasks are divided over workers.
      jit_compile: Whether XLA compiles the policy's forward pass.
    """
    self._environment = environment
    self._policy = policy
    self._adapt = adapt
    self._num_adaptation_steps = num_adaptation_steps
    self._seed = seed
    self._task_indices = range(
      first_task_index, first_task_index + environment.num_tasks
    )
    self._buffer = episode_buffer.EpisodeBuffer(
      policy.collect_data_spec,
      environment.num_tasks,
      environment.environments_per_task,
      environment.horizon,
    )
    self._driver = episode_driver.EpisodeDriver(
      environment,
      policy,
      [self._buffer],
      environment.horizon,
      jit_compile=jit_compile,
    )

  def collect(self, iteration: int) -> Collected:
    """Samples tasks and collects all stages.

    Args:
      iteration: The meta-iteration, which names the random streams.

    Returns:
      A `Collected`.
    """
    start = time.perf_counter()
    self._driver.environment_seconds = self._driver.policy_seconds = 0.0
    adaptation_seconds = 0.0
    tasks = self._sample_tasks(iteration)
    self._environment.set_tasks(tasks)
    policy_state = self._policy.get_initial_state(self._environment.num_tasks)
    stages, states, returns, env_steps = [], [], [], 0
    for stage in range(self._num_adaptation_steps + 1):
      if stage:
        adaptation_start = time.perf_counter()
        policy_state = self._adapt(stages[-1], policy_state, stage - 1)
        # Reading a value waits for the computation: the time is its own.
        policy_state[0].numpy()
        adaptation_seconds += time.perf_counter() - adaptation_start
      self._environment.seed(
        self._keys(iteration, stage, random_streams.Purpose.RESET)
      )
      self._driver.run(policy_state, self._noise(iteration, stage))
      returns.append(self._buffer.episode_returns())
      env_steps += self._buffer.num_transitions()
      stages.append(self._buffer.read())
      states.append(policy_state)
    seconds = {
      'physics': self._driver.environment_seconds,
      'acting': self._driver.policy_seconds,
      'adaptation': adaptation_seconds,
    }
    seconds['other'] = time.perf_counter() - start - sum(seconds.values())
    return Collected(
      meta_batch.MetaBatch(tuple(stages[:-1]), stages[-1]),
      tuple(states),
      tasks,
      np.stack(returns),
      env_steps,
      seconds,
    )

  def _keys(self, iteration, stage, purpose):
    return [
      random_streams.key(self._seed, iteration, stage, index, purpose)
      for index in self._task_indices
    ]

  def _sample_tasks(self, iteration):
    keys = self._keys(iteration, 0, random_streams.Purpose.TASK)
    return np.concatenate(
      [
        self._environment.sample_tasks(1, random_streams.generator(key))
        for key in keys
      ]
    )

  def _noise(self, iteration, stage):
    """Draws the actions' noise, arrays [horizon, N, ...]."""
    outer = (self._environment.horizon, self._environment.environments_per_task)
    per_task = [
      self._policy.distributions.draw_noise(
        random_streams.generator(key), outer
      )
      for key in self._keys(iteration, stage, random_streams.Purpose.ACTION)
    ]
    return tuple(np.concatenate(parts, axis=1) for parts in zip(*per_task))
