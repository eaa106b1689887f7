"""The whole run, top to bottom: build, resume, collect, learn, record."""

from collections.abc import Callable
import contextlib
import functools
import os
import time

import gin
import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.networks import network as network_lib
from tf_agents.specs import tensor_spec
from tf_agents.train.utils import train_utils
from tf_agents.utils import common

from maml_tf import checks
from maml_tf import evaluation
from maml_tf import interruption
from maml_tf import random_streams
from maml_tf import run_config
from maml_tf import run_log
from maml_tf import serving
from maml_tf.collection import meta_collector
from maml_tf.environments import task_environment
from maml_tf.learning import actor_networks
from maml_tf.learning import maml_agent
from maml_tf.learning import meta_learner

gin.external_configurable(
  tf.keras.optimizers.Adam, module='tf.keras.optimizers'
)

CHECKPOINT_DIR = 'checkpoints'


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
    strategy: What divides tasks over replicas. None: the default strategy.

  Returns:
    The returns on held-out tasks after training, float64 [X + 1, B, E]: after
    0, ..., X adaptation steps.

  Raises:
    checks.UsageError: What the user gave cannot be run, or the run in root_dir
      has another config; nothing is written or lost.
    interruption.Interrupted: The user asked to stop; the run is saved.
    FloatingPointError: The meta-loss is not finite; the last checkpoint stays.
  """
  with checks.usage_errors():
    if environment_class is None:
      raise ValueError(
        'train_eval.environment_class is not set: give a --gin_file, such as '
        + ', '.join(run_config.shipped_configs())
      )
    checks.integer('num_iterations', num_iterations, 1)
    checks.integer('num_tasks', num_tasks, 1)
    checks.integer('episodes_per_task', episodes_per_task, 1)
    checks.integer('horizon', horizon, 1)
    checks.integer('seed', seed, 0)
    checks.integer('checkpoint_interval', checkpoint_interval, 1)
    checks.integer('evaluation_interval', evaluation_interval, 0)
    # Keras draws initial weights from Python's random numbers.
    tf.keras.utils.set_random_seed(seed)
    create_environment = functools.partial(environment_class, horizon=horizon)
    environment = create_environment(
      num_tasks=num_tasks, environments_per_task=episodes_per_task
    )
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
      agent = create_agent(
        agent_class, actor_network_fn, value_network_fn, environment
      )
      progress = _Progress()
    learner = meta_learner.MetaLearner(agent, strategy)
    learner.check_num_tasks(num_tasks)
    if evaluation_interval:
      evaluator = evaluation.Evaluator(agent, create_environment, seed)
    run_config.write_or_check(root_dir)
  collector = meta_collector.MetaCollector(
    environment,
    agent.collect_policy,
    agent.adapt,
    agent.num_adaptation_steps,
    seed,
  )
  checkpointer = common.Checkpointer(
    os.path.join(root_dir, CHECKPOINT_DIR),
    max_to_keep=3,
    agent=agent,
    train_step=agent.train_step_counter,
    progress=progress,
  )
  first_iteration = int(agent.train_step_counter.numpy()) + 1
  log = run_log.RunLog(root_dir, first_iteration - 1, num_iterations)
  with contextlib.closing(log), interruption.deferred() as interrupt:
    for iteration in range(first_iteration, num_iterations + 1):
      log.write(_run_iteration(iteration, collector, learner, progress))
      # Before the checkpoint: what a resumed run does not repeat is on disk.
      if evaluation_interval and iteration % evaluation_interval == 0:
        log.write_evaluation(_evaluation_rows(evaluator.evaluate(), progress))
      stop = interrupt.requested or iteration == num_iterations
      if stop or iteration % checkpoint_interval == 0:
        checkpointer.save(agent.train_step_counter)
      if interrupt.requested:
        raise interruption.Interrupted(iteration)
  serving.save_adaptive(agent, os.path.join(root_dir, 'saved_model'))
  return collector.collect(random_streams.HELD_OUT).returns


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
  actor_network = actor_network_fn(observation_spec, action_spec)
  return agent_class(
    time_step_spec,
    action_spec,
    actor_network=actor_network,
    value_network=(
      value_network_fn(observation_spec, actor_network)
      if value_network_fn
      else None
    ),
    train_step_counter=train_utils.create_train_step(),
  )


class _Progress(tf.Module):
  """What a run has used so far, kept in its checkpoints."""

  def __init__(self):
    super().__init__()
    self.env_steps = tf.Variable(0, dtype=tf.int64, trainable=False)
    self.wall_seconds = tf.Variable(0, dtype=tf.float64, trainable=False)

  def advance(self, env_steps: int, seconds: float) -> None:
    self.env_steps.assign_add(env_steps)
    self.wall_seconds.assign_add(seconds)


def _run_iteration(
  iteration: int,
  collector: meta_collector.MetaCollector,
  learner: meta_learner.MetaLearner,
  progress: _Progress,
) -> dict[str, float]:
  """Collects, learns, and returns a row of metrics."""
  start = time.perf_counter()
  collected = collector.collect(iteration)
  collect_seconds = time.perf_counter() - start
  loss_info = learner.run(collected.meta_batch)
  if not np.isfinite(loss_info.loss.numpy()):
    raise FloatingPointError(
      f'the meta-loss of iteration {iteration} is {loss_info.loss}: the run'
      ' goes on from its last checkpoint; try smaller step sizes'
    )
  seconds = time.perf_counter() - start
  progress.advance(collected.env_steps, seconds)
  return _row(
    iteration, progress, collected, loss_info, collect_seconds, seconds
  )


def _row(
  iteration: int,
  progress: _Progress,
  collected: meta_collector.Collected,
  loss_info: tf_agent.LossInfo,
  collect_seconds: float,
  seconds: float,
) -> dict[str, float]:
  """One row of metrics.csv: plain numbers by name."""
  row = {
    'iteration': iteration,
    'env_steps': int(progress.env_steps.numpy()),
    'wall_seconds': round(float(progress.wall_seconds.numpy()), 3),
  }
  mean_returns = collected.returns.mean(axis=(1, 2))
  for name, values in (
    ('return_step', mean_returns),
    ('return_min_step', collected.returns.min(axis=(1, 2))),
    ('return_max_step', collected.returns.max(axis=(1, 2))),
  ):
    row.update({f'{name}_{i}': float(v) for i, v in enumerate(values)})
  row['adaptation_delta'] = float(mean_returns[-1] - mean_returns[0])
  row['meta_loss'] = float(loss_info.loss)
  extra = tf.nest.map_structure(lambda t: t.numpy(), loss_info.extra)
  for name in ('policy_loss', 'vf_loss', 'entropy', 'kl'):
    row[name] = float(getattr(extra, name))
  for name in ('inner_kl', 'kl_coefficient', 'inner_loss'):
    values = getattr(extra, name)
    row.update({f'{name}_step_{i}': float(v) for i, v in enumerate(values)})
  row['gradient_norm'] = float(extra.gradient_norm)
  row['learning_rate'] = float(extra.learning_rate)
  row['collect_seconds'] = round(collect_seconds, 4)
  row['update_seconds'] = round(seconds - collect_seconds, 4)
  row['env_steps_per_second'] = round(collected.env_steps / seconds, 1)
  return row


def _evaluation_rows(
  evaluated: evaluation.Evaluation, progress: _Progress
) -> list[dict[str, float]]:
  """The rows of evaluations.csv, one for each adaptation step."""
  (trained,) = evaluated.policies
  return [
    {
      'iteration': evaluated.iteration,
      'env_steps': int(progress.env_steps.numpy()),
      'step': step,
      **statistics._asdict(),
    }
    for step, statistics in enumerate(trained.statistics)
  ]
