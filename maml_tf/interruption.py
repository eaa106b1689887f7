"""Ctrl-C and SIGTERM, met between iterations."""

from collections.abc import Iterator
import contextlib
import signal
import sys
import threading


class Interrupted(Exception):
  """The user asked to stop; the run is saved after `iteration`."""

  def __init__(self, iteration: int):
    super().__init__(f'stopped after iteration {iteration}')
    self.iteration = iteration


class Interrupt:
  """Whether a stop was requested.

  Attributes:
    requested: True once a signal has come.
  """

  def __init__(self):
    self.requested = False


@contextlib.contextmanager
def deferred() -> Iterator[Interrupt]:
  """Turns the first signal into a request; the second acts as it always does.

  Outside the main thread, where Python handles no signals, nothing changes.
  """
  interrupt = Interrupt()
  if threading.current_thread() is not threading.main_thread():
    yield interrupt
    return
  signals = (signal.SIGINT, signal.SIGTERM)
  previous = {number: signal.getsignal(number) for number in signals}

  def restore():
    for number, handler in previous.items():
      signal.signal(number, handler)

  def handle(number, frame):
    del number, frame  # Both signals mean the same.
    interrupt.requested = True
    restore()
    print(
      '\nFinishing this iteration, then saving. Once more to stop at once.',
      file=sys.stderr,
      flush=True,
    )

  try:
    for number in signals:
      signal.signal(number, handle)
    yield interrupt
  finally:
    restore()
