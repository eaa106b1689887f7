"""A command is repeated in the form that the user typed."""

import sys

import pytest

from maml_tf.commands import typed_command


@pytest.fixture(name='python', autouse=True)
def environment_with_python(monkeypatch, tmp_path):
  """An environment in the current folder, whose Python runs."""
  monkeypatch.chdir(tmp_path)
  python = tmp_path / '.venv' / 'bin' / 'python'
  python.parent.mkdir(parents=True)
  python.symlink_to(sys.executable)
  monkeypatch.setattr(sys, 'executable', str(python))
  return python


def _type(monkeypatch, started, *words):
  """Pretends that words were typed, from which Python started a file."""
  monkeypatch.setattr(sys, 'argv', [started])
  monkeypatch.setattr(sys, 'orig_argv', list(words))


def test_a_module(monkeypatch):
  words = ['.venv/bin/python', '-u', '-m', 'maml_tf.train', '-m']
  _type(monkeypatch, '/somewhere/maml_tf/train.py', *words)
  assert typed_command.interpreter() == ['.venv/bin/python', '-u']
  repeated = '.venv/bin/python -u -m maml_tf.train'
  assert typed_command.start('train') == repeated
  assert typed_command.example('train') == 'python -m maml_tf.train'
  # Its module would hide the function.
  assert typed_command.example('adapt') == 'python -m maml_tf adapt'
  assert typed_command.program() == 'python -m maml_tf'


def test_the_package(monkeypatch):
  words = ['.venv/bin/python', '-u', '-m', 'maml_tf', 'train']
  _type(monkeypatch, '/somewhere/maml_tf/__main__.py', *words)
  repeated = '.venv/bin/python -u -m maml_tf train'
  assert typed_command.start('train') == repeated
  assert typed_command.example('train') == 'python -m maml_tf train'


def test_the_script(monkeypatch, python):
  script = python.parent / 'maml_tf'
  script.write_text('#!/bin/sh\n')
  script.chmod(0o755)
  _type(monkeypatch, '.venv/bin/maml_tf', str(python), '.venv/bin/maml_tf')
  monkeypatch.setenv('PATH', '/usr/bin')
  assert typed_command.start('train') == '.venv/bin/maml_tf train'
  assert typed_command.example('train') == 'maml_tf train'
  monkeypatch.setenv('PATH', str(python.parent))
  assert typed_command.start('train') == 'maml_tf train'
  assert typed_command.program() == 'maml_tf'


def test_a_program_that_calls_a_command(monkeypatch, python):
  # The Python that would be found is another one.
  _type(monkeypatch, 'mine.py', 'python3', 'mine.py')
  assert typed_command.interpreter() == [str(python)]
  assert typed_command.start('train') == f'{python} -m maml_tf.train'
