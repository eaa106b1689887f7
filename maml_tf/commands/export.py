"""Exports a run, as the flags of `maml_tf.export` say."""

import os

from absl import flags

from maml_tf.commands import chosen_run
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
    _check()
    with errors.usage_errors():
      root_dir = chosen_run.root_dir()
    run = trained_run.load_for_process(root_dir)
    with errors.usage_errors():
      if _FLAGS.state is None:
        serving.save_adaptive(run.agent, _FLAGS.export_dir)
      else:
        parameters = serving.load_parameters(run.agent, _FLAGS.state)
        serving.save_fixed_task(
          run.agent, parameters, _FLAGS.export_dir, _FLAGS.deterministic
        )
  except errors.UsageError as error:
    return terminal.print_error('export', error, debug=_FLAGS.debug)
  kind = 'acts and adapts' if _FLAGS.state is None else 'acts for one task'
  terminal.log(
    f'export: {_FLAGS.export_dir} {kind}, after {run.iteration} iterations;'
    f' {_size(_FLAGS.export_dir) / 1e6:.1f} MB'
  )
  return 0


def _check() -> None:
  """Raises UsageError if flags are missing or do not fit together."""
  if not _FLAGS.root_dir and not _FLAGS.policy:
    raise errors.UsageError('give --root_dir or --policy: see --help')
  if not _FLAGS.export_dir:
    raise errors.UsageError('give --export_dir: see --help')
  with errors.usage_errors():
    # Before the run is loaded, which takes seconds.
    serving.check_directory(_FLAGS.export_dir, '--export_dir')
    if _FLAGS.state is not None:
      paths.check('--state', _FLAGS.state)
  if _FLAGS.deterministic and _FLAGS.state is None:
    raise errors.UsageError(
      '--deterministic needs a --state: a model that adapts offers'
      ' deterministic_action beside action'
    )


def _size(directory: str) -> int:
  """Returns the bytes of all files in a directory."""
  return sum(
    os.path.getsize(os.path.join(folder, name))
    for folder, _, names in os.walk(directory)
    for name in names
  )
