"""Tests on held-out tasks: python -m maml_tf.evaluate --root_dir=DIR."""

import maml_tf  # noqa: F401  # isort: skip  Before TensorFlow, which it quiets.

from collections.abc import Callable
import functools
import os

from absl import app
from absl import flags
from absl import logging

from maml_tf import evaluation
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

_ROOT_DIR = flags.DEFINE_string('root_dir', None, 'The run.')
_PROTOCOL = flags.DEFINE_bool(
  'protocol', True, "Evaluate runs on Meta-World by Meta-World's own protocol."
)
_NUM_TASKS = flags.DEFINE_integer(
  'num_tasks', 40, 'How many tasks; in the protocol, goals of each class.'
)
_NUM_ADAPTATION_STEPS = flags.DEFINE_integer(
  'num_adaptation_steps',
  None,
  'How many steps; may exceed those of training. Default: 3; in the protocol'
  ' 1.',
)
_EPISODES = flags.DEFINE_integer(
  'episodes',
  None,
  'Episodes per task and step. Default: as in training, in the protocol 10.',
)
_STEP_SIZE_SCHEDULE = flags.DEFINE_string(
  'step_size_schedule',
  'constant',
  "'constant', or 'halve': half of the run's after the first step.",
)
_REFERENCES = flags.DEFINE_bool(
  'references',
  False,
  'Also evaluate without meta-learning, at random, and the runs in oracle and'
  ' pretrained.',
)
_ORACLE = flags.DEFINE_string(
  'oracle', None, 'A run of oracle.gin. Default: the one in root_dir, if any.'
)
_PRETRAINED = flags.DEFINE_string(
  'pretrained', None, 'A run of pretrained.gin. Default: as for --oracle.'
)
_SEED = flags.DEFINE_integer('seed', None, "Default: the run's.")
_OUT = flags.DEFINE_string('out', None, 'Where to write. Default: root_dir.')
_DEBUG = flags.DEFINE_bool(
  'debug', False, 'Whether errors show where they were raised.'
)

_Result = evaluation.Evaluation | protocols.ProtocolResult

# Adaptation steps where no protocol says otherwise.
_NUM_STEPS = 3


def main(argv):
  """Evaluates, and returns the exit code.

  0: done. 1: a task fails. 2: bad input. 130: stopped.
  """
  if len(argv) > 1:
    return terminal.print_error(
      'evaluate', f'{argv[1]} is not a flag: see --help'
    )
  if not _ROOT_DIR.value:
    return terminal.print_error(
      'evaluate', '--root_dir is missing: give the folder of a training run'
    )
  if (_ORACLE.value or _PRETRAINED.value) and not _REFERENCES.value:
    return terminal.print_error(
      'evaluate', '--references is missing: --oracle and --pretrained need it'
    )
  logging.set_verbosity(logging.WARNING)
  cpu.one_thread_an_operation()
  directory = _ROOT_DIR.value if _OUT.value is None else _OUT.value
  try:
    with errors.usage_errors():
      paths.check('--out', directory)
    run = trained_run.load(_ROOT_DIR.value)
    with errors.usage_errors():
      evaluate = _evaluation(run)
      os.makedirs(directory, exist_ok=True)
    result, missing = evaluate()
    report = evaluation_report
    if isinstance(result, protocols.ProtocolResult):
      report = protocol_report
    print('\n'.join([report.table(result), *missing]), flush=True)
    report.write(result, directory)
  except (errors.UsageError, OSError) as error:
    return terminal.print_error('evaluate', error, debug=_DEBUG.value)
  except (errors.RunError, finite_checks.NonFiniteError) as error:
    return terminal.print_error('evaluate', error, 1, _DEBUG.value)
  except KeyboardInterrupt:
    return terminal.print_error('evaluate', 'stopped, nothing is written', 130)
  names = ', '.join(report.FILES)
  terminal.log(f'evaluate: wrote {names} to {directory}')
  return 0


def _evaluation(
  run: trained_run.TrainedRun,
) -> Callable[[], tuple[_Result, list[str]]]:
  """Prepares the evaluation that the flags describe.

  Returns:
    A function that evaluates and returns the result and lines on the references
    that are missing.
  """
  if _PROTOCOL.value and protocols.is_meta_world(run.create_environment):
    protocol = _create_protocol(run)
    parameters = run.initial_parameters if _REFERENCES.value else None
    return lambda: (protocol.evaluate(parameters, terminal.log), [])
  evaluator = _create_evaluator(run, run)
  if _REFERENCES.value:
    return lambda: _evaluate_beside_references(run)
  return lambda: (evaluator.evaluate(log=terminal.log), [])


def _create_protocol(
  run: trained_run.TrainedRun,
) -> protocols.MetaWorldProtocol:
  """Creates the protocol with the numbers of the flags."""
  for flag in (_ORACLE, _PRETRAINED):
    if flag.value:
      raise ValueError(
        f'--{flag.name} is not part of the protocol: add --noprotocol'
      )
  if _STEP_SIZE_SCHEDULE.value != 'constant':
    raise ValueError(
      '--step_size_schedule is not part of the protocol: add --noprotocol'
    )
  return protocols.MetaWorldProtocol(
    run.agent,
    run.create_environment,
    _default(_SEED.value, run.seed),
    num_goals=_NUM_TASKS.value,
    adaptation_episodes=_default(
      _EPISODES.value, protocols.ADAPTATION_EPISODES
    ),
    num_adaptation_steps=_default(
      _NUM_ADAPTATION_STEPS.value, protocols.NUM_ADAPTATION_STEPS
    ),
  )


def _evaluate_beside_references(
  run: trained_run.TrainedRun,
) -> tuple[evaluation.Evaluation, list[str]]:
  """Evaluates; returns lines on the references that are missing, too."""
  found = references.find(
    _ROOT_DIR.value,
    {'oracle': _ORACLE.value, 'pretrained': _PRETRAINED.value},
  )
  result = references.evaluate(
    _ROOT_DIR.value,
    run,
    found,
    functools.partial(_create_evaluator, run),
    terminal.log,
  )
  return result, references.describe_missing(_ROOT_DIR.value, found, run)


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
    num_adaptation_steps = _default(_NUM_ADAPTATION_STEPS.value, _NUM_STEPS)
  episodes = _default(_EPISODES.value, run.episodes_per_task)
  return evaluation.Evaluator(
    evaluated.agent,
    evaluated.create_environment,
    seed=_default(_SEED.value, run.seed),
    num_tasks=_NUM_TASKS.value,
    episodes_per_task=checks.integer('episodes', episodes, 1),
    num_adaptation_steps=num_adaptation_steps,
    step_size_schedule=_STEP_SIZE_SCHEDULE.value if adapts else 'constant',
  )


def _default(value, default):
  return default if value is None else value


if __name__ == '__main__':
  app.run(main)
