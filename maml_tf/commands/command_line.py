"""A command line: its flags are read before anything heavy is imported."""

from collections.abc import Sequence
import importlib


def run(name: str, argv: Sequence[str]) -> int:
  """Imports a command's module and runs it; returns the exit code.

  Args:
    name: The command, such as 'train'.
    argv: Its name and the arguments that are not flags.
  """
  return importlib.import_module(f'{__package__}.{name}').main(argv)
