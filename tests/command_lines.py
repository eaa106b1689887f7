"""Command lines called in this process, though their flags share names."""

import importlib
import sys

from absl import flags
from absl.testing import flagsaver


def call(name, argv=(), **values):
  """Calls a command line with flags; returns the exit code.

  Args:
    name: The module in maml_tf, such as 'train'.
    argv: The arguments of the command line other than flags.
    **values: The flags.
  """
  for flag in list(flags.FLAGS):
    module = flags.FLAGS.find_module_defining_flag(flag)
    if module.startswith('maml_tf.'):
      delattr(flags.FLAGS, flag)
  sys.modules.pop(f'maml_tf.{name}', None)
  importlib.import_module(f'maml_tf.{name}')
  command = importlib.import_module(f'maml_tf.commands.{name}')
  flags.FLAGS.mark_as_parsed()
  with flagsaver.flagsaver(**values):
    return command.main([name, *argv])
