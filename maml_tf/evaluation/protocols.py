"""Meta-World's evaluation protocol: adapt by exploring, then act by the mode.

The protocol is that of Meta-World 3 (`metaworld.evaluation`, arXiv:2505.11289):
40 goals of each held-out class, 10 episodes and one step to adapt, then 3
episodes in which the policy acts by the mode of its distribution.
"""

import collections
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.collection import compiled_actor
from maml_tf.collection import episode_outcomes
from maml_tf.collection import meta_collector
from maml_tf.collection import rollout
from maml_tf.core import checks
from maml_tf.core import random_streams
from maml_tf.environments import meta_world
from maml_tf.evaluation import random_actions
from maml_tf.learning import maml_agent

NUM_GOALS = 40
NUM_ADAPTATION_STEPS = 1
ADAPTATION_EPISODES = 10
EVALUATION_EPISODES = 3

# An environment takes 22 MB, so the tasks are played in rounds.
_MAX_ROWS = 100


class PolicyResult(NamedTuple):
  """The evaluation episodes of one policy.

  Attributes:
    name: 'trained', or the name of a reference: 'initial' or 'random'.
    returns: A float64 array [2, B, 3]: undiscounted returns of whole episodes
      before and after adaptation; [1, B, 3] of random actions.
    successes: A bool array of the same shape: whether a step was a success.
  """

  name: str
  returns: np.ndarray
  successes: np.ndarray


class ProtocolResult(NamedTuple):
  """The result of the protocol.

  Attributes:
    iteration: The number of meta-iterations that the policy has trained for.
    seed: The seed of the actions.
    num_adaptation_steps: S.
    adaptation_episodes: E, the number of episodes before each step.
    classes: The names of the C classes.
    tasks: The B = G * C tasks: goal 0 of each class, goal 1 of each class, ...
    policies: The trained policy, then the references.
  """

  iteration: int
  seed: int
  num_adaptation_steps: int
  adaptation_episodes: int
  classes: tuple[str, ...]
  tasks: Sequence[meta_world.MetaWorldTask]
  policies: tuple[PolicyResult, ...]

  @property
  def num_goals(self) -> int:
    """G, the number of goals of each class."""
    return len(self.tasks) // len(self.classes)


