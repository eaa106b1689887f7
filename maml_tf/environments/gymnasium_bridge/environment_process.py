"""A process that plays one Gymnasium environment, as its parent sees it."""

from concurrent import futures
from multiprocessing import connection
import os
import signal
import subprocess
import sys
import time
from typing import Any
from typing import NamedTuple

from maml_tf.environments.gymnasium_bridge import environment_worker


class Failure(NamedTuple):
  """Why a process gives no answers any more.

  Attributes:
    cause: 'raised', 'hung' or 'died'.
    summary: One line, which goes on after 'the environment'.
    traceback: The process's own, where it raised; else empty.
  """

  cause: str
  summary: str
  traceback: str = ''


class EnvironmentProcess:
  """Starts the process, asks it, and ends it.

  The environment is made before the first answer, in the process. After a
  `Failure` there is nothing to do but `kill`.

  Attributes:
    pipe: Ready for reading when `answer` has something to say.
    deadline: By `time.monotonic`, when the answer to the last request is due.
    answered: Whether it has ever answered: the environment is made.
  """

  def __init__(self, function: bytes, starter: futures.Executor):
    """Starts the process and does not wait for it.

    Args:
      function: Pickled; makes the environment.
      starter: Its thread starts the process, which lives no longer than it:
        that is whose death the kernel tells a child of.
    """
    self.pipe, child_pipe = connection.Pipe()
    self.deadline = time.monotonic()
    self.answered = False
    self._request = ''
    self._seconds = 0.0
    with child_pipe:
      # In a session of its own: a terminal's signals are for the parent, and
      # what the environment itself started can be ended with it.
      self._process = starter.submit(
        subprocess.Popen,
        [
          sys.executable,
          '-u',
          environment_worker.__file__,
          str(child_pipe.fileno()),
          str(os.getpid()),
        ],
        stdin=subprocess.DEVNULL,
        pass_fds=[child_pipe.fileno()],
        start_new_session=True,
      ).result()
    self._send(self.pipe.send, sys.path)
    self._send(self.pipe.send_bytes, function)

  def ask(self, seconds: float, request: str, **arguments: Any) -> None:
    """Sends a request.

    Args:
      seconds: The answer is due after so many.
      request: 'reset' or 'step' of the environment, with its arguments;
        'start', for its observation space, action space and metadata; or
        'close', whose answer is that the process ends.
      **arguments: By name.
    """
    self._request = request
    self._seconds = seconds
    self.deadline = time.monotonic() + seconds
    self._send(self.pipe.send, (request, arguments))

  def answer(self) -> Any:
    """Returns what came, which is a `Failure` if nothing did."""
    if not self.pipe.poll():
      return Failure(
        'hung', f'did not {self._request} within {self._seconds:g} seconds'
      )
    try:
      succeeded, answer = self.pipe.recv()
    except (EOFError, OSError):  # Between two messages, or amid one.
      return Failure('died', f'died: its process {self._exit()}')
    if succeeded:
      self.answered = True
      return answer
    error, traceback = answer
    return Failure('raised', f'raised {error}', traceback)

  def wait(self) -> None:
    """Waits for the end of the process, until the deadline at most."""
    try:
      self._process.wait(max(self.deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
      pass

  def kill(self) -> None:
    """Ends the process and what it started, now."""
    self.pipe.close()
    try:
      os.killpg(self._process.pid, signal.SIGKILL)
    except ProcessLookupError:
      pass
    self._process.wait()

  def _send(self, send, message):
    try:
      send(message)
    except OSError:
      pass  # It has died: the answer will say so.

  def _exit(self):
    """How the process ended, in words."""
    try:
      # It closes its pipe just before.
      code = self._process.wait(1)
    except subprocess.TimeoutExpired:
      return 'closed its pipe'
    if code >= 0:
      return f'ended with exit code {code}'
    try:
      name = signal.Signals(-code).name
    except ValueError:
      name = 'unknown'
    return f'was killed by signal {-code} ({name})'
