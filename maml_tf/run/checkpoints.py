"""Checkpoints of a run, which appear complete and are checked when read."""

from collections.abc import Callable
import contextlib
import os
import re
import shutil

import numpy as np
import tensorflow as tf

from maml_tf.core import errors
from maml_tf.core import files
from maml_tf.core import terminal
from maml_tf.core import version

CHECKPOINT_DIR = 'checkpoints'
# TensorFlow's own tools read there which one is the last.
POINTER = 'checkpoint'
_PREFIX = 'ckpt-'
_WRITING = '.writing'
_VALUE = '.ATTRIBUTES/VARIABLE_VALUE'
# A trainer that replaces checkpoints faster than they are read is not known.
_MAX_LOOKS = 20


def newest_intact(
  directory: str, log: Callable[[str], None] = terminal.log
) -> str | None:
  """Finds the newest checkpoint whose bytes are all intact.

  Every tensor is read: TensorFlow stores a checksum with each. If a trainer
  replaces checkpoints meanwhile, it looks again.

  Args:
    directory: The folder of the checkpoints.
    log: Receives a line about the damaged ones that were skipped.

  Returns:
    Its path as `tf.train.Checkpoint.read` takes it. None: there is no
    checkpoint, neither an intact nor a damaged one.

  Raises:
    errors.UsageError: There are checkpoints, but none is intact.
  """
  for _ in range(_MAX_LOOKS):
    known = _known(directory)
    path, damaged = _newest_intact(directory, known)
    if not damaged or _known(directory) == known:
      break
  if not damaged:
    return path
  if path is None:
    raise errors.UsageError(
      f'{"; ".join(damaged)}: no checkpoint is intact, and nothing was changed;'
      ' bring one back, or give another --root_dir to begin anew'
    )
  log(f'{"; ".join(damaged)}: {path} is used instead')
  return path


def is_in(directory: str) -> bool:
  """Returns whether a folder has checkpoints of a run, intact or not."""
  return bool(_known(directory))


def _newest_intact(directory, known):
  """Returns the path of the newest intact one, and lines about damaged ones."""
  damaged = []
  for iteration in sorted(known, reverse=True):
    path = _path(directory, iteration)
    damage = _damage(path)
    if not damage:
      return path, damaged
    damaged.append(f'{path} is damaged ({damage})')
  return None, damaged


def _known(directory):
  """The iterations that have an index, and the last one written."""
  return {*_iterations(directory), *_pointed_at(directory)}


class RunCheckpoints:
  """Writes and restores a run's checkpoints and keeps the last three.

  A new one appears under its name only when it is complete. A process that ends
  while it writes, or a full disk, does not damage older ones.
  """

  def __init__(self, root_dir: str, max_to_keep: int = 3, **trackables):
    """Stores the objects to save.

    Args:
      root_dir: The run's folder.
      max_to_keep: The number of checkpoints to keep.
      **trackables: The objects by name, as `tf.train.Checkpoint` takes them.
    """
    self._directory = os.path.join(root_dir, CHECKPOINT_DIR)
    self._max_to_keep = max_to_keep
    self._checkpoint = tf.train.Checkpoint(**trackables)
    # A number, like all others. Reading does without it: older checkpoints
    # have none.
    recorded = tf.Variable(
      np.frombuffer(version.VERSION.encode(), np.uint8), trainable=False
    )
    self._written = tf.train.Checkpoint(version=recorded, **trackables)
    self._last_iteration = None
    # The result of `find`: a path, and lines about damaged checkpoints.
    self._found = None

  @property
  def last_iteration(self) -> int | None:
    """The iteration of the newest checkpoint; None if there is none yet."""
    return self._last_iteration

  def find(self) -> str | None:
    """Finds the newest intact checkpoint; prints and changes nothing.

    This reads the whole checkpoint; `restore` does not check it again.

    Returns:
      Its path; None if there is no checkpoint.

    Raises:
      errors.UsageError: There are checkpoints, but none is intact.
    """
    lines = []
    self._found = newest_intact(self._directory, lines.append), lines
    return self._found[0]

  def restore(self) -> bool:
    """Restores the newest intact checkpoint; returns whether there is one.

    Raises:
      errors.UsageError: There are checkpoints, but none is intact, or they hold
        other variables than this run's.
    """
    if self._found is None:
      self.find()
    (path, lines), self._found = self._found, None
    for line in lines:
      terminal.log(line)
    if path is None:
      return False
    rates = _learning_rates(self._checkpoint)
    configured = [rate.numpy() for rate in rates]
    read(
      self._checkpoint,
      path,
      'give another --root_dir, or the config or version that wrote it',
    )
    # Keras saves them, but they are settings, which may have changed.
    for rate, value in zip(rates, configured):
      rate.assign(value)
    self._last_iteration = iteration_of(path)
    return True

  def save(self, iteration: int) -> None:
    """Writes a checkpoint, then removes those that are not kept.

    Args:
      iteration: The last completed iteration, which names it.

    Raises:
      errors.RunError: It cannot be written; older ones have not changed.
    """
    scratch = os.path.join(self._directory, _WRITING)
    what = f'the checkpoint of iteration {iteration} in {self._directory}'
    with errors.disk_errors(what):
      shutil.rmtree(scratch, ignore_errors=True)
      try:
        os.makedirs(scratch)
        self._written.write(_path(scratch, iteration))
        # The index comes last: without it the checkpoint does not exist.
        names = sorted(os.listdir(scratch), key=lambda n: n.endswith('.index'))
        for name in names:
          files.sync(os.path.join(scratch, name))
        for name in names:
          os.replace(
            os.path.join(scratch, name), os.path.join(self._directory, name)
          )
          files.sync(self._directory)
      finally:
        shutil.rmtree(scratch, ignore_errors=True)
      self._last_iteration = iteration
      self._remove_old()
      self._point_to(iteration)

  def _point_to(self, iteration):
    """Updates the file that `tf.train.latest_checkpoint` reads."""
    path = os.path.join(self._directory, POINTER)
    with files.replace_file(path) as scratch:
      with open(scratch, 'w', encoding='utf-8') as file:
        file.write(f'model_checkpoint_path: "{_PREFIX}{iteration}"\n')

  def _remove_old(self):
    """Keeps the newest checkpoints up to the one just written."""
    iterations = sorted(_iterations(self._directory))
    # Damaged ones of later iterations do not count.
    written = [i for i in iterations if i <= self._last_iteration]
    kept = written[-self._max_to_keep :]
    # The index first: half a removed checkpoint must not look like one.
    for ending in (r'\.index', r'\.data-.+'):
      # A process that was killed may have left the data of older ones.
      for iteration, path in _files(self._directory, ending):
        if iteration < kept[0]:
          os.remove(path)


