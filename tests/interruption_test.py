"""Real signals, sent by the process to itself."""

import os
import signal
import threading

import pytest

from maml_tf import interruption


def _send(number):
  os.kill(os.getpid(), number)


@pytest.fixture
def handlers():
  """The handlers before the test; they must be the same after it."""
  numbers = (signal.SIGINT, signal.SIGTERM)
  before = [signal.getsignal(number) for number in numbers]
  yield before
  after = [signal.getsignal(number) for number in numbers]
  for number, handler in zip(numbers, before):
    signal.signal(number, handler)
  assert after == before


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_request(number, handlers, capsys):
  with interruption.deferred() as interrupt:
    assert not interrupt.requested
    assert capsys.readouterr().err == ''
    _send(number)
    assert interrupt.requested
  said = capsys.readouterr().err
  assert said.count('\n') == 2
  assert 'Once more to stop at once.' in said


def test_the_second_signal_stops_at_once(handlers):
  with pytest.raises(KeyboardInterrupt):
    with interruption.deferred() as interrupt:
      _send(signal.SIGINT)
      _send(signal.SIGINT)
  assert interrupt.requested


def test_the_second_signal_meets_the_callers_handler(handlers):
  received = []
  signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
  handler = signal.getsignal(signal.SIGTERM)
  with interruption.deferred() as interrupt:
    _send(signal.SIGTERM)
    assert interrupt.requested
    assert not received
    _send(signal.SIGTERM)
    assert received == [signal.SIGTERM]
  assert signal.getsignal(signal.SIGTERM) is handler
  signal.signal(signal.SIGTERM, handlers[1])


def test_handlers_are_restored_without_a_signal(handlers):
  with interruption.deferred() as interrupt:
    assert signal.getsignal(signal.SIGINT) is not handlers[0]
    assert signal.getsignal(signal.SIGTERM) is not handlers[1]
  assert not interrupt.requested


def test_handlers_are_restored_after_an_error(handlers):
  with pytest.raises(ZeroDivisionError):
    with interruption.deferred():
      raise ZeroDivisionError


def test_nothing_changes_outside_the_main_thread(handlers):
  seen = []

  def run():
    with interruption.deferred() as interrupt:
      seen.append(interrupt.requested)
      seen.append(signal.getsignal(signal.SIGINT))

  thread = threading.Thread(target=run)
  thread.start()
  thread.join()
  assert seen == [False, handlers[0]]


def test_interrupted_says_after_which_iteration():
  error = interruption.Interrupted(7)
  assert error.iteration == 7
  assert str(error) == 'stopped after iteration 7'
