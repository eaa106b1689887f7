"""A program that has environments in processes, and comes to an end.

`supervised_parent.py FOLDER ENDING...` comes to each end in a process of its
own, which says 'ENDING PID' when its environments play and ends at SIGUSR1, or
does not.
"""

import os
import signal
import sys
import threading

from maml_tf.environments.gymnasium_bridge import supervised_environments
from tests.environments.gymnasium_bridge import faulty_walk


def _play(folder, ending):
  """Makes two environments, one with an endless loop; closes none."""
  signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
  environments = supervised_environments.SupervisedVectorEnv(
    [
      faulty_walk.FaultyWalk,
      lambda: faulty_walk.FaultyWalk(fault='loop', times=99, folder=folder),
    ]
  )
  environments.reset(seed=0)
  if ending.startswith('hung'):
    threading.Timer(1.0, _say, (ending,)).start()
    environments.step(environments.action_space.sample())
  _say(ending)
  signal.sigwait({signal.SIGUSR1})
  if ending == 'raises':
    raise RuntimeError('the end')
  if ending == 'exits at once':
    os._exit(0)
  return environments  # For the interpreter to find when it ends.


def _say(ending):
  # One write: all processes have the same output.
  os.write(1, f'{ending} {os.getpid()}\n'.encode())


if __name__ == '__main__':
  pids = []
  for name in sys.argv[2:]:
    pids.append(os.fork())
    if not pids[-1]:
      left = _play(sys.argv[1], name)
      break
  else:
    for pid in pids:
      os.waitpid(pid, 0)
