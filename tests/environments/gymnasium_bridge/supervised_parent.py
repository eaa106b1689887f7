"""A program that starts environments in processes and ends in several ways.

`supervised_parent.py FOLDER ENDING...` starts a process for each ending. The
process prints 'ENDING PID' when its environments play. It ends at SIGUSR1,
unless it hangs.
"""

import os
import signal
import sys
import threading

from maml_tf.environments.gymnasium_bridge import supervised_environments
from tests.environments.gymnasium_bridge import faulty_walk


def _play(folder, ending):
  """Creates two environments, one with an endless loop, and closes neither."""
  signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
  environments = supervised_environments.SupervisedVectorEnv(
    [
      faulty_walk.FaultyWalk,
      lambda: faulty_walk.FaultyWalk(fault='loop', times=99, folder=folder),
    ]
  )
  environments.reset(seed=0)
  if ending.startswith('hung'):
    threading.Timer(1.0, _print_pid, (ending,)).start()
    environments.step(environments.action_space.sample())
  _print_pid(ending)
  signal.sigwait({signal.SIGUSR1})
  if ending == 'raises':
    raise RuntimeError('the end')
  if ending == 'exits at once':
    os._exit(0)
  return environments  # The interpreter deletes them when it ends.


def _print_pid(ending):
  # A single write, since all processes share the output.
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
