"""Collects a meta-batch: tasks, rollouts, adapt, rollouts, ..."""

from collections.abc import Callable
from collections.abc import Iterator
import time
from typing import Any
from typing import NamedTuple
from typing import cast
import warnings

import numpy as np
from tf_agents.trajectories import trajectory

from maml_tf.collection import adapted_policy
from maml_tf.collection import episode_buffer
from maml_tf.collection import episode_driver
from maml_tf.collection import episode_outcomes
from maml_tf.collection import graph_driver
from maml_tf.collection import stage_holder
from maml_tf.core import finite_checks
from maml_tf.core import meta_batch
from maml_tf.core import random_streams
from maml_tf.environments import listed_tasks
from maml_tf.environments import task_environment

PrepareFn = Callable[
  [trajectory.Trajectory, adapted_policy.Parameters], meta_batch.Stage
]
AdaptFn = Callable[
  [trajectory.Trajectory | meta_batch.Stage, adapted_policy.Parameters, int],
  adapted_policy.Parameters,
]


class CollectedStage(NamedTuple):
  """One stage as it was collected.

  Attributes:
    experience: A `Trajectory`, leaves [B, T, ...].
    policy_state: The parameters that acted, leaves [B, ...].
    returns: A float64 array [B, E]: undiscounted episode returns.
    env_steps: How many transitions the stage holds.
    successes: A bool array [B, E]: whether an episode had a step that was a
      success; None if the environment has no successes.
    num_discarded: How many episodes the environment discarded.
    prepared: The experience as a `Stage`; None unless the collector prepares.
  """

  experience: trajectory.Trajectory
  policy_state: adapted_policy.Parameters
  returns: np.ndarray
  env_steps: int
  successes: np.ndarray | None
  num_discarded: int
  prepared: meta_batch.Stage | None


class Collected(NamedTuple):
  """What one collection gives.

  Attributes:
    meta_batch: A `MetaBatch`: X support stages and the query.
    policy_states: X + 1 nests of parameters, leaves [B, ...]: what acted in
      each stage.
    tasks: The tasks, an array [B, ...] or a list of B objects.
    task_places: An int array [B], the places of the tasks among `task_names` of
      the collector; -1: not among them.
    returns: A float64 array [X + 1, B, E]: undiscounted episode returns.
    env_steps: How many transitions all stages hold together.
    unstable_episodes: How many episodes unstable physics ended.
    other_counts: What else is counted, by name: 'discarded_episodes' of
      environments that may discard, 'successes_step_<i>', the successful
      episodes of stage i, of environments that have successes.
    seconds: Wall seconds of 'physics', 'acting', 'adaptation' and 'other'.
  """

  meta_batch: meta_batch.MetaBatch
  policy_states: tuple[adapted_policy.Parameters, ...]
  tasks: Any
  task_places: np.ndarray
  returns: np.ndarray
  env_steps: int
  unstable_episodes: int
  other_counts: dict[str, int]
  seconds: dict[str, float]


