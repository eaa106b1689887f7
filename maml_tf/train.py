"""Trains: python -m maml_tf.train --gin_file=cheetah.gin."""

import maml_tf  # noqa: F401  # isort: skip  Before TensorFlow, which it quiets.

import datetime
import os
import shlex

from absl import app
from absl import flags
from absl import logging
import gin

from maml_tf.core import cpu
from maml_tf.core import errors
from maml_tf.core import terminal
from maml_tf.run import config as run_config
from maml_tf.run import experiment
from maml_tf.run import interruption
from maml_tf.run import strategies

_GIN_FILE = flags.DEFINE_multi_string(
  'gin_file', [], 'A path, or a config of the package, e.g. cheetah.gin.'
)
_GIN_BINDINGS = flags.DEFINE_multi_string(
  'gin_bindings', [], "A setting, e.g. 'train_eval.num_iterations = 100'."
)
_ROOT_DIR = flags.DEFINE_string(
  'root_dir', None, 'The run; resumed if it exists. Default: runs/NAME-TIME.'
)
_STRATEGY = flags.DEFINE_enum(
  'strategy',
  'default',
  strategies.NAMES,
  'Divides the tasks over nothing, all GPUs, the workers of TF_CONFIG, or the'
  ' cores of a TPU.',
)
_NUM_VIRTUAL_CPUS = flags.DEFINE_integer(
  'num_virtual_cpus',
  None,
  'With --strategy=mirrored: how many logical CPUs to use in place of GPUs.',
)
_ALLOW_CONFIG_CHANGE = flags.DEFINE_bool(
  'allow_config_change',
  False,
  'Whether a run that is resumed may go on with other settings. It records them'
  ' in config_changes.txt.',
)
_DEBUG = flags.DEFINE_bool(
  'debug', False, 'Whether errors show where they were raised.'
)


def main(argv):
  """Trains, and returns the exit code.

  0: done. 1: the run cannot continue. 2: bad input. 130, 143: stopped by Ctrl-C
  or SIGTERM.
  """
  if len(argv) > 1:
    return terminal.print_error('train', f'{argv[1]} is not a flag: see --help')
  logging.set_verbosity(logging.WARNING)
  cpu.one_thread_an_operation()
  root_dir = _new_root_dir() if _ROOT_DIR.value is None else _ROOT_DIR.value
  try:
    run_config.parse(_GIN_FILE.value, _GIN_BINDINGS.value)
    with errors.usage_errors():
      # Creates the objects that settings of the run refer to.
      gin.get_bindings('train_eval')
      strategy = strategies.create(_STRATEGY.value, _NUM_VIRTUAL_CPUS.value)
    returns = experiment.train_eval(
      root_dir,
      strategy=strategy,
      allow_config_change=_ALLOW_CONFIG_CHANGE.value,
    )
  except errors.UsageError as error:
    return terminal.print_error('train', error, debug=_DEBUG.value)
  except errors.RunError as error:
    return terminal.print_error('train', error, 1, _DEBUG.value)
  except interruption.Interrupted as error:
    stopped = f'stopped after iteration {error.iteration}'
    command = _resume_command(root_dir)
    return terminal.print_error(
      'train', f'{stopped}; to resume: {command}', error.exit_code
    )
  except KeyboardInterrupt:
    return terminal.print_error(
      'train', f'stopped at once; to resume: {_resume_command(root_dir)}', 130
    )
  path = ' -> '.join(f'{value:.1f}' for value in returns.mean(axis=(1, 2)))
  terminal.log(f'train: return on {returns.shape[1]} held-out tasks: {path}')
  return 0


def _new_root_dir() -> str:
  """Returns a folder in runs/ named after the config and the time."""
  names = [os.path.splitext(os.path.basename(f))[0] for f in _GIN_FILE.value]
  time = datetime.datetime.now().strftime('%Y%m%d-%H%M%S')
  return os.path.join('runs', '-'.join([*names, time]))


def _resume_command(root_dir: str) -> str:
  """Returns the command that was given, with its root_dir."""
  arguments = [f'--gin_file={shlex.quote(name)}' for name in _GIN_FILE.value]
  arguments += [
    f'--gin_bindings={shlex.quote(line)}' for line in _GIN_BINDINGS.value
  ]
  if _STRATEGY.value != 'default':
    arguments.append(f'--strategy={_STRATEGY.value}')
  if _NUM_VIRTUAL_CPUS.value is not None:
    arguments.append(f'--num_virtual_cpus={_NUM_VIRTUAL_CPUS.value}')
  arguments.append(f'--root_dir={shlex.quote(root_dir)}')
  return ' '.join(['python -m maml_tf.train', *arguments])


if __name__ == '__main__':
  app.run(main)