class MetaWorldProtocol:
  """Evaluates an agent as Meta-World's authors do.

  The classes are the held-out ones of the run's benchmark; those of ML1 are the
  one that it trains on, with other goals. Rounds of at most 100 environments
  play the tasks.
  """

  def __init__(
    self,
    agent: maml_agent.MamlAgent,
    create_environment: Callable[..., Any],
    seed: int,
    num_goals: int = NUM_GOALS,
    adaptation_episodes: int = ADAPTATION_EPISODES,
    num_adaptation_steps: int = NUM_ADAPTATION_STEPS,
  ):
    """Creates the environments of a round.

    Args:
      agent: The agent to evaluate.
      create_environment: Makes a `MetaWorldTasks`, given num_tasks and
        environments_per_task.
      seed: Seeds the actions.
      num_goals: G, the number of goals of each class.
      adaptation_episodes: E, the number of episodes before each step.
      num_adaptation_steps: S, the number of steps.

    Raises:
      ValueError: If a number is out of range.
    """
    checks.integer('num_goals', num_goals, 1)
    checks.integer('episodes', adaptation_episodes, 1)
    checks.integer(
      'num_adaptation_steps',
      num_adaptation_steps,
      1,
      checks.MAX_ADAPTATION_STEPS,
    )
    self._agent = agent
    self._seed = checks.integer('seed', seed, 0)
    self._adaptation_episodes = adaptation_episodes
    self._num_adaptation_steps = num_adaptation_steps
    first = create_environment(num_tasks=1, environments_per_task=1)
    self._classes = first.held_out_classes
    held_out = first.task_list.held_out
    first.close()
    num_classes = len(self._classes)
    self._tasks = held_out[: num_goals * num_classes]
    if num_goals * num_classes > len(held_out):
      raise ValueError(
        f'num_tasks is {num_goals}, but a class has'
        f' {len(held_out) // num_classes} held-out goals: give at most those'
      )
    self._round = num_classes * _goals_per_round(
      num_goals, num_classes * adaptation_episodes
    )
    self._exploring = create_environment(
      num_tasks=self._round, environments_per_task=adaptation_episodes
    )
    self._collector = meta_collector.MetaCollector(
      self._exploring,
      agent.collect_policy,
      agent.adapt,
      num_adaptation_steps - 1,
      seed,
    )
    self._evaluated = create_environment(
      num_tasks=self._round, environments_per_task=EVALUATION_EPISODES
    )
    self._policy = agent.adapted_policy(
      agent.policy.get_initial_state(None), deterministic=True
    )
    self._actor = compiled_actor.CompiledActor(self._policy)

  def evaluate(
    self,
    initial_parameters: Sequence[types.Array] | None = None,
    log: Callable[[str], None] = lambda line: None,
  ) -> ProtocolResult:
    """Plays all tasks, without changing the agent, and closes the environments.

    Args:
      initial_parameters: The networks' parameters before training, without a
        leading B. They add two references: these parameters, adapted the same
        way, and random actions. None: no references.
      log: Receives a line after each round.

    Returns:
      A `ProtocolResult`.
    """
    try:
      policies = tuple(self._policies(initial_parameters, log))
    finally:
      self._exploring.close()
      self._evaluated.close()
    return ProtocolResult(
      int(self._agent.train_step_counter.numpy()),
      self._seed,
      self._num_adaptation_steps,
      self._adaptation_episodes,
      self._classes,
      self._tasks,
      policies,
    )

  def _policies(self, initial_parameters, log):
    """Yields the results of the trained policy and of the references."""
    players = {'trained': self._player(None)}
    if initial_parameters is not None:
      players['initial'] = self._player(initial_parameters)
      players['random'] = self._play_at_random
    for name, play in players.items():
      rounds = []
      for first in range(0, len(self._tasks), self._round):
        rounds.append(play(first))
        returns, successes = rounds[-1]
        log(
          f'{name}, tasks {first + 1} to {first + self._round} of'
          f' {len(self._tasks)}: return {returns[-1].mean():.4g}, success'
          f' {successes[-1].mean():.0%}'
        )
      yield PolicyResult(
        name, *(np.concatenate(parts, axis=1) for parts in zip(*rounds))
      )

  def _player(self, parameters):
    """Returns a function that plays a round before and after adaptation."""
    if parameters is None:
      parameters = self._agent.policy.get_initial_state(None)
    policy_state = tuple(
      tf.broadcast_to(p, [self._round, *p.shape]) for p in parameters
    )

    def play(first):
      before = self._play(first, 0, policy_state)
      adapted = self._adapt(first, policy_state)
      after = self._play(first, self._num_adaptation_steps, adapted)
      return tuple(np.stack(pair) for pair in zip(before, after))

    return play

  def _adapt(self, first, policy_state):
    """Explores and adapts S times; returns the parameters, leaves [B, ...]."""
    stages = self._collector.stages(
      random_streams.HELD_OUT, policy_state, first_task_index=first
    )
    (stage,) = collections.deque(stages, maxlen=1)  # The last one.
    return self._agent.adapt(
      stage.experience, stage.policy_state, self._num_adaptation_steps - 1
    )

  def _play(self, first, stage, policy_state):
    """Plays by the mode; returns returns and successes, [B, 3]."""
    self._start_round(first, stage)
    environment = self._evaluated
    outcomes = episode_outcomes.EpisodeOutcomes(environment)
    # The mode needs no noise, but the compiled step takes some.
    noise = self._policy.distributions.draw_noise(
      np.random.default_rng(0), (environment.batch_size,)
    )
    rollout.play_episodes(
      environment,
      self._actor.for_episode(policy_state, lambda t: noise),
      [outcomes],
      environment.horizon,
    )
    shape = (self._round, EVALUATION_EPISODES)
    return outcomes.returns.reshape(shape), outcomes.successes.reshape(shape)

  def _play_at_random(self, first):
    self._start_round(first, 0)
    episodes = random_actions.play(
      self._evaluated, self._seed, random_streams.HELD_OUT
    )
    return episodes.returns[np.newaxis], episodes.successes[np.newaxis]

  def _start_round(self, first, stage):
    """Gives the environment of evaluation the tasks of a round."""
    self._evaluated.set_tasks(self._tasks[first : first + self._round])
    self._evaluated.seed(
      random_streams.task_keys(
        self._seed,
        random_streams.HELD_OUT,
        stage,
        range(first, first + self._round),
        random_streams.Purpose.RESET,
      )
    )


def is_meta_world(create_environment: Callable[..., Any]) -> bool:
  """Returns whether a run's environments are Meta-World's.

  Args:
    create_environment: Makes one, given num_tasks and environments_per_task.
  """
  environment = create_environment(num_tasks=1, environments_per_task=1)
  environment.close()
  return isinstance(environment, meta_world.MetaWorldTasks)


def _goals_per_round(num_goals, rows_per_goal):
  """The largest divisor of G that keeps a round within `_MAX_ROWS` rows."""
  return max(
    n
    for n in range(1, num_goals + 1)
    if num_goals % n == 0 and (n == 1 or n * rows_per_goal <= _MAX_ROWS)
  )
