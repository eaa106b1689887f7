"""Flags are read, explained and repeated, without TensorFlow."""

import importlib
import os
import pathlib
import shlex
import subprocess
import sys
import types

from absl import flags
import pytest

import maml_tf
from maml_tf.commands import command_line
from maml_tf.core import shipped_configs
from maml_tf.run import strategies
from tests import command_lines

_ROOT = str(pathlib.Path(maml_tf.__file__).parents[1])
COMMANDS = tuple(name for name in command_line.SUMMARIES if name != 'adapt')


def _process(*words, **settings):
  return subprocess.run(
    [sys.executable, *words],
    env=os.environ | {'PYTHONPATH': _ROOT},
    capture_output=True,
    text=True,
    timeout=60,
    **settings,
  )


def _parse(name, *arguments):
  """Parses as a process would; returns the exit code, None if it goes on."""
  command_lines.import_anew(name)
  command = importlib.import_module(f'maml_tf.{name}').COMMAND
  try:
    command_line.parse(command, [name, *arguments])
  except SystemExit as error:
    return error.code
  return None


@pytest.mark.parametrize('name', [f'maml_tf.{name}' for name in COMMANDS])
def test_help_imports_no_tensorflow(name):
  process = _process('-X', 'importtime', '-m', name, '--help')
  assert process.returncode == 0, process.stderr
  assert 'absl.flags' in process.stderr
  assert 'tensorflow' not in process.stderr
  lines = process.stdout.splitlines()
  usage = [line for line in lines if line.startswith('usage: ')]
  assert len(usage) == 1 and usage[0].startswith(f'usage: python -m {name} ')
  assert usage[0].endswith(' FLAGS')
  examples = [line for line in lines if line.startswith(f'  python -m {name}')]
  assert len(examples) >= 2
  # Those of absl are elsewhere.
  assert '--pdb' not in process.stdout


def test_a_library_that_is_missing_is_one_line(monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, 'maml_tf.commands.export', None)
  assert command_lines.import_anew('export').main(['export']) == 2
  err = capsys.readouterr().err
  assert err.startswith('export: a library cannot be imported (')
  assert err.endswith(': --debug shows where\n')
  assert err.count('\n') == 1


def test_help_of_training_lists_the_configs_in_groups(capsys):
  assert _parse('train', '--help') == 0
  out = capsys.readouterr().out
  groups = shipped_configs.groups()
  assert sorted(sum(groups, [])) == shipped_configs.names()
  for title, names in zip(('experiments', 'algorithms', 'references'), groups):
    text = out.partition(f'\n{title}')[2].partition('\n\n')[0]
    for name in names:
      assert name in text
  assert {'point.gin', 'ml45.gin'} <= {*groups.experiments}
  assert {'promp.gin', 'dice.gin'} <= {*groups.algorithms}
  assert groups.references == ['oracle.gin', 'pretrained.gin']


@pytest.mark.parametrize(
  ('name', 'argument', 'line'),
  [
    ('train', '--gin_fil=x', '--gin_fil is not a flag: did you mean --gin_fil'),
    ('train', '--gin-file=x', 'did you mean --gin_file?'),
    ('evaluate', '--zzz', '--zzz is not a flag: see --help'),
    ('train', 'point.gin', 'point.gin is not a flag: see --help'),
    ('train', '--strategy=all', "--strategy is 'all': give default or mirror"),
    ('evaluate', '--num_tasks=x', "--num_tasks is 'x': give an integer"),
    ('render', '--fps=fast', "--fps is 'fast': give a number"),
    ('export', '--debug=maybe', "--debug is 'maybe': give true or false"),
    ('export', '--nodebug=1', '--nodebug=1 does not take an argument: see --'),
    # As from shell variables that are not set.
    ('train', '--root_dir=', '--root_dir is empty'),
    ('train', '--gin_file=', '--gin_file is empty'),
    ('evaluate', '--out=', '--out is empty'),
    ('export', '--root_dir', 'Missing value for flag --root_dir'),
  ],
)
def test_a_bad_flag_is_one_line_and_code_2(name, argument, line, capsys):
  assert _parse(name, argument) == 2
  out, err = capsys.readouterr()
  assert out == ''
  assert err.startswith(f'{name}: ') and line in err
  assert err.count('\n') == 1


@pytest.mark.parametrize(
  ('words', 'line'),
  [
    (['adapt'], '--root_dir is missing: give the folder of a training run, or'),
    (['evaluate', '--policy=pont'], 'did you mean point?'),
    (['export', '--root_dir=x', '--policy=point'], 'exclude each other: give'),
    (['render', '--root_dir=x'], 'x holds no run (config.gin is missing): '),
  ],
)
def test_what_is_not_a_run_is_refused_at_once(words, line, tmp_path):
  process = _process('-X', 'importtime', '-m', 'maml_tf', *words, cwd=tmp_path)
  assert (process.returncode, process.stdout) == (2, '')
  assert 'absl.flags' in process.stderr
  assert 'tensorflow' not in process.stderr
  last = process.stderr.splitlines()[-1]
  assert last.startswith(f'{words[0]}: ') and line in last


def test_no_setting_is_a_list_of_settings(capsys):
  assert _parse('train', '--gin_bindings=') is None
  assert capsys.readouterr() == ('', '')


def test_the_strategies_of_the_flag_exist():
  command_lines.import_anew('train')
  assert tuple(flags.FLAGS['strategy'].parser.enum_values) == strategies.NAMES


def test_a_command_is_repeated_with_all_its_flags():
  words = [
    "--gin_file=my file's.gin",
    '--gin_file=dice.gin',
    '--gin_bindings=train_eval.num_iterations = 2',
    '--strategy=mirrored',
    '--num_virtual_cpus=2',
    '--debug',
  ]
  assert _parse('train', *words, '--root_dir=old') is None
  command = command_line.given_again('train', root_dir='a run')
  python, *repeated = shlex.split(command)
  assert repeated == ['-m', 'maml_tf.train', *words, '--root_dir=a run']
  assert os.path.samefile(python, sys.executable)
  command = command_line.given_again('train', ['debug'], root_dir='a run')
  assert '--debug' not in command


@pytest.fixture(name='counting')
def fixture_counting(monkeypatch):
  """A command that takes words and returns their number."""
  module = types.ModuleType('counting')
  module.main = lambda argv: len(argv) - 1
  monkeypatch.setitem(sys.modules, 'maml_tf.commands.counting', module)
  monkeypatch.setitem(command_line.SUMMARIES, 'counting', 'Counts words.')
  command_lines.import_anew('settings')  # It defines --debug.
  yield command_line.Command(
    'counting', ('a',), takes_words='WORD...', needs_tensorflow=False
  )
  flags.FLAGS.set_gnu_getopt(False)


def test_words_stand_before_and_after_flags(counting, capsys):
  words = command_line.parse(counting, ['counting', 'a', '--debug', 'b'])
  assert words == ['counting', 'a', 'b'] and flags.FLAGS.debug
  assert command_line.run(counting, words) == 2
  assert capsys.readouterr() == ('', '')
  assert command_line.run(counting, ['counting']) == 2
  assert capsys.readouterr().err == (
    'counting: WORD... is missing: see --help\n'
  )
  with pytest.raises(SystemExit):
    command_line.parse(counting, ['counting', '--help'])
  usage = 'usage: python -m maml_tf.counting WORD... FLAGS\n'
  assert usage in capsys.readouterr().out
