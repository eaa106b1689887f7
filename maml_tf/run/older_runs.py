"""Lets runs that older versions began go on with today's shipped configs."""

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib

from gin import config as gin_config

from maml_tf.core import terminal
from maml_tf.run import config_record
from maml_tf.run import unused_settings

# Settings that shipped configs have got, and the values of runs from before.
ADDED = {'LinearFeatureBaseline.zero_at_end': False}


def lacking(root_dir: str) -> list[str]:
  """Returns the settings of `ADDED` that a run did not have when it began.

  A run keeps the numbers that it was begun with. Settings that the user's own
  files or command line bind are left out: they are compared as all others are.

  Args:
    root_dir: The run's folder, which need not exist.
  """
  there = config_record.recorded(root_dir) or {}
  bound = config_record.bound(root_dir) or ()
  return [
    name
    for name, former in ADDED.items()
    # A run that did not use the owner has none of its parameters.
    if any(n.startswith(f'{name.rpartition(".")[0]}.') for n in there)
    and name not in bound
    and there.get(name) in (None, repr(former))
    and not unused_settings.is_bound_by_user(name)
  ]


@contextlib.contextmanager
def without(names: Iterable[str], root_dir: str) -> Iterator[None]:
  """Removes bindings for the block, and says which.

  Args:
    names: Settings of `ADDED`.
    root_dir: The run's folder.
  """
  removed = []
  for name in names:
    owner, _, parameter = name.rpartition('.')
    for (_, selector), bindings in list(gin_config._CONFIG.items()):
      if selector.rpartition('.')[2] == owner and (
        bindings.get(parameter, ADDED[name]) != ADDED[name]
      ):
        removed.append((bindings, parameter, bindings.pop(parameter)))
        terminal.log(
          f'{root_dir} was begun without {name}, and goes on without it'
        )
  try:
    yield
  finally:
    for bindings, parameter, value in removed:
      bindings[parameter] = value
