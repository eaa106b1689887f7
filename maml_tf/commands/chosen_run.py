"""--root_dir and --policy: the folder of the run that a command reads."""

import os

from absl import flags

from maml_tf.core import runs_on_disk
from maml_tf.core import shipped_policies

POLICY_HELP = (
  'A trained policy in place of --root_dir:'
  f' {", ".join(shipped_policies.names())}.'
)
TASK_HELP = (
  'Numbers, e.g. -1 or 0.3,-0.2. Or held_out:3: the fourth task of an'
  ' evaluation of this --seed; if tasks are not numbers, 3 is the same. Of a'
  ' finite list also train:3. Default: the first of an evaluation; of a policy'
  ' an example.'
)
SEED_HELP = (
  'Of resets and actions. Default: 0. Also of the evaluation that has the task.'
  " Default: the run's, as in evaluate."
)
_MISSING = (
  '--root_dir is missing: give the folder of a training run, or --policy'
)
_HERE = '.'

_FLAGS = flags.FLAGS


def root_dir() -> str:
  """Returns the folder of the run, which is only read.

  Raises:
    ValueError: Neither or both are given, or the policy is unknown.
  """
  if not _FLAGS.policy:
    if not _FLAGS.root_dir:
      raise ValueError(_MISSING)
    return _FLAGS.root_dir
  if _FLAGS.root_dir:
    raise ValueError('--root_dir and --policy exclude each other: give one')
  return shipped_policies.folder(_FLAGS.policy)


def check() -> None:
  """Checks what names the run, before TensorFlow is imported.

  Raises:
    ValueError: As for `root_dir`, or that folder holds no run.
  """
  runs_on_disk.check(root_dir())


def output_folder() -> str:
  """Returns where output goes by default: to the run.

  The package's folders are only read: of a trained policy it goes to the
  current folder.

  Raises:
    ValueError: As for `root_dir`, or the current folder is another run's.
  """
  folder = root_dir()
  if not shipped_policies.contains(folder):
    return folder
  if runs_on_disk.holds_run(_HERE):
    raise ValueError(
      'the current folder holds a run, whose own files would be replaced: give'
      ' another place by --out'
    )
  return _HERE


def output_file(name: str) -> str:
  """Returns the path of a file in `output_folder`."""
  folder = output_folder()
  return name if folder == _HERE else os.path.join(folder, name)


def task() -> str | None:
  """Returns the text of --task; by default a policy's example.

  Returns:
    None if neither the task nor a policy is given.
  """
  if _FLAGS.task is None and _FLAGS.policy:
    return shipped_policies.facts(_FLAGS.policy).example_task
  return _FLAGS.task


def describe(folder: str) -> str:
  """Returns a folder's name for a line that says what was written where."""
  return 'the current folder' if folder == _HERE else folder
