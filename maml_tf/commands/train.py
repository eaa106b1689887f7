"""Trains, as the flags of `maml_tf.train` say."""

import datetime
import os

from absl import flags
import gin

from maml_tf.commands import command_line
from maml_tf.core import cpu
from maml_tf.core import errors
from maml_tf.core import shipped_configs
from maml_tf.core import terminal
from maml_tf.run import config as run_config
from maml_tf.run import experiment
from maml_tf.run import interruption
from maml_tf.run import strategies
from maml_tf.run import unused_settings

_FLAGS = flags.FLAGS
# What these allow is done when a run is saved.
_ONCE = ('allow_config_change',)


def main(argv):
  """Trains, and returns the exit code.

  0: done. 1: the run cannot continue. 2: bad input. 129, 130, 143: stopped by
  SIGHUP, Ctrl-C or SIGTERM.
  """
  del argv  # Its flags are parsed.
  cpu.one_thread_an_operation()
  root_dir = _FLAGS.root_dir
  if root_dir is None:
    root_dir = _new_root_dir()
  try:
    parsed = run_config.parse(_FLAGS.gin_file, _FLAGS.gin_bindings)
    with errors.usage_errors():
      # Creates the objects that settings of the run refer to.
      bindings = gin.get_bindings('train_eval')
      if bindings.get('environment_class') is None:
        _check_experiment()
      strategy = strategies.create(_FLAGS.strategy, _FLAGS.num_virtual_cpus)
    with unused_settings.watching(parsed):
      returns = experiment.train_eval(
        root_dir,
        strategy=strategy,
        allow_config_change=_FLAGS.allow_config_change,
      )
  except errors.UsageError as error:
    return terminal.print_error('train', error, debug=_FLAGS.debug)
  except errors.RunError as error:
    return terminal.print_error('train', error, 1, _FLAGS.debug)
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


def _check_experiment() -> None:
  """Raises ValueError if all files that were given are algorithms."""
  names = [os.path.basename(name) for name in _FLAGS.gin_file]
  algorithms = shipped_configs.groups().algorithms
  if names and all(name in algorithms for name in names):
    raise ValueError(
      f'{names[0]} is an algorithm: name an experiment before it, as by'
      f' --gin_file=point.gin --gin_file={names[0]}'
    )


def _new_root_dir() -> str:
  """Returns a folder in runs/ named after the config and the time."""
  names = [os.path.splitext(os.path.basename(f))[0] for f in _FLAGS.gin_file]
  time = datetime.datetime.now().strftime('%Y%m%d-%H%M%S')
  return os.path.join('runs', '-'.join([*names, time]))


def _resume_command(root_dir: str) -> str:
  """Returns the command that was given, with its root_dir."""
  return command_line.given_again('train', _ONCE, root_dir=root_dir)
