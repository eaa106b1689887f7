"""Real signals, sent by the process to itself."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

import maml_tf
from maml_tf.run import interruption


def _send(number):
  os.kill(os.getpid(), number)


@pytest.fixture
def handlers():
  """The handlers before the test; they must be the same after it."""
  numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
  # Tests that run behind nohup ignore it.
  inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)
  before = [signal.getsignal(number) for number in numbers]
  yield before
  after = [signal.getsignal(number) for number in numbers]
  for number, handler in zip(numbers, before):
    signal.signal(number, handler)
  signal.signal(signal.SIGHUP, inherited)
  assert after == before


@pytest.mark.parametrize(
  'number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
)
def test_the_first_signal_is_a_request(number, handlers, capsys):
  with interruption.handle_signals() as interrupt:
    assert interrupt.signal_number is None
    assert capsys.readouterr().err == ''
    _send(number)
    assert interrupt.signal_number == number
  said = capsys.readouterr().err
  assert said.count('\n') == 2
  assert 'Once more to stop at once.' in said


def test_the_second_signal_stops_at_once(handlers):
  with pytest.raises(KeyboardInterrupt):
    with interruption.handle_signals() as interrupt:
      _send(signal.SIGINT)
      _send(signal.SIGINT)
  assert interrupt.signal_number


def test_the_second_signal_meets_the_callers_handler(handlers):
  received = []
  signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
  handler = signal.getsignal(signal.SIGTERM)
  with interruption.handle_signals() as interrupt:
    _send(signal.SIGTERM)
    assert interrupt.signal_number
    assert not received
    _send(signal.SIGTERM)
    assert received == [signal.SIGTERM]
  assert signal.getsignal(signal.SIGTERM) is handler
  signal.signal(signal.SIGTERM, handlers[1])


@pytest.mark.parametrize('first', [signal.SIGTERM, signal.SIGHUP])
def test_closing_the_terminal_does_not_cut_what_is_saved(first, handlers):
  with interruption.handle_signals(deadline_seconds=3) as interrupt:
    _send(first)
    # Shell and system may both send one.
    _send(signal.SIGHUP)
    time.sleep(1.2)  # Longer than for a second Ctrl-C.
  assert interrupt.signal_number == first


def test_nohup_goes_on(handlers):
  previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
  with interruption.handle_signals() as interrupt:
    _send(signal.SIGHUP)
    assert interrupt.signal_number is None
    _send(signal.SIGTERM)
    _send(signal.SIGHUP)
    assert interrupt.signal_number == signal.SIGTERM
  assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
  signal.signal(signal.SIGHUP, previous)


def test_handlers_are_restored_without_a_signal(handlers):
  with interruption.handle_signals() as interrupt:
    assert signal.getsignal(signal.SIGINT) is not handlers[0]
    assert signal.getsignal(signal.SIGTERM) is not handlers[1]
  assert not interrupt.signal_number


def test_handlers_are_restored_after_an_error(handlers):
  with pytest.raises(ZeroDivisionError):
    with interruption.handle_signals():
      raise ZeroDivisionError


def test_nothing_changes_outside_the_main_thread(handlers):
  seen = []

  def run():
    with interruption.handle_signals() as interrupt:
      seen.append(interrupt.signal_number)
      seen.append(signal.getsignal(signal.SIGINT))

  thread = threading.Thread(target=run)
  thread.start()
  thread.join()
  assert seen == [None, handlers[0]]


def test_interrupted_says_after_which_iteration_and_by_what():
  error = interruption.Interrupted(7, signal.SIGTERM)
  assert error.iteration == 7
  assert str(error) == 'stopped after iteration 7'
  assert error.exit_code == 143
  assert interruption.Interrupted(7, signal.SIGHUP).exit_code == 129


def test_an_interruptible_block_stops_at_once(handlers):
  reached = []
  with interruption.handle_signals() as interrupt:
    with pytest.raises(interruption.Stop):
      with interrupt.interruptible():
        _send(signal.SIGTERM)
        reached.append('after')
    # The next block does not begin.
    with pytest.raises(interruption.Stop):
      with interrupt.interruptible():
        reached.append('next')
  assert not reached


def test_other_code_finishes_first(handlers):
  reached = []
  with interruption.handle_signals() as interrupt:
    with interrupt.interruptible():
      reached.append('before')
    _send(signal.SIGTERM)
    reached.append('recorded')
    with pytest.raises(interruption.Stop):
      with interrupt.interruptible():
        reached.append('next')
  assert reached == ['before', 'recorded']


_STUCK = """
import hashlib, time
from maml_tf.run import interruption
with interruption.handle_signals(deadline_seconds=0.5):
  print('stuck', flush=True)
  {action}
"""


@pytest.mark.parametrize(
  'action',
  [
    'time.sleep(60)',
    # One instruction of Python, like an update: Python calls no handler in it.
    "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**8)",
  ],
)
def test_at_the_deadline_the_process_ends_whatever_it_does(action):
  process = subprocess.Popen(
    [sys.executable, '-c', _STUCK.format(action=action)],
    env=os.environ
    | {'PYTHONPATH': str(pathlib.Path(maml_tf.__file__).parents[1])},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == 'stuck\n'
  start = time.monotonic()
  process.send_signal(signal.SIGTERM)
  _, err = process.communicate(timeout=30)
  assert time.monotonic() - start < 5
  assert process.returncode == 143
  assert err.endswith(
    'stopped before the iteration was done: the last checkpoint stays\n'
  )


def test_in_time_there_is_no_deadline(handlers):
  with interruption.handle_signals(deadline_seconds=0.2):
    _send(signal.SIGTERM)
  time.sleep(0.5)
