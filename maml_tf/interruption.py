"""Ctrl-C and SIGTERM: where a run may be cut, and how soon it must end."""

from collections.abc import Iterator
import contextlib
import os
import signal
import sys
import threading

# A preemption notice leaves a process half a minute, often less.
_DEADLINE_SECONDS = 8.0


class Interrupted(Exception):
  """The user asked to stop; the run is saved after `iteration`."""

  def __init__(self, iteration: int, signal_number: int = signal.SIGINT):
    super().__init__(f'stopped after iteration {iteration}')
    self.iteration = iteration
    self.signal_number = signal_number

  @property
  def exit_code(self) -> int:
    """128 and the signal's number, as shells have it: 130 or 143."""
    return 128 + self.signal_number


class Stop(Exception):
  """What ends a block that may be cut."""


class Interrupt:
  """Whether a stop was requested, and where it may take effect.

  Attributes:
    signal_number: What came first: SIGINT, SIGTERM, or None.
  """

  def __init__(self):
    self.signal_number = None
    self._is_allowed = False

  def request(self, signal_number: int) -> None:
    """Asks to stop: at once inside `allowed`, else where it begins.

    Raises:
      Stop: Inside `allowed`.
    """
    self.signal_number = signal_number
    if self._is_allowed:
      self._is_allowed = False
      raise Stop

  @contextlib.contextmanager
  def allowed(self) -> Iterator[None]:
    """What is done inside may be cut anywhere, and is given up then.

    Raises:
      Stop: A stop is requested, now or already.
    """
    if self.signal_number is not None:
      raise Stop
    self._is_allowed = True
    try:
      yield
    finally:
      self._is_allowed = False


@contextlib.contextmanager
def handled(
  deadline_seconds: float = _DEADLINE_SECONDS,
) -> Iterator[Interrupt]:
  """Turns the first signal into a request; the second acts as it always does.

  If the process is still there at the deadline, as when one update takes
  longer, it ends then, with what is on disk.

  Outside the main thread, where Python handles no signals, nothing changes.

  Args:
    deadline_seconds: Between the first signal and the end of the process.
  """
  interrupt = Interrupt()
  if threading.current_thread() is not threading.main_thread():
    yield interrupt
    return
  signals = (signal.SIGINT, signal.SIGTERM)
  previous = {number: signal.getsignal(number) for number in signals}
  timers = []

  def restore():
    for number, handler in previous.items():
      signal.signal(number, handler)

  def handle(number, frame):
    del frame
    restore()
    timers.append(threading.Timer(deadline_seconds, _end, [128 + number]))
    timers[0].daemon = True
    timers[0].start()
    _say('\nStopping, and saving. Once more to stop at once.')
    interrupt.request(number)

  try:
    for number in signals:
      signal.signal(number, handle)
    yield interrupt
  finally:
    restore()
    for timer in timers:
      timer.cancel()


def _end(exit_code):
  """Ends the process, whatever its other threads do."""
  _say('stopped before the iteration was done: the last checkpoint stays')
  os._exit(exit_code)


def _say(line):
  print(line, file=sys.stderr, flush=True)
