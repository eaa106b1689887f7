"""Memory of adapted states: a server's clients hold an id instead of a state.

The states that were used last stay. A client whose state is gone adapts again.
"""

import collections
import math
import secrets
import threading


class StateStore:
  """Keeps states by id, up to a number of states and of bytes.

  Threads may share a store.
  """

  def __init__(self, max_states, max_bytes):
    """Creates an empty store.

    Args:
      max_states: The largest number of states.
      max_bytes: The largest size of all states together [bytes].
    """
    self._max_states = max_states
    self._max_bytes = max_bytes
    self._bytes = 0
    # From the state that was used longest ago to the one used last.
    self._states = collections.OrderedDict()
    self._lock = threading.Lock()

  def put(self, state):
    """Keeps a state in place of those that were used longest ago.

    Args:
      state: A dict of tensors.

    Returns:
      An id, which nobody can guess.

    Raises:
      ValueError: The state is larger than all states may be together.
    """
    size = _size(state)
    if size > self._max_bytes:
      raise ValueError(
        f'the state has {size} bytes: give fewer tasks, for at most'
        f' {self._max_bytes} bytes'
      )
    state_id = secrets.token_urlsafe(16)
    with self._lock:
      self._states[state_id] = state
      self._bytes += size
      while (
        len(self._states) > self._max_states or self._bytes > self._max_bytes
      ):
        _, oldest = self._states.popitem(last=False)
        self._bytes -= _size(oldest)
    return state_id

  def get(self, state_id):
    """Returns a state.

    Raises:
      KeyError: It was never kept, or is gone.
    """
    with self._lock:
      self._states.move_to_end(state_id)
      return self._states[state_id]


def _size(state):
  return sum(math.prod(t.shape) * t.dtype.size for t in state.values())
