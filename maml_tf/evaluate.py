"""Tests on held-out tasks: python -m maml_tf.evaluate --root_dir=DIR."""

import maml_tf  # noqa: F401  # isort: skip  Before TensorFlow, which it quiets.

import os

from absl import app
from absl import flags
from absl import logging

from maml_tf import evaluation
from maml_tf.core import checks
from maml_tf.core import cpu
from maml_tf.core import errors
from maml_tf.core import terminal
from maml_tf.evaluation import protocol_report
from maml_tf.evaluation import protocols
from maml_tf.evaluation import report as evaluation_report
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
  'references', False, 'Also evaluate without meta-learning, and at random.'
)
_SEED = flags.DEFINE_integer('seed', None, "Default: the run's.")
_OUT = flags.DEFINE_string('out', None, 'Where to write. Default: root_dir.')

# Adaptation steps where no protocol says otherwise.
_NUM_STEPS = 3


def main(argv):
  """Evaluates, and returns the exit code: 0, or 2 for bad input."""
  if len(argv) > 1:
    return terminal.print_error(
      'evaluate', f'{argv[1]} is not a flag: see --help'
    )
  if not _ROOT_DIR.value:
    return terminal.print_error(
      'evaluate', '--root_dir is missing: give the folder of a training run'
    )
  logging.set_verbosity(logging.WARNING)
  cpu.one_thread_an_operation()
  directory = _OUT.value or _ROOT_DIR.value
  try:
    run = trained_run.load(_ROOT_DIR.value)
    with errors.usage_errors():
      evaluator = _create_evaluator(run)
      os.makedirs(directory, exist_ok=True)
  except errors.UsageError as error:
    return terminal.print_error('evaluate', error)
  try:
    result = evaluator.evaluate(
      run.initial_parameters if _REFERENCES.value else None, terminal.log
    )
    report = evaluation_report
    if isinstance(result, protocols.ProtocolResult):
      report = protocol_report
    print(report.table(result), flush=True)
    report.write(result, directory)
  except (OSError, errors.RunError) as error:
    return terminal.print_error('evaluate', error)
  except KeyboardInterrupt:
    return terminal.print_error('evaluate', 'stopped, nothing is written', 130)
  names = ', '.join(report.FILES)
  terminal.log(f'evaluate: wrote {names} to {directory}')
  return 0


def _create_evaluator(
  run: trained_run.TrainedRun,
) -> evaluation.Evaluator | protocols.MetaWorldProtocol:
  """Creates the evaluator that the flags describe."""
  seed = run.seed if _SEED.value is None else _SEED.value
  num_steps, episodes = _NUM_ADAPTATION_STEPS.value, _EPISODES.value
  if _PROTOCOL.value and protocols.is_meta_world(run.create_environment):
    if _STEP_SIZE_SCHEDULE.value != 'constant':
      raise ValueError(
        '--step_size_schedule is not part of the protocol: add --noprotocol'
      )
    return protocols.MetaWorldProtocol(
      run.agent,
      run.create_environment,
      seed,
      num_goals=_NUM_TASKS.value,
      adaptation_episodes=_default(episodes, protocols.ADAPTATION_EPISODES),
      num_adaptation_steps=_default(num_steps, protocols.NUM_ADAPTATION_STEPS),
    )
  episodes = _default(episodes, run.episodes_per_task)
  return evaluation.Evaluator(
    run.agent,
    run.create_environment,
    seed=seed,
    num_tasks=_NUM_TASKS.value,
    episodes_per_task=checks.integer('episodes', episodes, 1),
    num_adaptation_steps=_default(num_steps, _NUM_STEPS),
    step_size_schedule=_STEP_SIZE_SCHEDULE.value,
  )


def _default(value, default):
  return default if value is None else value


if __name__ == '__main__':
  app.run(main)
