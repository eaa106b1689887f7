"""Command lines called in this process, though their flags share names."""

import importlib
import sys

from absl import flags
from absl.testing import flagsaver

from maml_tf.commands import typed_command


def import_anew(name):
  """Imports a command line, which defines its flags in place of others'."""
  for flag in list(flags.FLAGS):
    module = flags.FLAGS.find_module_defining_flag(flag)
    if module.startswith('maml_tf.'):
      delattr(flags.FLAGS, flag)
  module = typed_command.module_name(name)
  sys.modules.pop(module, None)
  return importlib.import_module(module)


def call(name, argv=(), **values):
  """Calls a command line with flags; returns the exit code.

  Args:
    name: The module in maml_tf, such as 'train'.
    argv: The arguments of the command line other than flags.
    **values: The flags.
  """
  command_line = import_anew(name)
  command = importlib.import_module(f'maml_tf.commands.{name}')
  flags.FLAGS.mark_as_parsed()
  with flagsaver.flagsaver(**values):
    # It refuses arguments other than flags before it imports the command.
    return (command_line if argv else command).main([name, *argv])


def call_with_words(command, words, **values):
  """Calls a command line that takes words; returns the exit code."""
  main = importlib.import_module(f'maml_tf.commands.{command.name}').main
  flags.FLAGS.mark_as_parsed()
  with flagsaver.flagsaver(**values):
    return main([command.name, *words])
