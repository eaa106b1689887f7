"""The settings of a run and their checks."""

from collections.abc import Callable
from collections.abc import Sequence
import inspect
from typing import NamedTuple

from tf_agents.networks import network as network_lib

from maml_tf.core import checks
from maml_tf.environments import task_environment
from maml_tf.learning import maml_agent
from maml_tf.run import config as run_config
from maml_tf.run import loggers as loggers_lib

# Counters are int64.
_MAX_COUNT = 2**63 - 1

EnvironmentFactory = Callable[..., task_environment.TaskEnvironment]
NetworkFactory = Callable[..., network_lib.Network]
AgentFactory = Callable[..., maml_agent.MamlAgent]


class Settings(NamedTuple):
  """The arguments of `train_eval` that gin files set.

  Attributes:
    environment_class: Creates the environment, given num_tasks,
      environments_per_task and horizon.
    num_iterations: The number of meta-iterations of the whole run.
    num_tasks: B, tasks per meta-iteration.
    episodes_per_task: E, episodes per task and stage.
    horizon: The maximum number of steps in an episode.
    actor_network_fn: Creates the policy network, given the specs of
      observations and actions.
    value_network_fn: Creates the value network, given the specs of observations
      and the policy network. None: the agent's baseline predicts returns.
    agent_class: Creates the agent, given the specs of time steps and actions,
      the networks and the step counter.
    seed: The seed of all random numbers.
    checkpoint_interval: Iterations between checkpoints.
    evaluation_interval: Iterations between evaluations, see `Evaluator`; they
      do not change the training. 0: never.
    when_not_finite: The treatment of a meta-batch in which an observation, a
      reward, a gradient or a parameter is NaN or infinite. 'stop': the run ends
      with the parameters of the iteration before. 'skip': nothing is learned
      from the meta-batch, and the run continues.
    export_saved_model: Whether the run writes a SavedModel at its end.
    loggers: Functions that create loggers besides metrics.csv, TensorBoard and
      the terminal, given root_dir and first_iteration; see `run/loggers.py`.
    observe_task: Whether the observation contains the task, see `ObservedTask`.
  """

  environment_class: EnvironmentFactory
  num_iterations: int
  num_tasks: int
  episodes_per_task: int
  horizon: int
  actor_network_fn: NetworkFactory
  value_network_fn: NetworkFactory | None
  agent_class: AgentFactory
  seed: int
  checkpoint_interval: int
  evaluation_interval: int
  when_not_finite: str
  export_saved_model: bool
  loggers: Sequence[loggers_lib.LoggerFactory]
  observe_task: bool


def check(settings: Settings) -> None:
  """Checks each setting by itself, before anything is built from it.

  Raises:
    ValueError: A setting is out of range or of the wrong type; the message
      names it.
  """
  if settings.environment_class is None:
    raise ValueError(
      'train_eval.environment_class is not set: give --gin_file, with'
      f' {run_config.choices()}'
    )
  checks.function(
    'environment_class', settings.environment_class, '@PointNavigation'
  )
  checks.integer('num_iterations', settings.num_iterations, 1, _MAX_COUNT)
  checks.integer('num_tasks', settings.num_tasks, 1, checks.MAX_SIZE)
  checks.integer('episodes_per_task', settings.episodes_per_task, 1)
  checks.integer('horizon', settings.horizon, 1)
  # Keras does not accept a larger one.
  checks.integer('seed', settings.seed, 0, 2**32 - 1)
  checks.integer('checkpoint_interval', settings.checkpoint_interval, 1)
  checks.integer('evaluation_interval', settings.evaluation_interval, 0)
  checks.one_of('when_not_finite', settings.when_not_finite, ('stop', 'skip'))
  checks.boolean('export_saved_model', settings.export_saved_model)
  checks.boolean('observe_task', settings.observe_task)
  if not isinstance(settings.loggers, (list, tuple)):
    raise ValueError(
      f'loggers is {settings.loggers!r}: give a list, such as [@MyLogger]'
    )
  for factory in settings.loggers:
    _check_logger_factory(factory)


def _check_logger_factory(factory):
  """Raises ValueError unless it can be called as a `LoggerFactory` is."""
  checks.function('a logger', factory, '@MyLogger')
  try:
    # Gin supplies the other arguments.
    inspect.signature(factory).bind_partial(root_dir='', first_iteration=1)
  except TypeError as error:
    raise ValueError(
      f'a logger is {factory!r}: give a function of root_dir and'
      f' first_iteration ({error})'
    ) from error
