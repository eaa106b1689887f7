"""A command line: its flags are read before anything heavy is imported."""

from collections.abc import Callable
from collections.abc import Sequence
import contextlib
import difflib
import functools
import importlib
import re
import shlex
import sys
import textwrap
import traceback
from typing import Any
from typing import NamedTuple
from typing import NoReturn

from absl import app
from absl import flags
from absl import logging

from maml_tf.commands import typed_command
from maml_tf.core import shipped_configs
from maml_tf.core import stack
from maml_tf.core import terminal
from maml_tf.core import user_code
from maml_tf.core import version
from maml_tf.core import xla_cache

# What each one does.
SUMMARIES = {
  'train': 'Trains a policy that adapts, or resumes a run.',
  'evaluate': "Tests a run's policy on held-out tasks.",
  'adapt': 'Adapts a policy to one task and shows its returns.',
  'export': "Writes a run's policy as a SavedModel or TFLite model.",
  'render': 'Films a task before and after adaptation.',
  'plot': 'Draws learning curves of runs, also while they train.',
  'compare': 'Compares runs: tables, and a page with curves and films.',
  'sweep': 'Trains a grid or random draws of settings, times seeds.',
  'settings': 'Lists all settings with their defaults.',
  'list': 'Lists experiments, algorithms and trained policies.',
}
# Importing the libraries takes seconds.
_LOADING = 'loading ...'
_HELP = ('--help', '-help', '-h', '--h', '-?', '--helpshort', '-helpshort')
# They print absl's help and leave with exit code 1.
_ABSL_HELP = ('--helpfull', '-helpfull', '--helpxml', '-helpxml')
_VALUES = {'int': 'an integer', 'float': 'a number', 'bool': 'true or false'}
_WIDTH = 80


class Command(NamedTuple):
  """A command line.

  Attributes:
    name: The module in maml_tf, such as 'train'.
    examples: Arguments that work, one command each.
    takes_configs: Whether it takes gin files, which its help then lists.
    takes_words: What its usage calls the arguments that are not flags, such as
      'RUN...': at least one. '': it takes none.
    needs_tensorflow: Whether its module imports TensorFlow.
    check: Raises ValueError for flags that can be refused before TensorFlow is
      imported. None: its module checks them all.
  """

  name: str
  examples: Sequence[str]
  takes_configs: bool = False
  takes_words: str = ''
  needs_tensorflow: bool = True
  check: Callable[[], None] | None = None


def start(command: Command, argv: Sequence[str] | None = None) -> NoReturn:
  """Reads the flags, then runs the command and exits with its code.

  Args:
    command: The command.
    argv: Its name and its arguments. None: the process's own.
  """
  terminal.protect()
  app.run(
    functools.partial(run, command),
    argv=None if argv is None else list(argv),
    flags_parser=functools.partial(parse_and_check, command),
  )


def run(command: Command, argv: Sequence[str]) -> int:
  """Imports a command's module and runs it; returns the exit code.

  Args:
    command: The command.
    argv: Its name and the arguments that are not flags.
  """
  name, words = command.name, command.takes_words
  if len(argv) > 1 and not words:
    return terminal.print_error(name, f'{argv[1]} is not a flag: see --help')
  if len(argv) == 1 and words:
    return terminal.print_error(name, f'{words} is missing: see --help')
  # Only training takes long enough to compile.
  keep = xla_cache.enabled() if name == 'train' else contextlib.nullcontext()
  try:
    with keep:
      return _run_module(name, argv, command.needs_tensorflow)
  except KeyboardInterrupt:  # While programs were copied in or out.
    return terminal.print_error(name, 'stopped', 130)


