"""A run's folder: whether a run can write there all that it will write."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import os

from maml_tf.core import errors
from maml_tf.core import files
from maml_tf.core import paths
from maml_tf.core import shipped_policies
from maml_tf.run import checkpoints as run_checkpoints
from maml_tf.run import config as run_config
from maml_tf.run import config_record
from maml_tf.run import csv_file
from maml_tf.run import loggers
from maml_tf.run import run_lock
import maml_tf.serving as serving

MODEL_DIR = 'saved_model'

_FILES = (
  run_config.CONFIG_FILE,
  run_config.CHANGES_FILE,
  loggers.METRICS_FILE,
  loggers.EVALUATIONS_FILE,
)


@contextlib.contextmanager
def hold(root_dir: str, exports: bool) -> Iterator[None]:
  """Keeps a folder for one run during the block, after checking it.

  What processes that were killed left there is removed.

  Args:
    root_dir: The run's folder, which need not exist.
    exports: Whether the run will write a SavedModel.

  Raises:
    errors.UsageError: The folder is being trained in, cannot be written, or has
      files that are not a run's. Nothing is changed.
  """
  if shipped_policies.contains(root_dir):
    raise errors.UsageError(
      f'{root_dir} is a trained policy of the package, which is only read: copy'
      ' it, or give another --root_dir'
    )
  with run_lock.hold(root_dir):
    with errors.usage_errors():
      _check(root_dir, exports)
    _remove_leftovers(root_dir)
    yield


def _check(root_dir: str, exports: bool) -> None:
  """Raises ValueError if the run's files cannot be written."""
  checkpoints = os.path.join(root_dir, run_checkpoints.CHECKPOINT_DIR)
  model = os.path.join(root_dir, MODEL_DIR)
  for name in _FILES:
    path = os.path.join(root_dir, name)
    if os.path.isdir(path):
      raise ValueError(
        f'{path} is a folder, where the run writes a file: move it away, or'
        ' give another --root_dir'
      )
    if os.path.exists(path) and not os.access(path, os.W_OK):
      raise ValueError(
        f'{path} cannot be written: change its permissions, or give another'
        ' --root_dir'
      )
  if os.path.lexists(checkpoints) and not os.path.isdir(checkpoints):
    raise ValueError(
      f'{checkpoints} is not a folder, where the run writes one: move it away,'
      ' or give another --root_dir'
    )
  for folder in (root_dir, checkpoints):
    paths.check_writable(folder)
  if exports:
    serving.check_directory(model)
  if has_checkpoints(root_dir):
    return
  if os.path.exists(os.path.join(root_dir, loggers.METRICS_FILE)):
    raise ValueError(
      f'{root_dir} has a {loggers.METRICS_FILE} but no checkpoint: bring its'
      ' checkpoints back, or give another --root_dir'
    )
  others = [os.path.join(root_dir, loggers.EVALUATIONS_FILE)]
  others.append(os.path.join(checkpoints, run_checkpoints.POINTER))
  if exports and os.path.isdir(model) and os.listdir(model):
    others.append(model)
  for path in others:
    if os.path.lexists(path):
      raise ValueError(
        f'{path} is not of a run, since {root_dir} has no checkpoint of one:'
        ' move it away, or give another --root_dir'
      )


def has_checkpoints(root_dir: str) -> bool:
  """Returns whether a run in a folder has begun.

  Args:
    root_dir: The run's folder, which need not exist.
  """
  folder = os.path.join(root_dir, run_checkpoints.CHECKPOINT_DIR)
  return run_checkpoints.is_in(folder)


def check_rows(
  root_dir: str,
  done: int,
  columns: Mapping[str, Sequence[str]],
) -> list[str]:
  """Compares a run's rows with those that it will write. Writes nothing.

  Args:
    root_dir: The run's folder.
    done: The number of completed iterations.
    columns: See `metrics.columns`.

  Returns:
    Lines on what is missing or changes.

  Raises:
    errors.UsageError: A file does not hold the rows of a run.
  """
  settings = config_record.recorded(root_dir) or {}
  interval = settings.get('train_eval.evaluation_interval', '0')
  was_evaluated = interval.isdigit() and 0 < int(interval) <= done
  lines = []
  for name in (loggers.METRICS_FILE, loggers.EVALUATIONS_FILE):
    path = os.path.join(root_dir, name)
    plan = csv_file.plan(path, done + 1, columns[name])
    is_expected = done > 0 and (was_evaluated or name == loggers.METRICS_FILE)
    if plan.rows:
      lines += [f'{path} {line}' for line in plan.lines]
    elif is_expected:
      lines.append(f'{path} {plan.lines[0]}: it begins anew')
    if plan.rows and name == loggers.METRICS_FILE:
      missing = csv_file.missing_iterations(plan, done)
      if missing:
        lines.append(f'{path} has no rows of iterations {missing}')
  return lines


def _remove_leftovers(root_dir: str) -> None:
  """Removes what processes left that were killed while they wrote."""
  run_checkpoints.remove_leftovers(root_dir)
  with contextlib.suppress(OSError):
    files.recover_directory(os.path.join(root_dir, MODEL_DIR))
  if not has_checkpoints(root_dir):
    return  # Files of such names may be someone else's.
  for name in _FILES:
    with contextlib.suppress(OSError):
      os.remove(files.scratch_file(os.path.join(root_dir, name)))
