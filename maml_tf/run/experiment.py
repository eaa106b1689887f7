"""The whole run: what a config asks for, built and trained."""

from collections.abc import Callable
import functools

import gin
import numpy as np
import tensorflow as tf
from tf_agents.networks import network as network_lib
from tf_agents.specs import tensor_spec
from tf_agents.train.utils import train_utils

from maml_tf import evaluation
from maml_tf.collection import meta_collector
from maml_tf.core import checks
from maml_tf.core import errors
from maml_tf.environments import task_environment
from maml_tf.learning import actor_networks
from maml_tf.learning import maml_agent
from maml_tf.learning import meta_learner
from maml_tf.run import config as run_config
from maml_tf.run import interruption
from maml_tf.run import training_loop
from maml_tf.run import workers as worker_group

gin.external_configurable(
  tf.keras.optimizers.Adam, module='tf.keras.optimizers'
)


@gin.configurable(denylist=['root_dir', 'strategy'])
def train_eval(
  root_dir: str,
  environment_class: Callable[..., task_environment.TaskEnvironment] = None,
  num_iterations: int = None,
  num_tasks: int = 40,
  episodes_per_task: int = 20,
  horizon: int = 100,
  actor_network_fn: Callable[
    ..., network_lib.DistributionNetwork
  ] = actor_networks.create_actor_network,
  value_network_fn: Callable[..., network_lib.Network] | None = None,
  agent_class: Callable[..., maml_agent.MamlAgent] = maml_agent.MamlAgent,
  seed: int = 0,
  checkpoint_interval: int = 10,
  evaluation_interval: int = 0,
  when_not_finite: str = 'stop',
  export_saved_model: bool = True,
  strategy: tf.distribute.Strategy | None = None,
) -> np.ndarray:
  """Trains an agent, from the beginning or from the last checkpoint.

  Args:
    root_dir: Where the run is recorded; a run there is resumed.
    environment_class: Makes the environment, given num_tasks,
      environments_per_task and horizon.
    num_iterations: How many meta-iterations the run has in all.
    num_tasks: B, tasks a meta-iteration.
    episodes_per_task: E, episodes a task and stage.
    horizon: The most steps of an episode.
    actor_network_fn: Makes the policy network, given the specs of observations
      and actions.
    value_network_fn: Makes the value network, given the specs of observations
      and the policy network. None: the agent's baseline predicts.
    agent_class: Makes the agent, given the specs of time steps and actions, the
      network and the step counter.
    seed: Of everything random.
    checkpoint_interval: Iterations between checkpoints.
    evaluation_interval: Iterations between evaluations, see `Evaluator`; they
      change nothing of the training. 0: never.
    when_not_finite: What becomes of a meta-batch in which an observation, a
      reward, a gradient or a parameter is NaN or infinite. 'stop': the run ends
      with the parameters of the iteration before. 'skip': nothing is learned
      from it, and the run goes on.
    export_saved_model: Whether the run writes a SavedModel at its end.
    strategy: What divides tasks over replicas and workers. None: the default
      strategy.

  Returns:
    The returns on held-out tasks after training, float64 [X + 1, B, E]: after
    0, ..., X adaptation steps.

  Raises:
    errors.UsageError: What the user gave cannot be run, or the run in root_dir
      has another config or no intact checkpoint; nothing is written or lost.
    errors.RunError: The run cannot go on: a number is not finite, a worker is
      gone, the disk is full. The last good iteration, or the last checkpoint,
      is saved.
    interruption.Interrupted: The user asked to stop; the run is saved.
  """
  with errors.usage_errors():
    if environment_class is None:
      raise ValueError(
        'train_eval.environment_class is not set: give a --gin_file, such as '
        + ', '.join(run_config.shipped_configs())
      )
    checks.function('environment_class', environment_class, '@PointNavigation')
    checks.integer('num_iterations', num_iterations, 1)
    checks.integer('num_tasks', num_tasks, 1, checks.MAX_SIZE)
    checks.integer('episodes_per_task', episodes_per_task, 1)
    checks.integer('horizon', horizon, 1)
    # Keras takes no larger one.
    checks.integer('seed', seed, 0, 2**32 - 1)
    checks.integer('checkpoint_interval', checkpoint_interval, 1)
    checks.integer('evaluation_interval', evaluation_interval, 0)
    checks.one_of('when_not_finite', when_not_finite, ('stop', 'skip'))
    checks.boolean('export_saved_model', export_saved_model)
    # Keras draws initial weights from Python's random numbers.
    tf.keras.utils.set_random_seed(seed)
    strategy = strategy or tf.distribute.get_strategy()
    workers = worker_group.WorkerGroup(strategy)
    tasks = workers.tasks(num_tasks)
    create_environment = functools.partial(environment_class, horizon=horizon)
    environment = create_environment(
      num_tasks=len(tasks), environments_per_task=episodes_per_task
    )
    # Workers wait for each other where variables are made.
    with workers.translate_errors(), strategy.scope():
      agent = create_agent(
        agent_class, actor_network_fn, value_network_fn, environment
      )
      progress = training_loop.Progress()
    learner = meta_learner.MetaLearner(agent, strategy, workers.num_workers)
    learner.check_num_tasks(len(tasks))
    evaluator = None
    if evaluation_interval:
      evaluator = evaluation.Evaluator(agent, create_environment, seed)
    with workers.translate_errors():
      run_config.check_workers(workers.exchange)
    if workers.is_chief:
      run_config.check(root_dir)
    collector = meta_collector.MetaCollector(
      environment,
      agent.collect_policy,
      agent.adapt,
      agent.num_adaptation_steps,
      seed,
      first_task_index=tasks[0],
      jit_compile=agent.jit_compile,
      prepare=agent.prepare,
    )
    # Parts that do not fit together show here, while nothing is written yet.
    learner.trace(collector.blank_meta_batch())
    if workers.is_chief:
      training_loop.check_resumable(root_dir)
      run_config.write_or_check(root_dir)
  loop = training_loop.TrainingLoop(
    root_dir,
    collector,
    learner,
    progress,
    workers,
    num_iterations,
    checkpoint_interval,
    evaluator,
    evaluation_interval,
    skips_non_finite=when_not_finite == 'skip',
    exports_saved_model=export_saved_model,
  )
  with workers.translate_errors(), interruption.handle_signals() as interrupt:
    loop.run(interrupt)
    return loop.finish(interrupt)


def create_agent(
  agent_class: Callable[..., maml_agent.MamlAgent],
  actor_network_fn: Callable[..., network_lib.DistributionNetwork],
  value_network_fn: Callable[..., network_lib.Network] | None,
  environment: task_environment.TaskEnvironment,
) -> maml_agent.MamlAgent:
  """Makes a run's agent; the arguments are those of `train_eval`."""
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
