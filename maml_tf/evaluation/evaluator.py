"""Returns on held-out tasks after 0, 1, ... adaptation steps.

Held-out tasks come from the random streams of iteration 0, which training does
not use, or from a family's finite list of them. All evaluations with one seed
use the same tasks, starts and noise.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import gin
import numpy as np
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.collection import meta_collector
from maml_tf.core import checks
from maml_tf.core import memory
from maml_tf.core import random_streams
from maml_tf.environments import task_environment
from maml_tf.environments import task_groups
from maml_tf.environments import tasks as tasks_lib
from maml_tf.evaluation import random_actions
from maml_tf.evaluation import statistics as evaluation_statistics
from maml_tf.learning import maml_agent

# The MAML paper's code halves the step size after the first step.
_SCHEDULES = ('constant', 'halve')


class PolicyEvaluation(NamedTuple):
  """The returns and successes of one policy.

  Attributes:
    name: 'trained', or the name of a reference: 'initial', 'random',
      'pretrained' or 'oracle'.
    returns: A float64 array [S + 1, B, E]: undiscounted episode returns after
      0, ..., S adaptation steps.
    statistics: One `StepStatistics` for each number of steps.
    successes: A bool array [S + 1, B, E]: whether an episode had a step that
      was a success; None if the environment has no successes.
  """

  name: str
  returns: np.ndarray
  statistics: tuple[evaluation_statistics.StepStatistics, ...]
  successes: np.ndarray | None = None

  @property
  def success_rates(self) -> np.ndarray | None:
    """The share of successful episodes after each step, float64 [S + 1].

    None if the environment has no successes.
    """
    return None if self.successes is None else self.successes.mean(axis=(1, 2))


class Evaluation(NamedTuple):
  """The returns of several policies on the same held-out tasks.

  A family may have a finite list of tasks of which none is held out. If the
  evaluation then plays all of them, it plays each in as many copies.

  Attributes:
    iteration: The number of meta-iterations that the policy has trained for.
    seed: The seed of the tasks, starts and actions.
    step_size_schedule: 'constant' or 'halve'.
    tasks: The tasks, a float64 array [B, ...] or a list of B objects.
    policies: The trained policy, then the references.
    num_training_tasks: L, the length of a list of tasks of which none is held
      out: training has seen them all, and task b is number b % L. 0: all tasks
      are held out.
    task_label: What a task that is one number means, see `TaskFamily`.
  """

  iteration: int
  seed: int
  step_size_schedule: str
  tasks: Any
  policies: tuple[PolicyEvaluation, ...]
  num_training_tasks: int = 0
  task_label: str = tasks_lib.TaskFamily.task_label

  @property
  def num_copies(self) -> int:
    """How often each of the L training tasks is played; 0: not all are."""
    return _num_copies(len(self.tasks), self.num_training_tasks)


@gin.configurable(
  module='maml_tf.evaluation',
  denylist=['agent', 'create_environment', 'seed'],
)
class Evaluator:
  """Adapts an agent to held-out tasks and measures its returns.

  Each evaluation uses the agent's parameters at that time.
  """

  def __init__(
    self,
    agent: maml_agent.MamlAgent,
    create_environment: Callable[..., task_environment.TaskEnvironment],
    seed: int,
    num_tasks: int = 40,
    episodes_per_task: int = 20,
    num_adaptation_steps: int | None = None,
    step_size_schedule: str = 'constant',
  ):
    """Creates an environment of its own and a collector.

    Args:
      agent: The agent to evaluate.
      create_environment: Makes the environment, given num_tasks and
        environments_per_task.
      seed: The run's seed. Its held-out tasks come from other random streams
        than its training tasks.
      num_tasks: B, any number. Of a finite list of held-out tasks it plays at
        most all, in their order. If all tasks of a list were trained on, it
        plays them in as many copies each, which rounds B up.
      episodes_per_task: E, the number of episodes per task and step.
      num_adaptation_steps: S, which may exceed the X of training. None: X.
      step_size_schedule: 'constant': the inner loop's own step sizes. 'halve':
        half of its step size after the first step, as in the MAML paper.

    Raises:
      ValueError: An argument is out of range or of the wrong type.
    """
    checks.integer('num_tasks', num_tasks, 1)
    checks.integer('episodes_per_task', episodes_per_task, 1)
    if num_adaptation_steps is None:
      num_adaptation_steps = agent.num_adaptation_steps
    checks.integer(
      'num_adaptation_steps',
      num_adaptation_steps,
      0,
      checks.MAX_ADAPTATION_STEPS,
    )
    checks.integer('seed', seed, 0)
    self._agent = agent
    self._seed = seed
    self._schedule = step_size_schedule
    self._later_step_size = _later_step_size(agent, step_size_schedule)
    theta = agent.policy.get_initial_state(None)
    num_parameters = sum(int(tf.size(p)) for p in theta)
    memory.check(
      f'{num_tasks} tasks with {num_parameters} adapted parameters each',
      4 * num_tasks * num_parameters,
      'give a smaller num_tasks',
    )
    self._environment = task_groups.divide(
      _create_environment(create_environment, num_tasks, episodes_per_task),
      create_environment,
      agent.collect_policy.widths,
    )
    task_list = self._environment.task_list
    self._num_training_tasks = 0
    if task_list is not None and not len(task_list.held_out):
      self._num_training_tasks = len(task_list.training)
    self._collector = meta_collector.MetaCollector(
      self._environment,
      agent.collect_policy,
      self._adapt,
      num_adaptation_steps,
      seed,
    )

  def evaluate(
    self,
    initial_parameters: Sequence[types.Array] | None = None,
    log: Callable[[str], None] = lambda line: None,
  ) -> Evaluation:
    """Plays all tasks, without changing the agent.

    Args:
      initial_parameters: The networks' parameters before training, without a
        leading B. They add two references: these parameters, adapted the same
        way, and random actions. The former use the trained agent's normaliser
        and learned step sizes. None: no references.
      log: Receives a line after the episodes of each adaptation step.

    Returns:
      An `Evaluation`.
    """
    policies = [self.evaluate_policy('trained', log)]
    if initial_parameters is not None:
      policies.append(self._play('initial', initial_parameters, log))
      policies.append(self._play_at_random(log))
    return Evaluation(
      int(self._agent.train_step_counter.numpy()),
      self._seed,
      self._schedule,
      self._environment.tasks,
      tuple(policies),
      self._num_training_tasks,
      self._environment.task_label,
    )

  def evaluate_policy(
    self, name: str, log: Callable[[str], None] = lambda line: None
  ) -> PolicyEvaluation:
    """Plays all tasks with the agent's parameters at this time.

    Args:
      name: The name of the policy.
      log: As for `evaluate`.
    """
    return self._play(name, None, log)

  def close(self) -> None:
    """Closes the environment."""
    self._collector.close()

  def _adapt(self, experience, policy_state, step):
    return self._agent.adapt(
      experience,
      policy_state,
      step=step,
      step_size=self._later_step_size if step else None,
    )

  def _play(self, name, parameters, log):
    policy_state = None
    if parameters is not None:
      policy_state = tuple(
        tf.broadcast_to(p, [self._environment.num_tasks, *p.shape])
        for p in parameters
      )
    returns, successes = [], []
    for stage in self._collector.stages(random_streams.HELD_OUT, policy_state):
      returns.append(stage.returns)
      successes.append(stage.successes)
      log(f'{name}, step {len(returns) - 1}: {stage.returns.mean():.4g}')
    return self._policy_evaluation(name, returns, successes)

  def _play_at_random(self, log):
    episodes = random_actions.play(
      self._environment, self._seed, random_streams.HELD_OUT
    )
    log(f'random: {episodes.returns.mean():.4g}')
    return self._policy_evaluation(
      'random', [episodes.returns], [episodes.successes]
    )

  def _policy_evaluation(self, name, returns, successes):
    """The evaluation of a policy from arrays [B, E], one for each step."""
    returns = np.stack(returns)
    has_copies = _num_copies(returns.shape[1], self._num_training_tasks) > 0
    return PolicyEvaluation(
      name,
      returns,
      evaluation_statistics.over_tasks(returns, with_intervals=not has_copies),
      None if successes[0] is None else np.stack(successes),
    )


def _create_environment(create_environment, num_tasks, episodes_per_task):
  """Creates an environment of as many tasks as the family's list allows."""
  environment = create_environment(
    num_tasks=num_tasks, environments_per_task=episodes_per_task
  )
  task_list = environment.task_list
  if task_list is None:
    return environment
  num_listed = len(task_list.evaluated)
  if not num_listed:
    raise ValueError(
      f'{type(environment).__name__}.task_list is empty: give it tasks'
    )
  if len(task_list.held_out):
    possible = min(num_tasks, num_listed)
  elif num_tasks < num_listed:
    possible = num_tasks
  else:
    # As many copies of each task.
    possible = -(-num_tasks // num_listed) * num_listed
  if possible == num_tasks:
    return environment
  environment.close()
  return create_environment(
    num_tasks=possible, environments_per_task=episodes_per_task
  )


def _num_copies(num_tasks, num_training_tasks):
  """How often B tasks hold all of L training tasks; 0 without a list."""
  return num_tasks // num_training_tasks if num_training_tasks else 0


def _later_step_size(agent, schedule):
  """Returns the step size after the first step; None: the inner loop's own."""
  if schedule not in _SCHEDULES:
    raise ValueError(
      f'step_size_schedule is {schedule!r}: give ' + ' or '.join(_SCHEDULES)
    )
  if schedule == 'constant':
    return None
  if agent.fixed_step_size is None:
    raise ValueError(
      "step_size_schedule is 'halve', but this agent's step sizes are learned:"
      " give 'constant'"
    )
  return agent.fixed_step_size / 2