def _learning_rates(checkpoint):
  """Returns the variables of constant learning rates among a checkpoint's."""
  optimizers = (
    part
    for part in tf.train.TrackableView(checkpoint).descendants()
    if isinstance(part, tf.keras.optimizers.Optimizer)
  )
  rates = (optimizer.learning_rate for optimizer in optimizers)
  return [rate for rate in rates if isinstance(rate, tf.Variable)]


def read(checkpoint: tf.train.Checkpoint, path: str, advice: str) -> None:
  """Restores objects from a checkpoint, which must have all their variables.

  Args:
    checkpoint: The objects. What else is in the checkpoint does not matter.
    path: A path as `newest_intact` returns it.
    advice: What to do if the checkpoint does not fit.

  Raises:
    errors.UsageError: It holds other variables than the objects.
    tf.errors.NotFoundError: It has been removed.
  """
  try:
    status = checkpoint.read(path)
    status.assert_existing_objects_matched().expect_partial()
  except (AssertionError, ValueError, tf.errors.InvalidArgumentError) as error:
    tf.get_logger().addFilter(_is_not_about_the_rest)
    reason = str(error).partition('\n')[0].partition(', likely')[0]
    raise errors.UsageError(
      f'{path} holds other variables than this config makes ({reason}):'
      f' {advice}'
    ) from error


def _is_not_about_the_rest(record):
  """Hides TensorFlow's lines on what else is in a checkpoint that did not fit.

  They come much later, when the objects are deleted.
  """
  return not record.getMessage().startswith(
    ('Detecting that an object or model', 'Value in checkpoint could not be')
  )


def recorded_version(path: str) -> str | None:
  """Returns the version that wrote a checkpoint; None if it did not say so."""
  try:
    reader = tf.train.load_checkpoint(path)
    return reader.get_tensor(f'version/{_VALUE}').tobytes().decode()
  # Without that variable, or because it has been removed.
  except (tf.errors.OpError, ValueError, RuntimeError):
    return None


def remove_leftovers(root_dir: str) -> None:
  """Removes what a process that was killed amid a checkpoint left."""
  directory = os.path.join(root_dir, CHECKPOINT_DIR)
  shutil.rmtree(os.path.join(directory, _WRITING), ignore_errors=True)
  with contextlib.suppress(FileNotFoundError, NotADirectoryError):
    os.remove(files.scratch_file(os.path.join(directory, POINTER)))


def _path(directory, iteration):
  return os.path.join(directory, f'{_PREFIX}{iteration}')


def iteration_of(path: str) -> int:
  """Returns the iteration of a checkpoint."""
  return int(os.path.basename(path).removeprefix(_PREFIX))


def _iterations(directory):
  """The iterations whose checkpoints have an index."""
  return [iteration for iteration, _ in _files(directory, r'\.index')]


def _files(directory, ending):
  """Returns pairs of iterations and paths of the files of checkpoints.

  Args:
    directory: The folder of the checkpoints.
    ending: A pattern of the ends of their names.
  """
  if not os.path.isdir(directory):
    return []
  matches = (
    re.fullmatch(rf'{_PREFIX}(\d+){ending}', name)
    for name in os.listdir(directory)
  )
  return [
    (int(match[1]), os.path.join(directory, match[0]))
    for match in matches
    if match
  ]


def _pointed_at(directory):
  """The iteration of the last checkpoint written, even if it is lost."""
  try:
    with open(os.path.join(directory, POINTER), encoding='utf-8') as file:
      return map(int, re.findall(rf'{_PREFIX}(\d+)', file.readline()))
  except (OSError, ValueError):
    return ()


def _damage(path):
  """Describes the damage to a checkpoint in a few words; '' if it is intact."""
  if not os.path.exists(f'{path}.index'):
    return 'its index is missing'
  try:
    reader = tf.train.load_checkpoint(path)
    for name in reader.get_variable_to_shape_map():
      reader.get_tensor(name)
  except Exception as error:  # Damaged bytes may raise any of them.
    reason = str(getattr(error, 'message', error)).partition('\n')[0]
    return reason.removeprefix(path).strip(' :') or type(error).__name__
  return ''
