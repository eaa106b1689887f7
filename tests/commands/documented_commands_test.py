"""The commands of docs/commands.md have flags that exist."""

import importlib
import pathlib
import re
import shlex

from absl import flags
import pytest

from maml_tf.commands import command_line
from maml_tf.commands import typed_command
from maml_tf.core import shipped_policies
from tests import command_lines

_PAGE = (pathlib.Path(__file__).parents[2] / 'docs' / 'commands.md').read_text(
  encoding='utf-8'
)


@pytest.mark.parametrize(
  'line', re.findall(r'(?m)(?:^|`)maml_tf ([^`\n]+)', _PAGE)
)
def test_a_command_has_valid_flags(line):
  name, *words = shlex.split(line)
  if name in ('--help', '--version', 'NAME') or words == ['--help']:
    return
  command_lines.import_anew(name)
  command = importlib.import_module(typed_command.module_name(name)).COMMAND
  command_line.parse(command, [name, *words])
  flags.FLAGS.set_gnu_getopt(False)


def test_the_page_names_all_commands_and_policies():
  for name in command_line.SUMMARIES:
    assert f'\n| `{name}` | ' in _PAGE
  for name in shipped_policies.names():
    facts = shipped_policies.facts(name)
    returns = ' | '.join(f'{value:.1f}' for value in facts.returns[:3])
    assert re.search(rf'\| `{name}` \| .* \| {re.escape(returns)} \|', _PAGE)
    assert f'`{facts.example_task}`' in _PAGE
