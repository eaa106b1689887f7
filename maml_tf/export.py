"""Exports a run: python -m maml_tf.export --root_dir=DIR --export_dir=OUT."""

import maml_tf  # noqa: F401  # isort: skip  Before TensorFlow, which it quiets.

import os

from absl import app
from absl import flags
from absl import logging

from maml_tf import serving
from maml_tf.core import errors
from maml_tf.core import paths
from maml_tf.core import terminal
from maml_tf.run import trained_run

_ROOT_DIR = flags.DEFINE_string('root_dir', None, 'The run.')
_EXPORT_DIR = flags.DEFINE_string(
  'export_dir', None, 'The SavedModel; an older one there is replaced.'
)
_STATE = flags.DEFINE_string(
  'state',
  None,
  "One task's adapted parameters, an .npz file written by"
  ' np.savez(file, *policy_state): the SavedModel acts for that task alone.',
)
_DETERMINISTIC = flags.DEFINE_bool(
  'deterministic', False, 'With --state: it takes the most probable action.'
)
_DEBUG = flags.DEFINE_bool(
  'debug', False, 'Whether errors show where they were raised.'
)


def main(argv):
  """Exports, and returns the exit code: 0, or 2 for bad input."""
  logging.set_verbosity(logging.WARNING)
  try:
    _check(argv)
    run = trained_run.load(_ROOT_DIR.value)
    with errors.usage_errors():
      if _STATE.value is None:
        serving.save_adaptive(run.agent, _EXPORT_DIR.value)
      else:
        parameters = serving.load_parameters(run.agent, _STATE.value)
        serving.save_fixed_task(
          run.agent, parameters, _EXPORT_DIR.value, _DETERMINISTIC.value
        )
  except errors.UsageError as error:
    return terminal.print_error('export', error, debug=_DEBUG.value)
  kind = 'acts and adapts' if _STATE.value is None else 'acts for one task'
  terminal.log(
    f'export: {_EXPORT_DIR.value} {kind}, after {run.iteration} iterations;'
    f' {_size(_EXPORT_DIR.value) / 1e6:.1f} MB'
  )
  return 0


def _check(argv: list[str]) -> None:
  """Raises UsageError if flags are missing or do not fit together."""
  if len(argv) > 1:
    raise errors.UsageError(f'{argv[1]} is not a flag: see --help')
  for flag in (_ROOT_DIR, _EXPORT_DIR):
    if not flag.value:
      raise errors.UsageError(f'give --{flag.name}: see --help')
  with errors.usage_errors():
    # Before the run is loaded, which takes seconds.
    serving.check_directory(_EXPORT_DIR.value)
    if _STATE.value is not None:
      paths.check('--state', _STATE.value)
  if _DETERMINISTIC.value and _STATE.value is None:
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


if __name__ == '__main__':
  app.run(main)
