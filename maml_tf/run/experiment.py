"""The whole run: builds the parts that a config asks for and trains them."""

from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import functools
import inspect
from typing import Any

import gin
import numpy as np
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.train.utils import train_utils

from maml_tf import evaluation
from maml_tf.collection import meta_collector
from maml_tf.core import checks
from maml_tf.core import errors
from maml_tf.core import memory
from maml_tf.core import paths
from maml_tf.core import terminal
from maml_tf.environments import observed_task
from maml_tf.environments import task_environment
from maml_tf.environments import task_groups
from maml_tf.environments.in_graph import classic_control  # noqa: F401
from maml_tf.environments.in_graph import point_navigation  # noqa: F401
from maml_tf.learning import actor_networks
from maml_tf.learning import maml_agent
from maml_tf.learning import meta_learner
from maml_tf.run import checkpoints as run_checkpoints
from maml_tf.run import config_arguments
from maml_tf.run import config_record
from maml_tf.run import device_report
from maml_tf.run import interruption
from maml_tf.run import keras_optimizers  # noqa: F401  Configs name them.
from maml_tf.run import loggers as loggers_lib
from maml_tf.run import older_runs
from maml_tf.run import run_folder
from maml_tf.run import settings as settings_lib
from maml_tf.run import training_loop
from maml_tf.run import unused_settings
from maml_tf.run import workers as worker_group

# Of one step: its two types, reward, discount, a byte of each other part.
_SMALLEST_FRAME = 18
# Of a task's random numbers, measured.
_TASK_BYTES = 2000

_NOT_SETTINGS = ['root_dir', 'strategy', 'allow_config_change']


# Gin files may select it by the module that it had.
@config_arguments.recorded(*_NOT_SETTINGS)
@gin.configurable(module='maml_tf.experiment', denylist=_NOT_SETTINGS)
def train_eval(
  root_dir: str,
  environment_class: settings_lib.EnvironmentFactory | None = None,
  num_iterations: int | None = None,
  num_tasks: int = 40,
  episodes_per_task: int = 20,
  horizon: int = 100,
  actor_network_fn: settings_lib.NetworkFactory = (
    actor_networks.create_actor_network
  ),
  value_network_fn: settings_lib.NetworkFactory | None = None,
  agent_class: settings_lib.AgentFactory = maml_agent.MamlAgent,
  seed: int = 0,
  checkpoint_interval: int = 10,
  evaluation_interval: int = 0,
  when_not_finite: str = 'stop',
  strategy: tf.distribute.Strategy | None = None,
  export_saved_model: bool = True,
  loggers: Sequence[loggers_lib.LoggerFactory] = (),
  observe_task: bool = False,
  allow_config_change: bool = False,
) -> np.ndarray:
  """Trains an agent, from the beginning or from the last checkpoint.

  The arguments that are not described here are those of `Settings`; the run
  records them, whether gin supplies them or the caller does.

  Args:
    root_dir: The folder that records the run; a run there is resumed.
    strategy: Divides the tasks over replicas and workers. None: the default
      strategy.
    allow_config_change: Whether a run in root_dir may go on with other settings
      than it began with, which it then records.

  Returns:
    The returns on held-out tasks after training, float64 [X + 1, B, E]: after
    0, ..., X adaptation steps.

  Raises:
    errors.UsageError: A setting is wrong, or the run in root_dir has another
      config or no intact checkpoint. Nothing is written or lost.
    errors.RunError: The run cannot continue: a number is not finite, a worker
      is lost or the disk is full. The last good iteration, or the last
      checkpoint, is saved.
    interruption.Interrupted: The user asked to stop; the run is saved.
  """
  settings = settings_lib.Settings(
    environment_class=environment_class,
    num_iterations=num_iterations,
    num_tasks=num_tasks,
    episodes_per_task=episodes_per_task,
    horizon=horizon,
    actor_network_fn=actor_network_fn,
    value_network_fn=value_network_fn,
    agent_class=agent_class,
    seed=seed,
    checkpoint_interval=checkpoint_interval,
    evaluation_interval=evaluation_interval,
    when_not_finite=when_not_finite,
    export_saved_model=export_saved_model,
    loggers=loggers,
    observe_task=observe_task,
  )
  with errors.usage_errors():
    root_dir = paths.check_folder('--root_dir', root_dir)
    settings_lib.check(settings)
    workers = worker_group.WorkerGroup(strategy or tf.distribute.get_strategy())
  with contextlib.ExitStack() as stack:
    if workers.is_chief:
      stack.enter_context(run_folder.hold(root_dir, export_saved_model))
    with errors.usage_errors():
      lacking = _lacking(root_dir, workers, allow_config_change)
      stack.enter_context(older_runs.without(lacking, root_dir))
      loop = _build(root_dir, settings, workers, allow_config_change)
    stack.enter_context(contextlib.closing(loop))
    stack.enter_context(workers.translate_errors())
    interrupt = stack.enter_context(interruption.handle_signals())
    loop.run(interrupt)
    return loop.finish(interrupt)


