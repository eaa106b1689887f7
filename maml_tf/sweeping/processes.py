"""Training processes, some at a time, each with its share of the processors."""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
import os
import signal
import subprocess
import sys
import time
from typing import NamedTuple

from maml_tf.core import cpu
from maml_tf.run import interruption

LOG_FILE = 'train.log'
# Exit codes of a run that was asked to stop: once it has saved, or at once
# while it loads.
STOPPED_CODES = frozenset(
  code
  for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
  for code in (128 + number, -number)
)

_POLL_SECONDS = 0.2
# A run saves within 10 seconds, and ends then.
_DEADLINE_SECONDS = 20.0


class Job(NamedTuple):
  """A run to train.

  Attributes:
    root_dir: Its folder; what it prints is in `train.log` there.
    gin_files: Its gin files.
    gin_bindings: Its other settings.
  """

  root_dir: str
  gin_files: Sequence[str]
  gin_bindings: Sequence[str]

  @property
  def log(self) -> str:
    """The path of what it prints."""
    return os.path.join(self.root_dir, LOG_FILE)

  @property
  def command(self) -> list[str]:
    """The command that trains it."""
    return [
      *(sys.executable, '-m', 'maml_tf.train'),
      *(f'--gin_file={name}' for name in self.gin_files),
      *(f'--gin_bindings={binding}' for binding in self.gin_bindings),
      f'--root_dir={self.root_dir}',
    ]


def train(
  jobs: Sequence[Job],
  num_at_once: int,
  started: Callable[[int], None],
  ended: Callable[[int, int], None],
) -> int | None:
  """Trains all jobs in their order; one that fails does not end the others.

  On Ctrl-C, SIGTERM or SIGHUP all processes are told to save and stop, and the
  call waits for them.

  Args:
    jobs: The jobs.
    num_at_once: How many processes run at a time.
    started: Called with the index of a job when it starts.
    ended: Called with the index of a job and its exit code when it has ended.

  Returns:
    None, or the number of the signal that stopped it.
  """
  num_at_once = min(num_at_once, len(jobs))
  shares = cpu.divide(num_at_once) if num_at_once > 1 else [set()]
  waiting = list(range(len(jobs)))
  # By the place among those that run at a time: the index and the process.
  running: dict[int, tuple[int, subprocess.Popen]] = {}
  with interruption.handle_signals(_DEADLINE_SECONDS) as interrupt:
    try:
      while waiting or running:
        for place in range(num_at_once):
          if waiting and place not in running:
            index = waiting.pop(0)
            process = start(jobs[index], shares[place])
            running[place] = index, process
            started(index)
        with interrupt.interruptible():
          time.sleep(_POLL_SECONDS)
        _collect(running, ended)
    except interruption.Stop:
      pass
    finally:
      _stop(running, ended)
    return interrupt.signal_number


def start(job: Job, processors: Collection[int] = ()) -> subprocess.Popen:
  """Starts a job's process, which SIGTERM asks to save and stop.

  Args:
    job: The job.
    processors: The numbers of the CPU cores that it may use, since others run
      beside it. Empty: all, and a GPU's whole memory.
  """
  os.makedirs(job.root_dir, exist_ok=True)
  environment = dict(os.environ)
  if processors:
    # Else the first process takes nearly all memory of a GPU.
    environment.setdefault('TF_FORCE_GPU_ALLOW_GROWTH', 'true')
  with open(job.log, 'ab') as log, cpu.restricted(processors):
    return subprocess.Popen(
      job.command,
      stdin=subprocess.DEVNULL,
      stdout=log,
      stderr=log,
      env=environment,
      # Ctrl-C on a terminal reaches all processes of a group: this one hands
      # the signal on, and a second one would end them at once.
      start_new_session=True,
    )


def _stop(running, ended) -> None:
  """Asks all processes to save and stop, and waits for them."""
  _terminate(running)
  try:
    while running:
      _collect(running, ended)
      time.sleep(_POLL_SECONDS)
  except KeyboardInterrupt:
    # The second one: they stop at once, too.
    _terminate(running)
    raise


def _terminate(running) -> None:
  for _, process in running.values():
    process.terminate()


def _collect(running, ended) -> None:
  """Removes the processes that have ended."""
  for place, (index, process) in list(running.items()):
    code = process.poll()
    if code is not None:
      del running[place]
      ended(index, code)


def last_line(path: str) -> str:
  """Returns the last line of a log that is not empty; '' without one."""
  try:
    with open(path, encoding='utf-8', errors='replace') as file:
      lines = [line.strip() for line in file.read().splitlines()]
  except OSError:
    return ''
  return next(filter(None, reversed(lines)), '')
