"""The parent's side of a process that plays one Gymnasium environment."""

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
  """The reason why a process no longer answers.

  Attributes:
    cause: 'raised', 'hung' or 'died'.
    summary: A predicate of one line; 'the environment' is its subject.
    traceback: The traceback of the process if it raised, else empty.
  """

  cause: str
  summary: str
  traceback: str = ''

  @property
  def details(self) -> str:
    """The traceback as a paragraph for the end of a message, or nothing."""
    if not self.traceback:
      return ''
    return f'\n\nThe traceback of its process:\n{self.traceback}'


class EnvironmentProcess:
  """Starts the process, sends it requests, and ends it.

  The process creates the environment before its first answer. After a
  `Failure`, the only permitted call is `kill`.

  Attributes:
    pipe: A connection that is ready for reading once an answer has arrived.
    deadline: The time by `time.monotonic` at which the answer to the last
      request is due [s].
    answered: Whether the process has ever answered, which means that its
      environment exists.
  """

  def __init__(self, function: bytes, starter: futures.Executor):
    """Starts the process without waiting for it.

    Args:
      function: A pickled function that creates the environment.
      starter: An executor of one thread, which starts the process. The process
        dies with that thread, since the kernel signals the death of the thread
        that started a child.
    """
    self.pipe, child_pipe = connection.Pipe()
    self.deadline = time.monotonic()
    self.answered = False
    self._request = ''
    self._seconds = 0.0
    with child_pipe:
      # In a session of its own, the process does not receive a terminal's
      # signals, and `kill` also ends the environment's own child processes.
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
      seconds: The time until the answer is due [s].
      request: 'reset', 'step' and 'render' call the environment's method.
        'start' asks for the fields of `environment_processes.Description`.
        'close' ends the process without an answer.
      **arguments: The method's arguments by name.
    """
    self._request = request
    self._seconds = seconds
    self.deadline = time.monotonic() + seconds
    self._send(self.pipe.send, (request, arguments))

  def answer(self) -> Any:
    """Returns the answer that has arrived, or a `Failure` if there is none."""
    if not self.pipe.poll():
      return Failure(
        'hung', f'did not {self._request} within {self._seconds:g} seconds'
      )
    try:
      succeeded, answer = self.pipe.recv()
    except (EOFError, OSError):  # It died between two messages or within one.
      return Failure('died', f'died: its process {self._exit()}')
    if succeeded:
      self.answered = True
      return answer
    error, traceback = answer
    return Failure('raised', f'raised {error}', traceback)

  def wait(self) -> None:
    """Waits until the process ends or its deadline passes."""
    try:
      self._process.wait(max(self.deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
      pass

  def kill(self) -> None:
    """Kills the process and its child processes."""
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
      pass  # The process has died: `answer` reports it.

  def _exit(self):
    """Describes the end of the process."""
    try:
      # The pipe closes shortly before the process ends.
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