def _run_module(name: str, argv: Sequence[str], needs_tensorflow: bool) -> int:
  """Does the same as `run`, for arguments that have been checked."""
  # Libraries log what they import.
  logging.set_verbosity(logging.WARNING)
  try:
    with terminal.passing_line(_LOADING):
      if needs_tensorflow:
        stack.load()
      module = importlib.import_module(f'{__package__}.{name}')
  except KeyboardInterrupt:
    return terminal.print_error(name, 'stopped before it began', 130)
  except stack.StackError as error:
    return terminal.print_error(name, error)
  except ImportError as error:
    # A library is missing, or does not fit to others.
    reason = ' '.join(str(error).split())
    fault = ImportError(
      f'a library cannot be imported ({reason}): --debug shows where'
    )
    fault.__cause__ = error
    debug = flags.FLAGS['debug'].value
    return terminal.print_error(name, fault, debug=debug)
  try:
    return module.main(argv)
  except KeyboardInterrupt:
    return terminal.print_error(name, 'stopped', 130)
  except (Exception, SystemExit) as error:
    return _print_unexpected(name, error)


def _print_unexpected(name: str, error: BaseException) -> int:
  """Prints an error that a command does not expect; returns the exit code.

  Args:
    name: The command's name.
    error: What the user's own code raised, or a fault of the package.

  Raises:
    SystemExit: The package ends the program.
  """
  of_user = user_code.traceback_of(error)
  if of_user:
    terminal.log(f'{name}: {user_code.describe(error)}\n\n{of_user.rstrip()}')
    if flags.FLAGS.debug:
      lines = traceback.format_exception(error)
      terminal.log('\n' + ''.join(lines).rstrip())
    return 1
  if isinstance(error, SystemExit):
    raise error
  if isinstance(error, ValueError) and user_code.is_ours(error):
    return terminal.print_error(name, error, 1, flags.FLAGS.debug)
  terminal.log(''.join(traceback.format_exception(error)))
  return terminal.print_error(
    name, 'this is a fault of maml_tf: please report it with the lines above', 1
  )


def parse_and_check(command: Command, argv: Sequence[str]) -> list[str]:
  """As `parse`; it also exits with code 2 if the command refuses the flags."""
  others = parse(command, argv)
  if command.check is not None:
    try:
      command.check()
    except ValueError as error:
      sys.exit(terminal.print_error(command.name, error))
  return others


def parse(command: Command, argv: Sequence[str]) -> list[str]:
  """Parses flags; returns the name and the arguments that are not flags.

  With --help or --version it prints that and exits; with flags that do not
  parse it prints one line and exits with code 2.

  Args:
    command: The command.
    argv: The name and the arguments.
  """
  given = argv[1 : argv.index('--')] if '--' in argv else argv[1:]
  if any(argument in _HELP for argument in given):
    terminal.show(_help(command))
    sys.exit(0)
  if '--version' in given:
    terminal.show(version.describe())
    sys.exit(0)
  # Flags may follow the words.
  flags.FLAGS.set_gnu_getopt(bool(command.takes_words))
  try:
    others = flags.FLAGS(argv)
  # absl raises a ValueError for --nodebug=1.
  except (flags.Error, ValueError) as error:
    sys.exit(terminal.print_error(command.name, _fault(command, error)))
  except SystemExit:
    sys.exit(0 if any(argument in _ABSL_HELP for argument in given) else 2)
  for flag in own_flags(command.name):
    # As from a shell's variable that is not set.
    if _is_empty(flag):
      fault = f'--{flag.name} is empty: give a value, or leave it out'
      sys.exit(terminal.print_error(command.name, fault))
  if len(others) > 1 and not command.takes_words:
    sys.exit(run(command, others))
  return others


def given_again(
  command_name: str, left_out: Sequence[str] = (), **replaced: str
) -> str:
  """Returns the command that was given, ready for a shell.

  Args:
    command_name: The command's name.
    left_out: The names of flags that it does not repeat.
    **replaced: The values of flags that it has instead, by name.
  """
  words = [
    word
    for flag in own_flags(command_name)
    if flag.name not in {*left_out, *replaced} and not flag.using_default_value
    for word in _words(flag.name, flag.value)
  ]
  words += [word for item in replaced.items() for word in _words(*item)]
  return ' '.join([typed_command.start(command_name), *words])


