"""Evaluates a run beside its references, which are runs without adaptation.

The oracle has seen the task in its observation, see `ObservedTask`: it shows
what a policy gets that need not find out its task. The pretrained policy was
trained on the same tasks: adapted like the run's, it shows what meta-learning
adds. `oracle.gin` and `pretrained.gin` train them.
"""

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import functools
import os
import shlex
from typing import Any
from typing import NamedTuple

import numpy as np

from maml_tf import evaluation
from maml_tf.core import errors
from maml_tf.core import runs_on_disk
from maml_tf.core import shipped_policies
from maml_tf.environments import observed_task
from maml_tf.learning import maml_agent
from maml_tf.run import config as run_config
from maml_tf.run import config_record
from maml_tf.run import config_values
from maml_tf.run import trained_run

NAMES = ('oracle', 'pretrained')

# Creates an evaluator, given a run and num_adaptation_steps; None: the user's.
EvaluatorFactory = Callable[
  [trained_run.TrainedRun, int | None], evaluation.Evaluator
]
LogFn = Callable[[str], None]

_TRAIN = 'python -m maml_tf.train'


class Networks(NamedTuple):
  """What a policy has learned, apart from step sizes.

  Attributes:
    parameters: The networks' parameters, without a leading B.
    statistics: The observation normaliser's variables; empty without one.
  """

  parameters: tuple[np.ndarray, ...]
  statistics: tuple[np.ndarray, ...]


def find(
  root_dir: str, directories: Mapping[str, str | None]
) -> dict[str, str]:
  """Returns the folders of a run's references by name, those that exist.

  Args:
    root_dir: The run's folder.
    directories: Folders that the user gave, by name. Where it is None, the
      reference is where `describe_missing` trains it, if it exists.
  """
  found = {}
  for name in NAMES:
    default = _folder(root_dir, name)
    if directories.get(name):
      found[name] = directories[name]
    elif runs_on_disk.holds_run(default):
      found[name] = default
  return found


def evaluate(
  root_dir: str,
  run: trained_run.TrainedRun,
  references: Mapping[str, str],
  create_evaluator: EvaluatorFactory,
  log: LogFn,
  train: str = _TRAIN,
) -> evaluation.Evaluation:
  """Evaluates a run and its references on the same tasks, starts and noise.

  The oracle does not adapt. The pretrained networks, with their normaliser,
  adapt with the run's inner loop and its step sizes.

  Args:
    root_dir: The run's folder.
    run: The run, loaded.
    references: The result of `find`.
    create_evaluator: Called for the run and for the oracle.
    log: Receives lines about the progress.
    train: How the command begins that trains, for messages.

  Returns:
    The `Evaluation` of the run, also before training and at random; then of its
    references.

  Raises:
    errors.UsageError: A folder does not hold a run, or not a reference for this
      one.
  """
  pretrained, networks, others = None, None, []
  command = functools.partial(_command, root_dir, train)
  # Loading a run replaces the gin config: use up one after the other. The
  # oracle plays at once, so it comes after all that could be wrong.
  if 'pretrained' in references:
    pretrained = _load_reference(root_dir, 'pretrained', references, command)
    networks = _networks(pretrained.agent)
    if _shapes(networks) != _shapes(_networks(run.agent)):
      raise errors.UsageError(
        f'{references["pretrained"]} holds a run with other networks or'
        f' observations: train it by {command("pretrained")}'
      )
  if 'oracle' in references:
    oracle = _load_reference(root_dir, 'oracle', references, command)
    with errors.usage_errors():
      evaluator = create_evaluator(oracle, 0)
    _log_run('oracle', references, oracle, log)
    others.append(evaluator.evaluate_policy('oracle', log))
  if references:
    run = trained_run.load_for_process(root_dir)
  with errors.usage_errors():
    evaluator = create_evaluator(run, None)
  result = evaluator.evaluate(run.initial_parameters, log)
  if pretrained is not None and networks is not None:
    _assign(run.agent, networks)
    _log_run('pretrained', references, pretrained, log)
    others.insert(0, evaluator.evaluate_policy('pretrained', log))
  return result._replace(policies=(*result.policies, *others))