class MetaCollector:
  """Collects all stages of a meta-batch with one environment.

  Every draw comes from a stream keyed by (seed, iteration, stage, task index,
  purpose): collecting an iteration again gives the same bits.
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
    prepare: PrepareFn | None = None,
    meta_batch_size: int | None = None,
  ):
    """Creates the driver and its buffer.

    Args:
      environment: B tasks with E environments each.
      policy: The policy that collects; its initial state is the
        meta-parameters.
      adapt: (stage [B, T], policy state [B, ...], step) -> policy state: one
        adaptation step, the first of which is 0. The stage is a `Trajectory`,
        or what `prepare` made of it. It raises `NonFiniteError` for parameters
        that are not finite, as `MamlAgent.adapt` does.
      num_adaptation_steps: X.
      seed: The run's seed.
      first_task_index: The index of this environment's first task in the whole
        meta-batch, if tasks are divided over workers.
      jit_compile: Whether XLA compiles the policy's forward pass.
      prepare: (trajectory, policy state that acted) -> `Stage`, such as
        `MamlAgent.prepare`: adaptation and `train` then read the same prepared
        stages. None: each prepares for itself.
      meta_batch_size: The number of tasks in the whole meta-batch. None: those
        of the environment.
    """
    self._environment = environment
    self._prepare = prepare
    self._policy = policy
    self._adapt = adapt
    self._num_adaptation_steps = num_adaptation_steps
    self._seed = seed
    self._task_indices = self._indices_from(first_task_index)
    self._meta_batch_size = meta_batch_size or environment.num_tasks
    buffer: Any = episode_buffer.EpisodeBuffer
    driver: Any = episode_driver.EpisodeDriver
    if environment.tensor_rows is not None:
      buffer, driver = stage_holder.StageHolder, graph_driver.GraphDriver
    self._buffer = buffer(
      policy.collect_data_spec,
      environment.num_tasks,
      environment.environments_per_task,
      environment.horizon,
    )
    self._listed = listed_tasks.ListedTasks(environment.task_list)
    self._outcomes = episode_outcomes.EpisodeOutcomes(environment)
    has_outcomes = environment.may_discard or environment.success is not None
    self._driver = driver(
      environment,
      policy,
      [self._buffer, *[self._outcomes] * has_outcomes],
      environment.horizon,
      jit_compile=jit_compile,
    )
    self._adaptation_seconds = 0.0
    # The iteration that `collect` collected last.
    self._last_iteration = None

  @property
  def returns_shape(self) -> tuple[int, int, int]:
    """The shape of the collected returns, (X + 1, B, E)."""
    return (
      self._num_adaptation_steps + 1,
      self._environment.num_tasks,
      self._environment.environments_per_task,
    )

  @property
  def task_names(self) -> tuple[str, ...]:
    """The names of the training tasks if there are few, see `ListedTasks`."""
    return self._listed.names

  @property
  def other_count_names(self) -> tuple[str, ...]:
    """The names of the `other_counts` of `Collected`."""
    names = ('discarded_episodes',) * self._environment.may_discard
    if self._environment.success is None:
      return names
    stages = range(self._num_adaptation_steps + 1)
    return (*names, *(f'successes_step_{stage}' for stage in stages))

  def blank_meta_batch(self) -> meta_batch.MetaBatch:
    """Returns a `MetaBatch` shaped like `collect`'s that holds only boundaries.

    A graph can be traced for it before anything is collected.
    """
    self._buffer.clear()
    state = self._policy.get_initial_state(self._environment.num_tasks)
    blanks = [
      self._buffer.read() for _ in range(self._num_adaptation_steps + 1)
    ]
    return _meta_batch(
      [(blank, self._prepared(blank, state)) for blank in blanks]
    )

  def collect(self, iteration: int) -> Collected:
    """Samples tasks and collects all stages.

    Training counts from 1. Iteration 0, `random_streams.HELD_OUT`, plays the
    held-out tasks: train on it, and no tasks are left to evaluate on.

    Args:
      iteration: The meta-iteration, which names the random streams.

    Returns:
      A `Collected`.

    Raises:
      finite_checks.NonFiniteError: See `stages`.
    """
    self._warn_of_held_out(iteration)
    start = time.perf_counter()
    unstable_before = self._environment.num_unstable_episodes
    self._driver.environment_seconds = self._driver.policy_seconds = 0.0
    self._adaptation_seconds = 0.0
    stages = list(self.stages(iteration))
    seconds = {
      'physics': self._driver.environment_seconds,
      'acting': self._driver.policy_seconds,
      'adaptation': self._adaptation_seconds,
    }
    seconds['other'] = time.perf_counter() - start - sum(seconds.values())
    return Collected(
      meta_batch=_meta_batch([(s.experience, s.prepared) for s in stages]),
      policy_states=tuple(stage.policy_state for stage in stages),
      tasks=self._environment.tasks,
      task_places=self._listed.places(self._environment.tasks),
      returns=np.stack([stage.returns for stage in stages]),
      env_steps=sum(stage.env_steps for stage in stages),
      unstable_episodes=(
        self._environment.num_unstable_episodes - unstable_before
      ),
      other_counts=self._other_counts(stages),
      seconds=seconds,
    )

  def stages(
    self,
    iteration: int,
    policy_state: adapted_policy.Parameters | None = None,
    first_task_index: int | None = None,
  ) -> Iterator[CollectedStage]:
    """Samples tasks and yields stage after stage, of which it keeps the last.

    Args:
      iteration: The meta-iteration, which names the random streams. 0 plays
        the held-out tasks, see `collect`.
      policy_state: The parameters to begin with, leaves [B, ...]. None: the
        policy's initial state.
      first_task_index: From now on, the index of the first task in the whole
        meta-batch. None: as before.

    Raises:
      finite_checks.NonFiniteError: An observation, action or reward of a stage
        is not finite, or what adaptation makes of the parameters.
    """
    if first_task_index is not None:
      self._task_indices = self._indices_from(first_task_index)
    self._environment.set_tasks(self._sample_tasks(iteration))
    if policy_state is None:
      policy_state = cast(
        adapted_policy.Parameters,
        self._policy.get_initial_state(self._environment.num_tasks),
      )
    # An interrupted collection leaves frames behind.
    self._buffer.clear()
    for stage in range(self._num_adaptation_steps + 1):
      self._environment.seed(
        self._keys(iteration, stage, random_streams.Purpose.RESET)
      )
      self._outcomes.clear()
      self._driver.run(policy_state, self._noise(iteration, stage))
      self._check_finite(
        finite_checks.find_in_stage(self._buffer.frames()), stage
      )
      returns = self._buffer.episode_returns()
      env_steps = self._buffer.num_transitions()
      experience = self._buffer.read()
      prepared = self._timed_prepare(experience, policy_state)
      successes = self._outcomes.successes
      if successes is not None:
        successes = successes.reshape(returns.shape)
      yield CollectedStage(
        experience,
        policy_state,
        returns,
        env_steps,
        successes,
        self._outcomes.num_discarded,
        prepared,
      )
      if stage < self._num_adaptation_steps:
        policy_state = self._timed_adapt(
          prepared or experience, policy_state, stage
        )

  def close(self) -> None:
    """Closes the environment."""
    self._environment.close()

  def _warn_of_held_out(self, iteration):
    """Warns of a loop that counts from 0: it trains on the held-out tasks."""
    if iteration == 1 and self._last_iteration == random_streams.HELD_OUT:
      warnings.warn(
        'iterations 0 and 1 are collected in turn, but the tasks of iteration 0'
        ' are held out for evaluation: to train, count iterations from 1',
        stacklevel=3,
      )
    self._last_iteration = iteration

  def _check_finite(self, finding, stage):
    if finding is not None:
      raise finite_checks.NonFiniteError(
        finding.quantity,
        self._task_indices[finding.task],
        stage,
        finding.count,
      )

  def _prepared(self, experience, policy_state):
    return self._prepare and self._prepare(experience, policy_state)

  def _timed_prepare(self, experience, policy_state):
    start = time.perf_counter()
    prepared = self._prepared(experience, policy_state)
    self._adaptation_seconds += time.perf_counter() - start
    return prepared

  def _timed_adapt(self, stage, policy_state, step):
    start = time.perf_counter()
    try:
      policy_state = self._adapt(stage, policy_state, step)
    except finite_checks.NonFiniteError as error:
      self._check_finite(error, step + 1)
    # Reading a value waits for the computation: the time is its own.
    policy_state[0].numpy()
    self._adaptation_seconds += time.perf_counter() - start
    return policy_state

  def _keys(self, iteration, stage, purpose):
    return random_streams.task_keys(
      self._seed, iteration, stage, self._task_indices, purpose
    )

  def _indices_from(self, first_task_index):
    return range(
      first_task_index, first_task_index + self._environment.num_tasks
    )

  def _sample_tasks(self, iteration):
    """Draws the tasks of an iteration, B of them."""
    first = 0
    if iteration == random_streams.HELD_OUT:
      sample = self._environment.held_out_task
    else:
      sample = self._environment.sample_task
      if self._meta_batch_size % self._environment.num_kinds:
        # Otherwise some kinds would be played more often, or never.
        first = (iteration - 1) * self._meta_batch_size
    keys = self._keys(iteration, 0, random_streams.Purpose.TASK)
    return [
      sample(first + index, random_streams.generator(key))
      for index, key in zip(self._task_indices, keys)
    ]

  def _other_counts(self, stages):
    counts = [sum(stage.num_discarded for stage in stages)]
    counts = counts * self._environment.may_discard + [
      int(np.count_nonzero(stage.successes))
      for stage in stages
      if stage.successes is not None
    ]
    return dict(zip(self.other_count_names, counts))

  def _noise(self, iteration, stage):
    """Draws the actions' noise, arrays [horizon, N, ...]."""
    outer = (self._environment.horizon, self._environment.environments_per_task)
    per_task = [
      self._policy.distributions.draw_noise(
        random_streams.generator(key), outer
      )
      for key in self._keys(iteration, stage, random_streams.Purpose.ACTION)
    ]
    if self._environment.tensor_rows is not None:
      return tuple(np.stack(parts) for parts in zip(*per_task))
    return tuple(np.concatenate(parts, axis=1) for parts in zip(*per_task))


def _meta_batch(stages):
  """The meta-batch of X + 1 pairs: a stage and what was prepared of it."""
  *support, query = (experience for experience, _ in stages)
  prepared = tuple(stage for _, stage in stages if stage is not None)
  return meta_batch.MetaBatch(tuple(support), query, prepared)
