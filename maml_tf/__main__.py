"""The program maml_tf: maml_tf NAME is python -m maml_tf.NAME."""

from collections.abc import Sequence
import difflib
import importlib
import os
import sys

from maml_tf.commands import command_line
from maml_tf.commands import completion
from maml_tf.commands import typed_command
from maml_tf.core import shipped_policies
from maml_tf.core import terminal
from maml_tf.core import version

_HELP = ('--help', '-help', '-h', 'help')
_EXAMPLES = (
  ('list', ''),
  ('adapt', '--policy=cheetah_direction --task=-1 --film=backward.gif'),
  ('train', '--gin_file=point.gin --root_dir=runs/point'),
  ('evaluate', '--root_dir=runs/point'),
  ('compare', 'runs/seed0 runs/seed1'),
  ('export', '--root_dir=runs/point --export_dir=models/point'),
)


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command that is named, and returns the exit code.

  Args:
    argv: The program and its arguments. None: the process's own.
  """
  terminal.protect()
  if typed_command.is_script() and sys.path[:1] == [_script_folder()]:
    # As for `python -m`: configs import modules of the current folder.
    sys.path[0] = os.getcwd()
  completion.complete_if_asked()
  _, *words = sys.argv if argv is None else argv
  if len(words) > 1 and words[0] in _HELP and words[1][:1] != '-':
    words = [words[1], '--help']
  name = words[0] if words else '--help'
  if name in command_line.SUMMARIES:
    module = importlib.import_module(typed_command.module_name(name))
    command_line.start(module.COMMAND, words)
  if name == '--version':
    terminal.show(version.describe())
    return 0
  if name in _HELP:
    terminal.show(_help())
    return 0
  return terminal.print_error('maml_tf', _fault(name))


def _script_folder() -> str:
  return os.path.dirname(os.path.realpath(sys.argv[0]))


def _help() -> str:
  """Returns the text of --help."""
  program = typed_command.program()
  lines = [
    'Learns policies that adapt to a new task by a few policy-gradient steps.',
    '',
    f'usage: {program} COMMAND FLAGS',
    '',
    'commands:',
  ]
  for name, summary in command_line.SUMMARIES.items():
    lines.append(f'  {name:8}  {summary}')
  lines += ['', 'examples:']
  lines += [f'  {program} {name} {words}'.rstrip() for name, words in _EXAMPLES]
  lines += ['', 'trained policies:', f'  {", ".join(shipped_policies.names())}']
  lines += ['', 'Each explains itself with --help. Versions: --version.']
  return '\n'.join(lines)


def _fault(name: str) -> str:
  """Describes in one line why a word is not a command."""
  if name.startswith('-') or name.endswith('.gin'):
    example = typed_command.example('train')
    return f'{name} stands where a command is expected, as in {example} --help'
  close = difflib.get_close_matches(name, command_line.SUMMARIES, 1)
  remedy = (
    f'did you mean {close[0]}?'
    if close
    else f'give {" or ".join(command_line.SUMMARIES)}'
  )
  return f'{name} is not a command: {remedy}'


if __name__ == '__main__':
  sys.exit(main())
