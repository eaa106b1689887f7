"""Completes words in a shell: eval "$(register-python-argcomplete maml_tf)".

argcomplete (https://kislyuk.github.io/argcomplete/) asks the program itself
what may follow. It reads parsers of argparse, so one is made of the flags.
"""

import argparse
import importlib
import os
import sys

from absl import flags

from maml_tf.commands import command_line
from maml_tf.commands import typed_command
from maml_tf.core import shipped_configs
from maml_tf.core import shipped_policies


def complete_if_asked() -> None:
  """Answers a shell that asks, and exits; returns if none asks."""
  if '_ARGCOMPLETE' not in os.environ:
    return
  try:
    argcomplete = importlib.import_module('argcomplete')
  except ImportError:
    sys.exit(1)
  parser = argparse.ArgumentParser()
  parsers = parser.add_subparsers()
  typed = os.environ.get('COMP_LINE', '').split()[1:2]
  for name, summary in command_line.SUMMARIES.items():
    command = parsers.add_parser(name, help=summary)
    # Commands define flags of the same names: only one can be imported.
    if [name] == typed:
      module = importlib.import_module(typed_command.module_name(name))
      if module.COMMAND.takes_words:
        command.add_argument(
          'words', nargs='*'
        ).completer = argcomplete.completers.DirectoriesCompleter()
      for flag in command_line.own_flags(name):
        _add(command, flag, argcomplete.completers)
  argcomplete.autocomplete(parser)


def _add(parser: argparse.ArgumentParser, flag: flags.Flag, completers) -> None:
  """Adds a flag to a parser, with what completes its value."""
  if flag.flag_type() == 'bool':
    parser.add_argument(f'--{flag.name}', action='store_true')
    parser.add_argument(f'--no{flag.name}', action='store_true')
    return
  argument = parser.add_argument(f'--{flag.name}', action='append')
  if isinstance(flag, flags.EnumFlag):
    argument.choices = flag.parser.enum_values
  elif flag.name == 'policy':
    argument.choices = shipped_policies.names()
  elif flag.name == 'gin_file':
    files = completers.FilesCompleter(['gin'])
    argument.completer = lambda prefix, **_: [
      *shipped_configs.names(),
      *files(prefix),
    ]
  elif flag.name.endswith('_dir'):
    argument.completer = completers.DirectoriesCompleter()
