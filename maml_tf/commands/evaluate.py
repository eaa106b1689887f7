"""Tests a run on held-out tasks, as the flags of `maml_tf.evaluate` say."""

from collections.abc import Callable
import functools
import os

from absl import flags

from maml_tf import evaluation
from maml_tf.commands import chosen_adaptation
from maml_tf.commands import chosen_run
from maml_tf.commands import typed_command
from maml_tf.core import checks
from maml_tf.core import cpu
from maml_tf.core import errors
from maml_tf.core import finite_checks
from maml_tf.core import paths
from maml_tf.core import terminal
from maml_tf.evaluation import protocol_report
from maml_tf.evaluation import protocols
from maml_tf.evaluation import report as evaluation_report
from maml_tf.run import references
from maml_tf.run import trained_run

_FLAGS = flags.FLAGS

_Result = evaluation.Evaluation | protocols.ProtocolResult

# Adaptation steps where no protocol says otherwise.
_NUM_STEPS = 3


def main(argv):
  """Evaluates, and returns the exit code.

  0: done. 1: a task fails. 2: bad input. 130: stopped.
  """
  del argv  # Its flags are parsed.
  if (_FLAGS.oracle or _FLAGS.pretrained) and not _FLAGS.references:
    return terminal.print_error(
      'evaluate', '--references is missing: --oracle and --pretrained need it'
    )
  cpu.one_thread_an_operation()
  try:
    with errors.usage_errors():
      root_dir = chosen_run.root_dir()
      directory = _FLAGS.out
      if directory is None:
        directory = chosen_run.output_folder()
      _check(directory)
    run = trained_run.load_for_process(root_dir)
    with errors.usage_errors():
      evaluate = _evaluation(root_dir, run)
      os.makedirs(directory, exist_ok=True)
    result, missing = evaluate()
    report = evaluation_report
    if isinstance(result, protocols.ProtocolResult):
      report = protocol_report
    try:
      report.write(result, directory)
    finally:
      terminal.show('\n'.join([report.table(result), *missing]))
  except (errors.UsageError, OSError) as error:
    return terminal.print_error('evaluate', error, debug=_FLAGS.debug)
  except (errors.RunError, finite_checks.NonFiniteError) as error:
    return terminal.print_error('evaluate', error, 1, _FLAGS.debug)
  except KeyboardInterrupt:
    return terminal.print_error('evaluate', 'stopped, nothing is written', 130)
  names = ', '.join(report.FILES)
  terminal.log(f'evaluate: wrote {names} to {chosen_run.describe(directory)}')
  return 0


def _check(directory: str) -> None:
  """Raises ValueError for flags that are wrong in every run."""
  # Without --out, `trained_run.load` says what is wrong with the folder.
  if _FLAGS.out is not None or os.path.isdir(directory):
    files = {*evaluation_report.FILES, *protocol_report.FILES}
    paths.check_output_folder('--out', directory, sorted(files))
  checks.integer('num_tasks', _FLAGS.num_tasks, 1, checks.MAX_SIZE)
  chosen_adaptation.check()


def _evaluation(
  root_dir: str,
  run: trained_run.TrainedRun,
) -> Callable[[], tuple[_Result, list[str]]]:
  """Prepares the evaluation that the flags describe.

  Returns:
    A function that evaluates and returns the result and lines on the references
    that are missing.
  """
  if _FLAGS.protocol and protocols.is_meta_world(run.create_environment):
    protocol = _create_protocol(run)
    parameters = run.initial_parameters if _FLAGS.references else None
    return lambda: (protocol.evaluate(parameters, terminal.log), [])
  evaluator = _create_evaluator(run, run)
  if _FLAGS.references:
    return lambda: _evaluate_beside_references(root_dir, run)
  return lambda: (evaluator.evaluate(log=terminal.log), [])


def _create_protocol(
  run: trained_run.TrainedRun,
) -> protocols.MetaWorldProtocol:
  """Creates the protocol with the numbers of the flags."""
  for name in ('oracle', 'pretrained'):
    if _FLAGS[name].value:
      raise ValueError(
        f'--{name} is not part of the protocol: add --noprotocol'
      )
  if _FLAGS.step_size_schedule != 'constant':
    raise ValueError(
      '--step_size_schedule is not part of the protocol: add --noprotocol'
    )
  return protocols.MetaWorldProtocol(
    run.agent,
    run.create_environment,
    _default(_FLAGS.seed, run.seed),
    num_goals=_FLAGS.num_tasks,
    adaptation_episodes=_default(
      _FLAGS.episodes, protocols.ADAPTATION_EPISODES
    ),
    num_adaptation_steps=_default(
      _FLAGS.num_adaptation_steps, protocols.NUM_ADAPTATION_STEPS
    ),
  )


def _evaluate_beside_references(
  root_dir: str,
  run: trained_run.TrainedRun,
) -> tuple[evaluation.Evaluation, list[str]]:
  """Evaluates; returns lines on the references that are missing, too."""
  found = references.find(
    root_dir,
    {'oracle': _FLAGS.oracle, 'pretrained': _FLAGS.pretrained},
  )
  train = typed_command.example('train')
  result = references.evaluate(
    root_dir,
    run,
    found,
    functools.partial(_create_evaluator, run),
    terminal.log,
    train,
  )
  return result, references.describe_missing(root_dir, found, run, train)


def _create_evaluator(
  run: trained_run.TrainedRun,
  evaluated: trained_run.TrainedRun,
  num_adaptation_steps: int | None = None,
) -> evaluation.Evaluator:
  """Creates the evaluator that the flags describe.

  Args:
    run: The run of --root_dir, whose seed and sizes are the defaults.
    evaluated: The run to evaluate: the same, or a reference.
    num_adaptation_steps: Replaces the flag. None: it counts.
  """
  # A policy that does not adapt has no schedule.
  adapts = num_adaptation_steps != 0
  if num_adaptation_steps is None:
    num_adaptation_steps = _default(_FLAGS.num_adaptation_steps, _NUM_STEPS)
  episodes = _default(_FLAGS.episodes, run.episodes_per_task)
  return evaluation.Evaluator(
    evaluated.agent,
    evaluated.create_environment,
    seed=_default(_FLAGS.seed, run.seed),
    num_tasks=_FLAGS.num_tasks,
    episodes_per_task=checks.integer('episodes', episodes, 1),
    num_adaptation_steps=num_adaptation_steps,
    step_size_schedule=_FLAGS.step_size_schedule if adapts else 'constant',
  )


def _default(value, default):
  return default if value is None else value
