"""A run's agent and tasks, built from its config and last checkpoint."""

from collections.abc import Callable
import contextlib
import functools
import os
from typing import NamedTuple

import gin
import numpy as np
import tensorflow as tf

from maml_tf.core import errors
from maml_tf.core import private_gin
from maml_tf.core import random_states
from maml_tf.core import runs_on_disk
from maml_tf.core import shipped_policies
from maml_tf.environments import task_environment
from maml_tf.learning import maml_agent
from maml_tf.run import checkpoints as run_checkpoints
from maml_tf.run import config as run_config
from maml_tf.run import config_record
from maml_tf.run import experiment


class TrainedRun(NamedTuple):
  """The agent that a run trained, and how to create its tasks.

  Attributes:
    agent: The agent, with the parameters of the last checkpoint.
    initial_parameters: The networks' parameters before the first iteration, a
      tuple of arrays like the policy state without the leading B.
    create_environment: (num_tasks, environments_per_task) -> a
      `TaskEnvironment` of the run's tasks, with the run's horizon.
    episodes_per_task: E of training.
    seed: The run's seed.
    iteration: The number of meta-iterations that the agent has trained for.
    observe_task: Whether the observation contains the task.
    horizon: The most steps of an episode of training.
  """

  agent: maml_agent.MamlAgent
  initial_parameters: tuple[np.ndarray, ...]
  create_environment: Callable[[int, int], task_environment.TaskEnvironment]
  episodes_per_task: int
  seed: int
  iteration: int
  observe_task: bool
  horizon: int


def load(root_dir: str) -> TrainedRun:
  """Builds a run's agent and restores its last checkpoint.

  The gin config and the random generators of this process stay as they are. The
  agent, its policies and the environments read the run's config whenever they
  are called, but not in threads that they start.

  Args:
    root_dir: The run's folder.

  Raises:
    errors.UsageError: The folder holds no run or no checkpoint, or its config
      is not valid or does not fit the checkpoint.
  """
  private = private_gin.PrivateGin()
  run = _load(root_dir, private.parsing, private.entered, random_states.seeded)
  _bind_agent(private, run.agent)

  def create_environment(
    num_tasks: int, environments_per_task: int
  ) -> task_environment.TaskEnvironment:
    with private.entered():
      environment = run.create_environment(num_tasks, environments_per_task)
    private.bind(environment)
    return environment

  return run._replace(create_environment=create_environment)


def load_for_process(root_dir: str) -> TrainedRun:
  """As `load`, for a program that does nothing else.

  The run's config replaces the gin config of this process, also for what the
  program makes afterwards, such as an `Evaluator`.

  Args:
    root_dir: As for `load`.

  Raises:
    errors.UsageError: As for `load`.
  """

  @contextlib.contextmanager
  def parsing():
    gin.clear_config()
    yield

  @contextlib.contextmanager
  def seeded(seed):
    tf.keras.utils.set_random_seed(seed)
    yield

  return _load(root_dir, parsing, contextlib.nullcontext, seeded)


def _load(
  root_dir: str,
  parsing: Callable[[], contextlib.AbstractContextManager],
  configured: Callable[[], contextlib.AbstractContextManager],
  seeded: Callable[[int], contextlib.AbstractContextManager],
) -> TrainedRun:
  """Loads a run.

  Args:
    root_dir: As for `load`.
    parsing: Makes a context in which gin parses the config.
    configured: Makes a context in which parts read it.
    seeded: Makes a context in which a seed decides about random numbers.
  """
  with errors.usage_errors():
    runs_on_disk.check(root_dir)
  checkpoint = _newest(root_dir)
  if not shipped_policies.contains(root_dir):  # They belong to this version.
    config_record.tell_version(root_dir, checkpoint)
  with parsing():
    run_config.parse([os.path.join(root_dir, run_config.CONFIG_FILE)], [])
  with configured(), errors.usage_errors():
    settings = experiment.bound_arguments()

    def create_environment(
      num_tasks: int, environments_per_task: int
    ) -> task_environment.TaskEnvironment:
      return experiment.create_environment(
        settings['environment_class'],
        settings['observe_task'],
        num_tasks=num_tasks,
        environments_per_task=environments_per_task,
        horizon=settings['horizon'],
      )

    # As in training: the same seed gives the same initial parameters.
    with seeded(settings['seed']):
      agent = experiment.create_agent(
        settings['agent_class'],
        settings['actor_network_fn'],
        settings['value_network_fn'],
        create_environment(1, 1),
      )
  initial_parameters = tuple(
    p.numpy() for p in agent.policy.get_initial_state(None)
  )
  _restore(agent, root_dir, checkpoint)
  return TrainedRun(
    agent,
    initial_parameters,
    create_environment,
    settings['episodes_per_task'],
    settings['seed'],
    int(agent.train_step_counter.numpy()),
    settings['observe_task'],
    settings['horizon'],
  )


def _bind_agent(
  private: private_gin.PrivateGin, agent: maml_agent.MamlAgent
) -> None:
  """Makes an agent, and what it makes, read a config of their own."""
  task_functions = agent.functions
  private.bind(
    agent,
    agent.policy,
    agent.collect_policy,
    task_functions,
    task_functions.preparation,
    task_functions.inner_loop,
  )

  def binding(make):
    @functools.wraps(make)
    def bound(*args, **kwargs):
      made = make(*args, **kwargs)
      private.bind(made)
      return made

    return bound

  # They trace functions when they are called.
  agent.adapted_policy = binding(agent.adapted_policy)
  agent.meta_problem = binding(agent.meta_problem)


def _newest(root_dir: str) -> str:
  """Returns the path of a run's newest intact checkpoint.

  Raises:
    errors.UsageError: There is none.
  """
  checkpoint = run_checkpoints.newest_intact(
    os.path.join(root_dir, run_checkpoints.CHECKPOINT_DIR)
  )
  if checkpoint is None:
    raise errors.UsageError(
      f'{root_dir} has no checkpoint yet: wait for the first one, or train'
      ' with a smaller train_eval.checkpoint_interval'
    )
  return checkpoint


def _restore(
  agent: maml_agent.MamlAgent, root_dir: str, checkpoint: str
) -> None:
  """Restores an agent; if its trainer removes the checkpoint, from a newer one.

  Raises:
    errors.UsageError: The run's config makes another agent than was trained.
  """
  advice = (
    f'bring back the {run_config.CONFIG_FILE} that {root_dir} was trained with'
  )
  while True:
    try:
      run_checkpoints.read(tf.train.Checkpoint(agent=agent), checkpoint, advice)
      return
    except tf.errors.NotFoundError:
      newest = _newest(root_dir)
      if newest == checkpoint:
        raise
      checkpoint = newest
