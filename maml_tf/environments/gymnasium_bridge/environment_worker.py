"""The program of a process that plays one Gymnasium environment.

It is run as a script, by `environment_process`, and imports nothing of maml_tf:
TensorFlow would take seconds of every start. All it is asked comes through one
pipe, a request and its answer at a time.
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


def main():
  """Plays until the pipe says so, ends, or the environment raises."""
  descriptor, parent = (int(argument) for argument in sys.argv[1:])
  _die_with(parent)
  # Ctrl-C is for the parent, which ends this process when it wants to.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
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
    _tell(pipe, False, (_one_line(error), traceback.format_exc()))
    # Its threads and what it registered for the exit could keep this process.
    os._exit(1)
  environment.close()


def _answer_requests(environment, pipe):
  """Returns when nothing more will be asked."""
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
      )
    else:
      answer = getattr(environment, name)(**arguments)
    _tell(pipe, True, answer)


def _tell(pipe, succeeded, answer):
  """Sends an answer; also of classes that the parent's main program defines."""
  message = cloudpickle.dumps((succeeded, answer))
  try:
    pipe.send_bytes(message)
  except ConnectionError:
    os._exit(1)  # Nobody listens any more.


def _die_with(parent):
  """Has the kernel kill this process when the parent is gone.

  However the parent ends, and whatever this process is doing then.
  """
  if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
  if os.getppid() != parent:  # It was gone before.
    os._exit(1)


def _one_line(error):
  lines = traceback.format_exception_only(error)
  return ' '.join(' '.join(lines).split())


def _log_warning(message):
  # As `mujoco_batch` does in the parent.
  if 'settotalmass' not in message:
    logging.log_every_n_seconds(logging.WARNING, 'MuJoCo: %s', 1, message)


if __name__ == '__main__':
  main()
