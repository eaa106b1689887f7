"""A job whose process runs a script of Python in place of a training."""

import sys

from maml_tf.sweeping import processes


class ScriptJob(processes.Job):
  """A job whose gin files are a script and its arguments."""

  @property
  def command(self):
    return [sys.executable, '-c', *self.gin_files]