def bound_arguments() -> dict[str, Any]:
  """Returns the settings of a run by name, as gin's config has them."""
  signature = inspect.signature(train_eval)
  defaults = {n: p.default for n, p in signature.parameters.items()}
  arguments = {**defaults, **gin.get_bindings('train_eval')}
  return {n: arguments[n] for n in settings_lib.Settings._fields}


def _lacking(
  root_dir: str, workers: worker_group.WorkerGroup, allow_config_change: bool
) -> list[str]:
  """Returns the settings that all workers change; see `older_runs`."""
  names = []
  # Only the chief has the run's folder.
  if workers.is_chief and not allow_config_change:
    names = older_runs.lacking(root_dir)
  with workers.translate_errors():
    of_chief = workers.exchange([name in names for name in older_runs.NAMES])[0]
  return [name for name, is_in in zip(older_runs.NAMES, of_chief) if is_in]


def _build(
  root_dir: str,
  settings: settings_lib.Settings,
  workers: worker_group.WorkerGroup,
  allow_config_change: bool,
) -> training_loop.TrainingLoop:
  """Builds a run's parts; the last step records a new run's config."""
  # Keras draws initial weights from Python's random numbers.
  tf.keras.utils.set_random_seed(settings.seed)
  tasks = workers.tasks(settings.num_tasks)
  new_environment = functools.partial(
    create_environment,
    settings.environment_class,
    settings.observe_task,
    horizon=settings.horizon,
  )
  environment = new_environment(
    num_tasks=len(tasks), environments_per_task=settings.episodes_per_task
  )
  # Workers wait for each other where variables are created.
  with workers.translate_errors(), workers.strategy.scope():
    agent = create_agent(
      settings.agent_class,
      settings.actor_network_fn,
      settings.value_network_fn,
      environment,
    )
  environment = task_groups.divide(
    environment, new_environment, agent.collect_policy.widths
  )
  # It has float64, which the devices of a strategy may lack.
  progress = training_loop.Progress()
  strategy = workers.strategy
  learner = meta_learner.MetaLearner(agent, strategy, workers.num_workers)
  learner.check_num_tasks(len(tasks))
  evaluator = None
  if settings.evaluation_interval:
    evaluator = evaluation.Evaluator(agent, new_environment, settings.seed)
  with workers.translate_errors():
    config_record.check_workers(workers.exchange)
  if workers.is_chief and run_folder.has_checkpoints(root_dir):
    config_record.check(root_dir, allow_config_change)
  collector = _create_collector(environment, agent, tasks, settings)
  # Parts that do not fit together fail here, before anything is written.
  with terminal.passing_line('compiling ...'):
    learner.trace(collector.blank_meta_batch())
  # All that reads settings has been called, or a setting refers to it.
  unused_settings.check()
  checkpoints = run_checkpoints.RunCheckpoints(
    root_dir,
    agent=agent,
    train_step=agent.train_step_counter,
    progress=progress,
  )
  loop = training_loop.TrainingLoop(
    root_dir,
    settings,
    collector,
    learner,
    evaluator,
    workers,
    checkpoints,
    progress,
    allow_config_change,
  )
  if workers.is_chief:
    _begin(root_dir, settings, checkpoints, loop.columns(), allow_config_change)
    terminal.log(device_report.line(agent.placement, workers, environment))
    for line in unused_settings.lines():
      terminal.log(line)
  return loop