def describe_missing(
  root_dir: str,
  references: Mapping[str, str],
  run: trained_run.TrainedRun,
  train: str = _TRAIN,
) -> list[str]:
  """Returns lines that say how to train the references that do not exist.

  Args:
    root_dir: The run's folder.
    references: The result of `find`.
    run: The run, loaded.
    train: How the command begins that trains.
  """
  lines = []
  for name in NAMES:
    if name in references:
      continue
    reason = _why_no_oracle(run) if name == 'oracle' else ''
    if reason:
      lines.append(f'no {name}: {reason}')
    else:
      lines.append(
        f'no {name} yet; to train it: {_command(root_dir, train, name)}'
      )
  return lines


def _log_run(name, references, run, log):
  log(f'{name}: {references[name]}, after meta-iteration {run.iteration}')


def _folder(root_dir, name):
  """Returns where a run's reference is, unless the user says otherwise."""
  parent = root_dir
  if shipped_policies.contains(root_dir):  # Nothing is written there.
    parent = os.path.join('runs', os.path.basename(os.path.normpath(root_dir)))
  return os.path.join(parent, name)


def _command(root_dir, train, name):
  """Returns the command that trains a reference."""
  config = os.path.join(root_dir, run_config.CONFIG_FILE)
  return (
    f'{train} --gin_file={shlex.quote(config)} --gin_file={name}.gin'
    f' --root_dir={shlex.quote(_folder(root_dir, name))}'
  )


def _why_no_oracle(run):
  """Returns why a run's family has no oracle; '' if it has one."""
  if run.observe_task:
    return 'this run itself observes the task'
  with contextlib.closing(run.create_environment(1, 1)) as environment:
    try:
      observed_task.ObservedTask(environment)
    except ValueError:
      return (
        'the tasks are not numbers, or the observation is not a vector of'
        ' floats'
      )
  return ''


def _load_reference(root_dir, name, references, command):
  """Loads a reference after comparing it with the run."""
  advice = f'train it by {command(name)}'
  directory = references[name]
  ours, theirs = (
    config_record.environment_bindings(folder)
    for folder in (root_dir, directory)
  )
  # An older version may not have recorded all of them.
  for setting in sorted(ours.keys() & theirs.keys()):
    if not config_values.is_same(setting, theirs[setting], ours[setting]):
      raise errors.UsageError(
        f'{directory} holds a run with {setting} = {theirs[setting]}, not'
        f' {ours[setting]}: {advice}'
      )
  run = trained_run.load_for_process(directory)
  num_steps = run.agent.num_adaptation_steps
  if num_steps:
    raise errors.UsageError(
      f'{directory} holds a run with InnerLoop.num_steps = {num_steps}, not 0:'
      f' {advice}'
    )
  if name == 'oracle' and not run.observe_task:
    raise errors.UsageError(
      f'{directory} holds a run that does not observe the task: {advice}'
    )
  return run


def _networks(agent: maml_agent.MamlAgent) -> Networks:
  parameters, statistics = _variables(agent)
  return Networks(
    tuple(v.numpy() for v in parameters), tuple(v.numpy() for v in statistics)
  )


def _variables(agent: maml_agent.MamlAgent) -> tuple[Any, Any]:
  """Returns the variables whose values are `Networks`."""
  statistics = agent.normalizer.variables_tuple if agent.normalizer else ()
  return agent.theta.parameters, statistics


def _shapes(networks):
  return [[array.shape for array in arrays] for arrays in networks]


def _assign(agent: maml_agent.MamlAgent, networks: Networks) -> None:
  """Gives an agent what another policy has learned."""
  for ours, theirs in zip(_variables(agent), networks, strict=True):
    for variable, value in zip(ours, theirs, strict=True):
      variable.assign(value)
