"""Ctrl-C, SIGTERM, SIGHUP: where they cut a run, and how soon it must end."""

from collections.abc import Iterator
import contextlib
import os
import select
import signal
import threading
import time

from maml_tf.core import terminal

# Preemption leaves a process half a minute, often less.
_DEADLINE_SECONDS = 8.0
# After a second signal the user does not want to wait.
_IMPATIENT_SECONDS = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
  """The user asked to stop; the run is saved after `iteration`."""

  def __init__(self, iteration: int, signal_number: int = signal.SIGINT):
    super().__init__(f'stopped after iteration {iteration}')
    self.iteration = iteration
    self.signal_number = signal_number

  @property
  def exit_code(self) -> int:
    """128 plus the signal's number, as in shells: 129, 130 or 143."""
    return 128 + self.signal_number


class Stop(BaseException):
  """Raised inside `Interrupt.interruptible` to cut the block.

  It is no `Exception`: the code that it cuts may be the user's, and may handle
  all of those.
  """


class Interrupt:
  """A request to stop, and the blocks of code in which it may take effect.

  Attributes:
    signal_number: The first signal, one of SIGINT, SIGTERM and SIGHUP; None if
      none came.
  """

  def __init__(self):
    self.signal_number = None
    self._is_allowed = False

  def request(self, signal_number: int) -> None:
    """Asks to stop: now inside `interruptible`, else when it is next entered.

    Raises:
      Stop: Inside `interruptible`.
    """
    self.signal_number = signal_number
    if self._is_allowed:
      self._is_allowed = False
      raise Stop

  @contextlib.contextmanager
  def interruptible(self) -> Iterator[None]:
    """Marks a block that a request to stop may cut, which loses its results.

    Raises:
      Stop: A stop is requested, in the block or before it.
    """
    if self.signal_number is not None:
      raise Stop
    self._is_allowed = True
    try:
      yield
    finally:
      self._is_allowed = False


@contextlib.contextmanager
def handle_signals(
  deadline_seconds: float = _DEADLINE_SECONDS,
) -> Iterator[Interrupt]:
  """Turns the first signal into a request; the second one acts as usual.

  A process that still runs at the deadline, because one update takes longer,
  ends then; files on disk stay.

  A SIGHUP, which comes when a terminal closes, never acts as usual: shell and
  system may both send one. Where it is ignored, as `nohup` asks, it stays
  ignored.

  Python handles signals in the main thread only: elsewhere this does nothing.

  Args:
    deadline_seconds: From the first signal to the end of the process.
  """
  interrupt = Interrupt()
  if threading.current_thread() is not threading.main_thread():
    yield interrupt
    return
  previous = {number: signal.getsignal(number) for number in _SIGNALS}
  if previous[signal.SIGHUP] == signal.SIG_IGN:
    del previous[signal.SIGHUP]

  def restore():
    for number, handler in previous.items():
      signal.signal(number, handler)

  def handle(number, frame):
    del frame
    restore()
    if signal.SIGHUP in previous:
      signal.signal(signal.SIGHUP, signal.SIG_IGN)
    terminal.log('\nStopping, and saving. Once more to stop at once.')
    interrupt.request(number)

  with _ending_at_deadline(deadline_seconds):
    try:
      for number in previous:
        signal.signal(number, handle)
      yield interrupt
    finally:
      restore()


@contextlib.contextmanager
def _ending_at_deadline(seconds: float) -> Iterator[None]:
  """Ends the process if the block lasts that many seconds after a signal.

  Python calls handlers between two of its instructions, and a whole update is
  one instruction. So a separate thread reads the pipe that signals are written
  to at once.
  """
  read_end, write_end = os.pipe()
  os.set_blocking(write_end, False)
  previous = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
  watcher = threading.Thread(
    target=_watch, args=[read_end, seconds], daemon=True
  )
  watcher.start()
  try:
    yield
  finally:
    signal.set_wakeup_fd(previous)
    os.close(write_end)
    watcher.join()
    os.close(read_end)


def _watch(pipe: int, seconds: float) -> None:
  """Waits for a signal, then for the deadline or the end of the pipe."""
  poll = select.poll()
  poll.register(pipe, select.POLLIN)
  deadline, exit_code = None, None
  while True:
    left = deadline and max(deadline - time.monotonic(), 0) * 1000
    if not poll.poll(left):
      _end(exit_code)
    number = os.read(pipe, 1)
    if not number:
      return
    if number[0] not in _SIGNALS:
      continue
    if deadline is None:
      deadline, exit_code = time.monotonic() + seconds, 128 + number[0]
    elif number[0] != signal.SIGHUP:
      deadline = min(deadline, time.monotonic() + _IMPATIENT_SECONDS)


def _end(exit_code: int) -> None:
  """Ends the process, whatever its other threads are doing."""
  terminal.log(
    'stopped before the iteration was done: the last checkpoint stays'
  )
  os._exit(exit_code)