def own_flags(command_name: str) -> list[flags.Flag]:
  """Returns the flags that a command's module defines."""
  by_module = flags.FLAGS.flags_by_module_dict()
  # absl knows the module that Python has started by its path.
  modules = (typed_command.module_name(command_name), sys.argv[0])
  return [flag for module in modules for flag in by_module.get(module, ())]


def _words(name: str, value: Any) -> list[str]:
  """Returns the words of a command line that give a flag a value."""
  if value is None:
    return []
  if isinstance(value, bool):
    return [f'--{name}' if value else f'--no{name}']
  values = value if isinstance(value, list) else [value]
  return [f'--{name}={shlex.quote(str(value))}' for value in values]


def _is_empty(flag: flags.Flag) -> bool:
  """Returns whether a flag has an empty text that means nothing."""
  # No setting is a possible list of settings.
  if flag.name == 'gin_bindings':
    return False
  values = flag.value if isinstance(flag.value, list) else [flag.value]
  return '' in values


def _fault(command: Command, error: Exception) -> str:
  """Describes in one line why the flags do not parse."""
  if isinstance(error, flags.UnrecognizedFlagError):
    names = [flag.name for flag in own_flags(command.name)]
    close = difflib.get_close_matches(error.flagname, names, 1)
    remedy = f'did you mean --{close[0]}?' if close else 'see --help'
    return f'--{error.flagname} is not a flag: {remedy}'
  message = ' '.join(str(error).split())
  match = re.match(r'flag --(\w+)=(.*?): ', message)
  if match is None:
    return f'{message}: see --help'
  flag = flags.FLAGS[match[1]]
  wanted = _VALUES.get(flag.flag_type(), '')
  if isinstance(flag, flags.EnumFlag):
    wanted = ' or '.join(flag.parser.enum_values)
  return f'--{match[1]} is {match[2]!r}: give {wanted or "another value"}'


def _help(command: Command) -> str:
  """Returns the text of --help."""
  start = typed_command.example(command.name)
  usage = [start, *filter(None, [command.takes_words]), 'FLAGS']
  lines = [SUMMARIES[command.name], '', f'usage: {" ".join(usage)}', '']
  lines.append('examples:')
  lines += [f'  {start} {words}'.rstrip() for words in command.examples]
  lines += ['', 'flags:']
  for flag in own_flags(command.name):
    is_switch = flag.flag_type() == 'bool'
    lines.append(
      f'  --{"[no]" * is_switch}{flag.name}{"=..." * (not is_switch)}'
    )
    lines += _wrap(_described(flag), '      ')
  if command.takes_configs:
    groups = shipped_configs.groups()
    for title, names in (
      ('experiments, which run alone', groups.experiments),
      ('algorithms, after an experiment', groups.algorithms),
      ("references, after a run's config.gin", groups.references),
    ):
      lines += ['', f'{title}:', *_wrap(', '.join(names), '  ')]
  lines += ['', 'Versions: --version. Flags of the libraries: --helpfull.']
  lines += ['All commands:']
  return '\n'.join([*lines, f'  {typed_command.program()}'])


def _described(flag: flags.Flag) -> str:
  """Returns a flag's help, and its default unless the help has it."""
  text, *repeated = re.split(r';\s+repeat this option', flag.help)
  if repeated:
    text = f'{text} May be repeated.'
  if flag.default in (None, []) or 'Default:' in text:
    return text
  return f'{text} Default: {str(flag.default).lower()}.'


def _wrap(text: str, indent: str) -> list[str]:
  return textwrap.wrap(
    text,
    _WIDTH,
    initial_indent=indent,
    subsequent_indent=indent,
    break_long_words=False,
    break_on_hyphens=False,
  )
