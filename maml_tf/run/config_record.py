"""Records a run's config, and compares another one with the record."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import hashlib
import os
import re

import gin
import numpy as np

from maml_tf.core import errors
from maml_tf.core import files
from maml_tf.run import config as run_config

# A resumed run may change how long it trains, how often it is saved, how it is
# evaluated, whether it is exported, where its numbers go and which processes
# play it.
_MAY_CHANGE = (
  'train_eval.num_iterations',
  'train_eval.checkpoint_interval',
  'train_eval.evaluation_interval',
  'train_eval.export_saved_model',
  'train_eval.loggers',
  'Evaluator.',
  # What a row plays does not depend on them.
  *(
    f'{family}.{setting}'
    for family in ('GymnasiumTasks', 'MetaWorldTasks')
    for setting in ('num_processes', 'timeout', 'max_restarts')
  ),
)


def check(root_dir: str) -> None:
  """Compares the settings used so far with the run there, if there is one.

  It writes nothing. `write_or_check` compares all settings, but it can do so
  only after all of them have been used.

  Args:
    root_dir: The run's folder, which need not exist.

  Raises:
    errors.UsageError: The run there has another config; the message names a
      difference.
    OSError: The folder cannot be made, or its config cannot be read.
  """
  there, here = _recorded(root_dir), _bindings(gin.operative_config_str())
  if there is None:
    folder = os.path.abspath(root_dir)
    while not os.path.exists(folder):
      folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
      raise NotADirectoryError(
        f'{folder} is not a folder: give another --root_dir'
      )
  else:
    _check_same(root_dir, there, here, here.keys() & there.keys())


def write_or_check(root_dir: str) -> None:
  """Records the operative config in a new run, or compares it with the record.

  Args:
    root_dir: The run's folder, created if it does not exist.

  Raises:
    errors.UsageError: The run there has another config; the message names a
      difference.
    OSError: The folder or file cannot be written.
  """
  path = os.path.join(root_dir, run_config.CONFIG_FILE)
  config = gin.operative_config_str()
  there, here = _recorded(root_dir), _bindings(config)
  if there is not None:
    # A new version has new parameters. Unless they are bound, they have their
    # defaults, with which it trains as the old version did.
    bound = _bindings(gin.config_str())
    names = there.keys() | (here.keys() & bound.keys())
    _check_same(root_dir, there, here, names)
  os.makedirs(root_dir, exist_ok=True)
  with files.replace_file(path) as scratch:
    with open(scratch, 'w', encoding='utf-8') as file:
      file.write(config)


def environment_bindings(root_dir: str) -> dict[str, str]:
  """Returns what a run's record says of its environment, by name.

  That is its class and horizon, and the settings of what they refer to, except
  those that a resumed run may change.

  Args:
    root_dir: The run's folder.
  """
  bindings = _recorded(root_dir) or {}
  found = {}
  pending = ['train_eval.environment_class', 'train_eval.horizon']
  while pending:
    name = pending.pop()
    if name in bindings and name not in found:
      found[name] = bindings[name]
      owners = {_leaf(o) for o in re.findall(r'@([\w./]+)', bindings[name])}
      pending += [n for n in bindings if _leaf(n.rpartition('.')[0]) in owners]
  return {n: v for n, v in found.items() if not n.startswith(_MAY_CHANGE)}


def _leaf(selector: str) -> str:
  """Returns a configurable's name without its scopes and modules."""
  return re.split('[./]', selector)[-1]


def _recorded(root_dir: str) -> dict[str, str] | None:
  """Returns the bindings of the run in a folder; None if there is no run."""
  path = os.path.join(root_dir, run_config.CONFIG_FILE)
  if not os.path.exists(path):
    return None
  with open(path, encoding='utf-8') as file:
    return _bindings(file.read())


def _check_same(
  root_dir: str,
  there: Mapping[str, str],
  here: Mapping[str, str],
  names: Iterable[str],
) -> None:
  """Raises UsageError for the first name whose values must not differ."""
  may_change = _may_change(there, here)
  for name in sorted(names):
    if name.startswith(may_change):
      continue
    if here.get(name) != there.get(name):
      raise errors.UsageError(
        f'{root_dir} holds a run with {name} = {there.get(name)}, not '
        f'{here.get(name)}: give another --root_dir or that config'
      )


def check_workers(
  exchange: Callable[[Sequence[float]], np.ndarray],
) -> None:
  """Checks that all workers of a run have the same operative config.

  Args:
    exchange: See `WorkerGroup.exchange`.

  Raises:
    ValueError: Two workers have different configs.
  """
  bindings = _bindings(gin.operative_config_str())
  may_change = _may_change(bindings)
  config = sorted(
    b for b in bindings.items() if not b[0].startswith(may_change)
  )
  # A whole number that float64 holds exactly.
  digest = hashlib.sha256(repr(config).encode()).digest()[:6]
  gathered = exchange([int.from_bytes(digest, 'big')])
  if np.any(gathered != gathered[0]):
    raise ValueError(
      'the workers have different configs: give all the same --gin_file and'
      ' --gin_bindings'
    )


def _bindings(config: str) -> dict[str, str]:
  """Returns the bindings of a config, by name."""
  # Gin wraps long values after a backslash or inside brackets.
  lines = [line for line in config.splitlines() if not line.startswith('#')]
  text = re.sub(r'\\?\n[ \t]+', ' ', '\n'.join(lines))
  bindings = (line for line in text.splitlines() if ' =' in line)
  return dict(re.split(r' =\s+', line, maxsplit=1) for line in bindings)


def _may_change(*configs: Mapping[str, str]) -> tuple[str, ...]:
  """Returns the beginnings of names that may differ between configs."""
  values = [config.get('train_eval.loggers', '') for config in configs]
  loggers = re.findall(r'@([\w./]+)', ' '.join(values))
  return (*_MAY_CHANGE, *(f'{name}.' for name in loggers))
