"""What a command prints about errors that it does not expect."""

import sys
import types

from absl import flags
import pytest

from maml_tf.commands import command_line
from maml_tf.core import checks
from maml_tf.run import experiment
import maml_tf.train  # noqa: F401  It defines the flags.


def _raise(error):
  raise error


def _run(monkeypatch, main, debug=False):
  module = types.SimpleNamespace(main=main)
  monkeypatch.setitem(sys.modules, 'maml_tf.commands.train', module)
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()
  monkeypatch.setattr(flags.FLAGS['debug'], 'value', debug)
  return command_line.run(command_line.Command('train', ()), ['train'])


def _of_user(error):
  return lambda argv: experiment.create_environment(
    lambda **_: _raise(error),
    False,
    num_tasks=1,
    environments_per_task=1,
    horizon=1,
  )


@pytest.mark.parametrize('error', [KeyError('motor'), SystemExit(0)])
def test_errors_of_the_user_are_a_line_and_a_traceback(
  monkeypatch, capsys, error
):
  assert _run(monkeypatch, _of_user(error)) == 1
  line, empty, *lines = capsys.readouterr().err.splitlines()
  assert line.startswith('train: _raise in unexpected_errors_test.py, line ')
  assert not empty
  assert not any('experiment.py' in line for line in lines)


def test_debug_shows_all_frames(monkeypatch, capsys):
  assert _run(monkeypatch, _of_user(KeyError('motor')), debug=True) == 1
  assert 'experiment.py' in capsys.readouterr().err


def test_our_faults_are_shown_and_called_so(monkeypatch, capsys):
  # Nothing of the package stands below `main`, but its caller does.
  monkeypatch.setattr(command_line.user_code, 'traceback_of', lambda error: '')
  assert _run(monkeypatch, lambda argv: _raise(KeyError('motor'))) == 1
  *lines, last = capsys.readouterr().err.splitlines()
  assert lines[0] == 'Traceback (most recent call last):'
  assert "KeyError: 'motor'" in lines
  assert last.startswith('train: this is a fault of maml_tf: ')


def test_what_the_package_refuses_is_a_line(monkeypatch, capsys):
  assert _run(monkeypatch, lambda argv: checks.integer('x', 1, 2)) == 1
  assert capsys.readouterr().err == (
    'train: x is 1: give an integer of at least 2\n'
  )
