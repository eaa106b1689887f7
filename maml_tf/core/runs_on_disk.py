"""Whether a folder holds a run, without TensorFlow or gin."""

import os

from maml_tf.core import paths
from maml_tf.core import run_files


def holds_run(folder: str) -> bool:
  """Returns whether a folder has the config of a run."""
  return os.path.isfile(os.path.join(folder, run_files.CONFIG_FILE))


def check(root_dir: str) -> None:
  """Checks that a folder holds a run, before that is loaded.

  Raises:
    ValueError: It does not; the message says how to mend that.
  """
  paths.check_folder('--root_dir', root_dir)
  if not holds_run(root_dir):
    raise ValueError(
      f'{root_dir} holds no run ({run_files.CONFIG_FILE} is missing): give the'
      ' --root_dir of a training run'
    )
