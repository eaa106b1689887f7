"""The program maml_tf: its script, its help, its commands by name."""

import csv
import os
import pathlib
import resource
import subprocess
import sys

import pytest

import maml_tf
from maml_tf import __main__ as program
from maml_tf.commands import command_line
from maml_tf.core import shipped_configs
from maml_tf.core import shipped_policies
from tests import shared_runs

_ROOT = str(pathlib.Path(maml_tf.__file__).parents[1])
# As pip writes it.
_SCRIPT = f"""#!{sys.executable}
import sys
from maml_tf.__main__ import main
if __name__ == '__main__':
  sys.exit(main())
"""


@pytest.fixture(name='script')
def installed_script(tmp_path):
  path = tmp_path / 'bin' / 'maml_tf'
  path.parent.mkdir()
  path.write_text(_SCRIPT)
  path.chmod(0o755)
  return str(path)


def _process(words, timeout=60, **settings):
  variables = settings.pop('variables', {})
  return subprocess.run(
    words,
    env=os.environ | {'PYTHONPATH': _ROOT} | variables,
    capture_output=True,
    text=True,
    timeout=timeout,
    **settings,
  )


def _cpu_seconds():
  usage = resource.getrusage(resource.RUSAGE_CHILDREN)
  return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize('words', [['--help'], ['train', '--help'], ['list']])
def test_it_answers_at_once_without_tensorflow(script, words):
  start = _cpu_seconds()
  process = _process(
    [script, *words], variables={'PYTHONPROFILEIMPORTTIME': '1'}
  )
  assert process.returncode == 0, process.stderr
  assert _cpu_seconds() - start < 1
  assert 'absl.flags' in process.stderr
  assert 'tensorflow' not in process.stderr
  assert 'numpy' not in process.stderr


def test_help_has_a_line_for_each_command_and_examples(script):
  process = _process([script])
  lines = process.stdout.splitlines()
  assert (process.returncode, process.stderr) == (0, '')
  for name, summary in command_line.SUMMARIES.items():
    assert f'  {name:8}  {summary}' in lines
  assert len([line for line in lines if line.startswith('  maml_tf ')]) >= 4
  assert process.stdout == _process([script, '--help']).stdout


@pytest.mark.parametrize('name', command_line.SUMMARIES)
def test_help_of_a_command_has_the_form_that_was_typed(name):
  process = _process([sys.executable, '-m', 'maml_tf', name, '--help'])
  assert (process.returncode, process.stderr) == (0, '')
  lines = process.stdout.splitlines()
  assert lines[0] == command_line.SUMMARIES[name]
  assert any(x.startswith(f'usage: python -m maml_tf {name} ') for x in lines)
  assert lines[-1] == '  python -m maml_tf'
  assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize('words', [['help', 'train'], ['--help', 'train']])
def test_help_may_come_before_the_command(script, words):
  process = _process([script, *words])
  assert (process.returncode, process.stderr) == (0, '')
  assert process.stdout.startswith(command_line.SUMMARIES['train'])
  assert '\nusage: maml_tf train FLAGS\n' in process.stdout


@pytest.mark.parametrize(
  ('word', 'line'),
  [
    ('trian', 'trian is not a command: did you mean train?'),
    ('zz', 'zz is not a command: give train or evaluate or '),
    ('point.gin', 'point.gin stands where a command is expected, as in '),
    ('--gin_file=x', '--gin_file=x stands where a command is expected'),
  ],
)
def test_an_unknown_command_is_one_line(word, line, capsys):
  assert program.main(['maml_tf', word]) == 2
  out, err = capsys.readouterr()
  assert (out, err.count('\n')) == ('', 1)
  assert err.startswith(f'maml_tf: {line}')


def test_help_of_an_unknown_command_is_one_line(capsys):
  assert program.main(['maml_tf', 'help', 'trian']) == 2
  assert 'did you mean train?' in capsys.readouterr().err


def test_the_script_imports_from_the_current_folder(
  script, monkeypatch, tmp_path, capsys
):
  # As for python -m, so that configs find their modules.
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(sys, 'argv', [script, '--version'])
  monkeypatch.setattr(sys, 'path', [os.path.dirname(script), *sys.path])
  assert program.main() == 0
  assert sys.path[0] == str(tmp_path)
  assert capsys.readouterr().out.startswith(f'maml_tf {maml_tf.__version__} (')


def test_the_list_has_all_configs_and_policies(script):
  process = _process([script, 'list'])
  assert (process.returncode, process.stderr) == (0, '')
  for name in (*shipped_configs.names(), *shipped_policies.names()):
    assert f'\n  {name} ' in process.stdout
  # The first sentence of a file.
  words = ' '.join(process.stdout.split())
  assert 'cheetah.gin HalfCheetah learns to run forward or backward' in words
  assert all(len(line) <= 80 for line in process.stdout.splitlines())


def test_it_completes_words(script, tmp_path):
  pytest.importorskip('argcomplete')

  def complete(line):
    answer = tmp_path / 'answer'
    process = _process(
      [script],
      variables={
        '_ARGCOMPLETE': '1',
        '_ARGCOMPLETE_STDOUT_FILENAME': str(answer),
        'COMP_LINE': line,
        'COMP_POINT': str(len(line)),
        'COMP_TYPE': '9',
      },
    )
    assert process.returncode == 0, process.stderr
    return [word.strip() for word in answer.read_text().split('\v')]

  assert complete('maml_tf tr') == ['train']
  assert complete('maml_tf train --gin_f') == ['--gin_file']
  assert 'cheetah.gin' in complete('maml_tf train --gin_file che')
  assert complete('maml_tf adapt --policy po') == ['point']


@pytest.mark.slow
def test_the_script_trains_as_the_module_does(script, point_run, tmp_path):
  (tmp_path / 'mine.py').write_text('"""A module of the user."""\n')
  (tmp_path / 'mine.gin').write_text('import mine\ninclude "point.gin"\n')
  bindings = [f'--gin_bindings={line}' for line in shared_runs.TINY]
  process = _process(
    [script, 'train', '--gin_file=mine.gin', '--root_dir=run', *bindings],
    timeout=300,
    cwd=tmp_path,
  )
  assert process.returncode == 0, process.stderr
  assert _numbers(tmp_path / 'run') == _numbers(point_run.root_dir)


def _numbers(root_dir):
  """What a run measured, apart from times."""
  with open(root_dir / 'metrics.csv', newline='', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  return [
    {name: row[name] for name in row if 'second' not in name} for row in rows
  ]
