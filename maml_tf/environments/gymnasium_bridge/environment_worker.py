"""The program of a process that plays one Gymnasium environment.

`environment_process` runs it as a script. It does not import maml_tf: importing
TensorFlow would cost seconds at every start. All requests and answers pass
through one pipe, one request at a time.
"""

import ctypes
from multiprocessing import connection
import os
import pickle
import signal
import sys
import traceback

from absl import logging
import cloudpickle
import mujoco

# <linux/prctl.h>
_PR_SET_PDEATHSIG = 1


def main() -> None:
  """Plays until a 'close' request, the end of the pipe, or an exception."""
  descriptor, parent = (int(argument) for argument in sys.argv[1:])
  _die_with(parent)
  # Ctrl-C and the end of the terminal are meant for the parent, which decides
  # when to end this process.
  for number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
  mujoco.set_mju_user_warning(_log_warning)
  pipe = connection.Connection(descriptor)
  try:
    sys.path[:] = pipe.recv()
    function = pipe.recv_bytes()
  except EOFError:
    return
  try:
    environment = pickle.loads(function)()
    _answer_requests(environment, pipe)
  except BaseException as error:  # An environment may also call sys.exit.
    _send_answer(pipe, False, (_one_line(error), traceback.format_exc()))
    # The environment's threads and exit handlers could keep the process alive.
    os._exit(1)
  environment.close()


def _answer_requests(environment, pipe):
  """Answers requests until the parent wants no more."""
  while True:
    try:
      name, arguments = pipe.recv()
    except (EOFError, ConnectionError):
      return
    if name == 'close':
      return
    if name == 'start':
      answer = (
        environment.observation_space,
        environment.action_space,
        environment.metadata,
        getattr(environment, 'render_mode', None),
        type(getattr(environment, 'unwrapped', environment)).__name__,
      )
    else:
      answer = getattr(environment, name)(**arguments)
    _send_answer(pipe, True, answer)


def _send_answer(pipe, succeeded, answer):
  """Sends an answer or the description of an error."""
  # Cloudpickle also sends classes that the parent's main program defines.
  message = cloudpickle.dumps((succeeded, answer))
  try:
    pipe.send_bytes(message)
  except ConnectionError:
    os._exit(1)  # The parent has closed the pipe.


def _die_with(parent):
  """Asks the kernel to kill this process as soon as its parent has ended."""
  if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
  if os.getppid() != parent:  # The parent ended before the call.
    os._exit(1)


def _one_line(error):
  lines = traceback.format_exception_only(error)
  return ' '.join(' '.join(lines).split())


def _log_warning(message):
  # The same as `mujoco_batch._log_warning`, which the parent uses.
  if 'settotalmass' not in message:
    logging.log_every_n_seconds(logging.WARNING, 'MuJoCo: %s', 1, message)


if __name__ == '__main__':
  main()
