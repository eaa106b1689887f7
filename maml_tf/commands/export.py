"""Exports a run, as the flags of `maml_tf.export` say."""

import os

from absl import flags

from maml_tf.commands import chosen_run
from maml_tf.core import checks
from maml_tf.core import errors
from maml_tf.core import paths
from maml_tf.core import terminal
from maml_tf.run import trained_run
import maml_tf.serving as serving

_FLAGS = flags.FLAGS


def main(argv):
  """Exports, and returns the exit code: 0, or 2 for bad input."""
  del argv  # Its flags are parsed.
  try:
    with errors.usage_errors():
      root_dir = chosen_run.root_dir()
    version = _check()
    run = trained_run.load_for_process(root_dir)
    with errors.usage_errors():
      if _FLAGS.lite:
        path, kind = _export_lite(run)
      else:
        path, kind = _export(run, version)
  except errors.UsageError as error:
    return terminal.print_error('export', error, debug=_FLAGS.debug)
  terminal.log(
    f'export: {path} {kind}, after {run.iteration} iterations;'
    f' {_size(path) / 1e6:.1f} MB'
  )
  return 0


def _export(
  run: trained_run.TrainedRun, version: serving.Version | None
) -> tuple[str, str]:
  """Writes a SavedModel; returns its path and what it does."""
  if _FLAGS.state is None:
    directory = serving.save_adaptive(run.agent, _FLAGS.export_dir, version)
    return directory, 'acts and adapts'
  parameters = serving.load_parameters(run.agent, _FLAGS.state)
  directory = serving.save_fixed_task(
    run.agent, parameters, _FLAGS.export_dir, _FLAGS.deterministic, version
  )
  return directory, 'acts for one task'


def _export_lite(run: trained_run.TrainedRun) -> tuple[str, str]:
  """Writes a TFLite model; returns its path and what it does."""
  directory = _FLAGS.export_dir
  with terminal.passing_line('converting ...'):
    if _FLAGS.state is not None:
      parameters = serving.load_parameters(run.agent, _FLAGS.state)
      path = serving.save_fixed_task_lite(
        run.agent, parameters, directory, _FLAGS.deterministic
      )
      return path, 'acts for one task'
    episodes = _FLAGS.episodes or run.episodes_per_task
    horizon = _FLAGS.horizon or run.horizon
    num_frames = episodes * (horizon + 1)
    path = serving.save_adaptive_lite(run.agent, directory, num_frames)
  return path, f'acts and adapts to {episodes} episodes of {horizon} steps'


def _check() -> serving.Version | None:
  """Returns the version to add, if any.

  Raises:
    UsageError: Flags are missing or do not fit together.
  """
  version = None
  if not _FLAGS.export_dir:
    raise errors.UsageError('give --export_dir: see --help')
  if _FLAGS.deterministic and _FLAGS.state is None:
    raise errors.UsageError(
      '--deterministic needs a --state: a model that adapts offers'
      + (
        ' noise of zeros'
        if _FLAGS.lite
        else ' deterministic_action beside action'
      )
    )
  with errors.usage_errors():
    _check_sizes()
    # Before the run is loaded, which takes seconds.
    if _FLAGS.model_version is not None:
      if _FLAGS.lite:
        raise ValueError('--model_version and --lite exclude each other')
      version = serving.parse_version(_FLAGS.model_version, '--model_version')
    if _FLAGS.lite:
      serving.check_lite_directory(_FLAGS.export_dir, '--export_dir')
    else:
      serving.check_directory(_FLAGS.export_dir, '--export_dir', version)
    if _FLAGS.state is not None:
      paths.check('--state', _FLAGS.state)
  return version


def _check_sizes() -> None:
  """Raises ValueError if sizes of adaptation are wrong or have no effect."""
  for name in ('episodes', 'horizon'):
    size = _FLAGS[name].value
    if size is None:
      continue
    checks.integer(f'--{name}', size, 1, checks.MAX_SIZE)
    if not _FLAGS.lite or _FLAGS.state is not None:
      raise ValueError(
        f'--{name} needs --lite without --state: other models adapt to any'
        ' number of frames, or not at all'
      )


def _size(path: str) -> int:
  """Returns the bytes of a file, or of all files in a directory."""
  if os.path.isfile(path):
    return os.path.getsize(path)
  return sum(
    os.path.getsize(os.path.join(folder, name))
    for folder, _, names in os.walk(path)
    for name in names
  )
