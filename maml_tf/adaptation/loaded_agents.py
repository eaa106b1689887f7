"""Agents of runs, loaded once for as many adaptations as follow.

The last four stay in memory. Code that a run imports is not looked at: after
changing it, start a new process.
"""

import collections
import os
import threading

from maml_tf.learning import maml_agent
from maml_tf.run import checkpoints
from maml_tf.run import config
from maml_tf.run import trained_run

_MAX_AGENTS = 4

_LOCK = threading.Lock()
# Agents by the real folder of their run, the last one used at the end, with the
# state of the folder that they were loaded from.
_agents: collections.OrderedDict[str, tuple[tuple, maml_agent.MamlAgent]] = (
  collections.OrderedDict()
)


def load(root_dir: str) -> maml_agent.MamlAgent:
  """Returns a run's agent, which is loaded again if the run has trained on.

  Args:
    root_dir: The run's folder.

  Raises:
    errors.UsageError: As for `trained_run.load`.
  """
  path = os.path.realpath(root_dir)
  with _LOCK:
    state = _state(path)
    known = _agents.pop(path, None)
    if known is None or known[0] != state:
      known = (state, trained_run.load(root_dir).agent)
    # A run that is training may have saved meanwhile; then it is loaded again.
    _agents[path] = known
    while len(_agents) > _MAX_AGENTS:
      _agents.popitem(last=False)
    return known[1]


def _state(path: str) -> tuple:
  """Describes the config and the checkpoints in a folder."""
  files = [os.path.join(path, config.CONFIG_FILE)]
  try:
    with os.scandir(os.path.join(path, checkpoints.CHECKPOINT_DIR)) as entries:
      files += [entry.path for entry in entries]
  except OSError:  # Loading says what is missing.
    pass
  return tuple(_stat(file) for file in sorted(files))


def _stat(file):
  try:
    found = os.stat(file)
  except OSError:
    return (file,)
  return (file, found.st_ino, found.st_size, found.st_mtime_ns)
