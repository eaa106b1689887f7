"""Trains grids and random draws of settings, as the flags of `sweep` say."""

from collections.abc import Sequence
import datetime
import os

from absl import flags
import gin

from maml_tf.commands import command_line
from maml_tf.core import checks
from maml_tf.core import devices
from maml_tf.core import errors
from maml_tf.core import paths
from maml_tf.core import terminal
from maml_tf.run import config as run_config
from maml_tf.run import config_values
from maml_tf.run import dry_run
from maml_tf.run import run_lock
from maml_tf.run import settings as run_settings
from maml_tf.run import unused_settings
from maml_tf.sweeping import axes as axes_lib
from maml_tf.sweeping import plan
from maml_tf.sweeping import record
from maml_tf.sweeping import sweep as sweep_lib

_FLAGS = flags.FLAGS

_MAX_RUNS = 10_000


def main(argv):
  """Sweeps, and returns the exit code.

  0: all runs are finished. 1: some failed. 2: bad input. 129, 130, 143: stopped
  by SIGHUP, Ctrl-C or SIGTERM.
  """
  del argv  # Its flags are parsed.
  devices.leave_gpus()
  root_dir = _FLAGS.root_dir or _new_root_dir()
  try:
    with errors.usage_errors():
      root_dir = paths.check_folder('--root_dir', root_dir)
      points = _points()
    settings = _check_settings(points)
    first = settings[0].seed
    planned = plan.Plan(
      _FLAGS.gin_file,
      _FLAGS.gin_bindings,
      plan.runs(points, range(first, first + _FLAGS.seeds)),
      _common_settings(points[0]),
    )
    num_iterations = {
      point.name: each.num_iterations for point, each in zip(points, settings)
    }
    with run_lock.hold(root_dir), errors.disk_errors('the sweep'):
      record.check(root_dir, planned)
      record.write(root_dir, planned)
      sweep = sweep_lib.Sweep(root_dir, planned, num_iterations)
      signal_number = sweep.run(_FLAGS.jobs)
  except errors.UsageError as error:
    return terminal.print_error('sweep', error, debug=_FLAGS.debug)
  except errors.RunError as error:
    return terminal.print_error('sweep', error, 1, _FLAGS.debug)
  if signal_number is not None:
    command = command_line.given_again('sweep', root_dir=root_dir)
    return terminal.print_error(
      'sweep', f'stopped; to resume: {command}', 128 + signal_number
    )
  return 0 if sweep.is_finished else 1


def _new_root_dir() -> str:
  """Returns a folder in runs/ named after the config and the time."""
  names = [os.path.splitext(os.path.basename(f))[0] for f in _FLAGS.gin_file]
  now = datetime.datetime.now().strftime('%Y%m%d-%H%M%S')
  return os.path.join('runs', '-'.join([*names, 'sweep', now]))


def _points() -> list[plan.Point]:
  """Returns the points that the flags ask for.

  Raises:
    ValueError: A flag is wrong.
  """
  for name in ('seeds', 'jobs'):
    checks.integer(f'--{name}', _FLAGS[name].value, 1, _MAX_RUNS)
  axes = [axes_lib.parse(text) for text in _FLAGS.set]
  num_points = _FLAGS.random
  if num_points is None:
    num_points = plan.num_combinations(axes)
  else:
    checks.integer('--random', num_points, 1, _MAX_RUNS)
  # Before they are made, which takes long for many.
  checks.integer('the number of runs', num_points * _FLAGS.seeds, 1, _MAX_RUNS)
  if _FLAGS.random is None:
    return plan.grid(axes)
  return plan.draws(axes, num_points)


def _check_settings(
  points: Sequence[plan.Point],
) -> list[run_settings.Settings]:
  """Builds the agent of each point once; returns the settings of each.

  Raises:
    errors.UsageError: A point has a setting that is wrong.
  """
  settings, unread = [], None
  for index, point in enumerate(points):
    with terminal.passing_line(f'checking {index + 1}/{len(points)} ...'):
      gin.clear_config()
      parsed = run_config.parse(
        _FLAGS.gin_file, [*_FLAGS.gin_bindings, *point.bindings]
      )
      with unused_settings.watching(parsed):
        settings.append(dry_run.check())
        lines = unused_settings.lines()
    found = {name for name in point.settings if _is_unread(name, lines)}
    unread = found if unread is None else unread & found
  for name in sorted(unread or ()):
    terminal.log(f'sweep: nothing reads {name}: its values make no difference')
  return settings


def _common_settings(point: plan.Point) -> dict[str, str]:
  """Returns what the gin files and bindings set for all runs, by name.

  Args:
    point: One of the points: the files alone may lack what --set gives.
  """
  gin.clear_config()
  run_config.parse(_FLAGS.gin_file, [*_FLAGS.gin_bindings, *point.bindings])
  return {
    name: value
    for name, value in config_values.of_text(gin.config_str()).items()
    if not any(_is_same_name(name, varied) for varied in point.settings)
  }


def _is_same_name(short: str, name: str) -> bool:
  """Returns whether a name of gin's may be the short one of a setting's."""
  short_scope, _, short_name = short.rpartition('/')
  scope, _, name = name.rpartition('/')
  return scope == short_scope and f'.{name}'.endswith(f'.{short_name}')


def _is_unread(name: str, lines: Sequence[str]) -> bool:
  """Returns whether a line says that nothing reads a setting."""
  # Only training calls these.
  if name.startswith(('train_eval.', 'Evaluator.')):
    return False
  return any(line.startswith(f"--gin_bindings='{name} = ") for line in lines)
