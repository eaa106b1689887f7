"""Lets runs that older versions began go on with today's configs."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
from typing import Any

from gin import config as gin_config

from maml_tf.core import terminal
from maml_tf.run import config_record
from maml_tf.run import config_values
from maml_tf.run import unused_settings

# Settings that shipped configs have got, and the values of runs from before.
ADDED = {'LinearFeatureBaseline.zero_at_end': False}
# All names that `lacking` may return.
NAMES = (*ADDED, config_values.CHUNK_SIZE)


def lacking(root_dir: str) -> list[str]:
  """Returns the settings of which a run keeps what it had when it began.

  A run keeps the numbers that it was begun with. Settings of `ADDED` that the
  user's own files or command line bind are left out: they are compared as all
  others are. `MamlAgent.task_chunk_size` is there if it is bound to None, which
  once was all tasks, and the run has all tasks.

  Args:
    root_dir: The run's folder, which need not exist.
  """
  there = config_record.recorded(root_dir) or {}
  bound = config_record.bound(root_dir) or ()
  names = [
    name
    for name, former in ADDED.items()
    # A run that did not use the owner has none of its parameters.
    if any(n.startswith(f'{name.rpartition(".")[0]}.') for n in there)
    and name not in bound
    and there.get(name) in (None, repr(former))
    and not unused_settings.is_bound_by_user(name)
  ]
  has_all_tasks = there.get(config_values.CHUNK_SIZE) == config_values.ALL_TASKS
  if has_all_tasks and list(_bindings(config_values.CHUNK_SIZE, (None,))):
    names.append(config_values.CHUNK_SIZE)
  return names


@contextlib.contextmanager
def without(names: Iterable[str], root_dir: str) -> Iterator[None]:
  """Removes or replaces bindings for the block, and says which.

  Args:
    names: What `lacking` returned.
    root_dir: The run's folder.
  """
  changed = []
  for name in names:
    parameter = name.rpartition('.')[2]
    for bindings in list(_bindings(name)):
      value = bindings[parameter]
      if name == config_values.CHUNK_SIZE and value is None:
        bindings[parameter] = 'all'
        line = (
          f'was begun with all tasks in a chunk, for which {name} = None stood,'
          " and goes on so: 'all' says that now"
        )
      elif name in ADDED and value != ADDED[name]:
        del bindings[parameter]
        line = f'was begun without {name}, and goes on without it'
      else:
        continue
      changed.append((bindings, parameter, value))
      terminal.log(f'{root_dir} {line}')
  try:
    yield
  finally:
    for bindings, parameter, value in changed:
      bindings[parameter] = value


def _bindings(name: str, values: Sequence[Any] = ()) -> Iterator[dict]:
  """Yields gin's bindings of an owner that have one of its parameters.

  Args:
    name: Owner and parameter.
    values: If given: only bindings of one of these values.
  """
  owner, _, parameter = name.rpartition('.')
  for (_, selector), bindings in gin_config._CONFIG.items():
    if selector.rpartition('.')[2] == owner and parameter in bindings:
      if not values or bindings[parameter] in values:
        yield bindings