def _create_collector(
  environment: task_environment.TaskEnvironment,
  agent: maml_agent.MamlAgent,
  tasks: range,
  settings: settings_lib.Settings,
) -> meta_collector.MetaCollector:
  """Creates the collector of this process' tasks."""
  return meta_collector.MetaCollector(
    environment,
    agent.collect_policy,
    agent.adapt,
    agent.num_adaptation_steps,
    settings.seed,
    first_task_index=tasks[0],
    jit_compile=agent.placement.compiles_acting(environment),
    prepare=agent.prepare,
    meta_batch_size=settings.num_tasks,
  )


def _begin(
  root_dir: str,
  settings: settings_lib.Settings,
  checkpoints: run_checkpoints.RunCheckpoints,
  columns: Mapping[str, Sequence[str]],
  allow_config_change: bool,
) -> None:
  """Restores the run in a folder, or records the config of a new one.

  Raises:
    errors.UsageError: The run there does not fit. Nothing has changed.
  """
  checkpoint = checkpoints.find()
  if checkpoint is None:
    config_record.keep_other(root_dir)
    config_record.write_or_check(root_dir)
    return
  done = run_checkpoints.iteration_of(checkpoint)
  changes = config_record.compare(root_dir, allow_config_change)
  if changes and done >= settings.num_iterations:
    raise errors.UsageError(
      f'{root_dir} has {done} iterations, none of which {changes[0].name} ='
      f' {changes[0].new} would change: give a train_eval.num_iterations of'
      f' more than {done}, or no change'
    )
  lines = run_folder.check_rows(root_dir, done, columns)
  config_record.tell_version(root_dir, checkpoint)
  checkpoints.restore()
  for line in lines:
    terminal.log(line)


def create_environment(
  environment_class: settings_lib.EnvironmentFactory,
  observe_task: bool,
  **sizes: int,
) -> task_environment.TaskEnvironment:
  """Creates a run's environment; see `Settings` for the arguments.

  Args:
    environment_class: As in `Settings`.
    observe_task: As in `Settings`.
    **sizes: num_tasks, environments_per_task and horizon.

  Raises:
    ValueError: This machine has no memory for so many episodes.
  """
  _check_memory(_SMALLEST_FRAME, **sizes)
  environment = environment_class(**sizes)
  specs = environment.time_step_spec(), environment.action_spec()
  _check_memory(
    sum(np.prod(s.shape) * s.dtype.itemsize for s in tf.nest.flatten(specs)),
    **sizes,
  )
  if observe_task:
    return observed_task.ObservedTask(environment)
  return environment


def _check_memory(
  frame_bytes: int, num_tasks: int, environments_per_task: int, horizon: int
) -> None:
  """Raises ValueError if one stage of episodes does not fit into memory."""
  num_rows = num_tasks * environments_per_task
  memory.check(
    f'{num_tasks} tasks with {environments_per_task} episodes of {horizon}'
    ' steps each',
    num_rows * (horizon + 1) * frame_bytes + num_tasks * _TASK_BYTES,
    'give smaller numbers of tasks, episodes or steps',
  )


def create_agent(
  agent_class: settings_lib.AgentFactory,
  actor_network_fn: settings_lib.NetworkFactory,
  value_network_fn: settings_lib.NetworkFactory | None,
  environment: task_environment.TaskEnvironment,
) -> maml_agent.MamlAgent:
  """Creates a run's agent; see `Settings` for the arguments."""
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  action_spec = tensor_spec.from_spec(environment.action_spec())
  observation_spec = time_step_spec.observation
  checks.function('actor_network_fn', actor_network_fn, 'create_actor_network')
  if value_network_fn is not None:
    checks.function(
      'value_network_fn', value_network_fn, 'create_value_network'
    )
  checks.function('agent_class', agent_class, 'MamlAgent')
  actor_network = actor_network_fn(observation_spec, action_spec)
  return agent_class(
    time_step_spec,
    action_spec,
    actor_network=actor_network,
    value_network=(
      value_network_fn(observation_spec, actor_network)
      if value_network_fn is not None
      else None
    ),
    train_step_counter=train_utils.create_train_step(),
  )
