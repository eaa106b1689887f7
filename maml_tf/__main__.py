"""Lists the commands: python -m maml_tf."""

import sys

from maml_tf.commands import command_line
from maml_tf.core import terminal
from maml_tf.core import version


def main(argv):
  """Lists the commands, and returns the exit code: 2 if words follow."""
  if argv[1:] == ['--version']:
    terminal.show(version.describe())
    return 0
  if len(argv) > 1 and argv[1] not in ('--help', '-h'):
    name = argv[1] if argv[1] in command_line.SUMMARIES else 'train'
    return terminal.print_error(
      'maml_tf', f'give a command as a module: python -m maml_tf.{name}'
    )
  for name, summary in command_line.SUMMARIES.items():
    terminal.show(f'python -m maml_tf.{name:8}  {summary}')
  terminal.show('Each explains itself with --help. Versions: --version.')
  return 0


if __name__ == '__main__':
  terminal.protect()
  sys.exit(main(sys.argv))
