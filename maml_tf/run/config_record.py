"""Records a run's config, and compares another one with the record."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import datetime
import hashlib
import os
import re
from typing import NamedTuple

import gin
import numpy as np

from maml_tf.core import errors
from maml_tf.core import files
from maml_tf.core import terminal
from maml_tf.core import version
from maml_tf.run import checkpoints as run_checkpoints
from maml_tf.run import config as run_config
from maml_tf.run import config_arguments
from maml_tf.run import config_values

# It may change these, too, but that is recorded: numbers depend on them.
_MAY_CHANGE_IF_RECORDED = ('train_eval.when_not_finite',)

_FIRST_LINE = config_values.FIRST_LINE
_BOUND = config_values.BOUND


class Change(NamedTuple):
  """A setting that a resumed run changes.

  Attributes:
    name: Its name.
    old: Its value in the record; None if it has none.
    new: Its value now; None if it is not used.
  """

  name: str
  old: str | None
  new: str | None


def check(root_dir: str, allow_changes: bool = False) -> None:
  """Compares the settings used so far with the run there, if there is one.

  It writes nothing. `compare` compares all settings, but it can do so only
  after all of them have been used.

  Args:
    root_dir: The run's folder, which need not exist.
    allow_changes: Whether the run there may have another config.

  Raises:
    errors.UsageError: The run there has another config; the message names a
      difference.
    OSError: The config cannot be read.
  """
  there, here = recorded(root_dir), config_values.of_text(_text())
  if there is not None:
    changes = _differences(there, here, here.keys() & there.keys())
    _refuse(root_dir, changes, allow_changes)


def compare(root_dir: str, allow_changes: bool = False) -> list[Change]:
  """Compares all settings with the run there, if there is one. Writes nothing.

  What was bound is compared, now and then. Parameters that one version has and
  another lacks are equal if they have their defaults.

  Args:
    root_dir: As for `check`.
    allow_changes: As for `check`.

  Returns:
    What changes.

  Raises:
    errors.UsageError: As for `check`.
    OSError: As for `check`.
  """
  there, here = recorded(root_dir), config_values.of_text(_text())
  if there is None:
    return []
  bound_here, bound_there = _bound_now(), bound(root_dir)
  names = here.keys() & there.keys()
  names |= {n for n in here.keys() - there.keys() if n in bound_here}
  names |= {
    n
    for n in there.keys() - here.keys()
    if bound_there is None or n in bound_there
  }
  changes = _differences(there, here, names)
  _refuse(root_dir, changes, allow_changes)
  return changes


def write_or_check(
  root_dir: str,
  allow_changes: bool = False,
  iteration: int = 0,
  num_iterations: int | None = None,
) -> None:
  """Records the config in a new run, or compares it with the record.

  What changes is printed, and recorded in a file of its own. The record stays
  as it is if nothing changes but that the run is to end sooner.

  Args:
    root_dir: The run's folder, created if it does not exist.
    allow_changes: As for `check`.
    iteration: The last completed iteration.
    num_iterations: The iterations of the whole run. None: not sooner.

  Raises:
    errors.UsageError: The run there has another config; the message names a
      difference.
    OSError: The folder or file cannot be written.
  """
  changes = compare(root_dir, allow_changes)
  os.makedirs(root_dir, exist_ok=True)
  if changes:
    _record_changes(root_dir, changes, iteration)
  elif num_iterations is not None and _ends_sooner(root_dir, num_iterations):
    return
  path = os.path.join(root_dir, run_config.CONFIG_FILE)
  text = _text()
  if _read(path) == text:
    return
  with files.replace_file(path) as scratch:
    with open(scratch, 'w', encoding='utf-8') as file:
      file.write(text)


def keep_other(root_dir: str) -> None:
  """Keeps a config that no run has written beside the one that will be.

  Args:
    root_dir: The folder of a run that has not begun.
  """
  path = os.path.join(root_dir, run_config.CONFIG_FILE)
  text = _read(path)
  if text is None or text.startswith(_FIRST_LINE):
    return
  kept = files.keep_beside(path)
  terminal.log(f'{path} was not of this run: it is kept as {kept}')


def recorded(root_dir: str) -> dict[str, str] | None:
  """Returns the bindings of the run in a folder; None if there is no run."""
  text = _read(os.path.join(root_dir, run_config.CONFIG_FILE))
  return None if text is None else config_values.of_record(text)


def bound(root_dir: str) -> set[str] | None:
  """Returns the names of what a run's files and command lines bound.

  Args:
    root_dir: The run's folder.

  Returns:
    None if there is no run, or an older version did not record that.
  """
  text = _read(os.path.join(root_dir, run_config.CONFIG_FILE)) or ''
  return config_values.bound_by_record(text)


def tell_version(root_dir: str, checkpoint: str) -> None:
  """Prints a line if another version has trained a run.

  Args:
    root_dir: The run's folder.
    checkpoint: The path of its checkpoint.
  """
  text = _read(os.path.join(root_dir, run_config.CONFIG_FILE)) or ''
  first, _, _ = text.partition('\n')
  there = run_checkpoints.recorded_version(checkpoint)
  if there is None and first.startswith(_FIRST_LINE):
    there = first.removeprefix(_FIRST_LINE)
  if there not in (None, version.VERSION):
    terminal.log(
      f'{root_dir} was trained by maml_tf {there}; this is {version.VERSION}'
    )


def smaller_step_size() -> str:
  """Returns a binding of half a step size; '' if none is a number."""
  for name, value in sorted(
    config_values.of_text(_text()).items(), reverse=True
  ):
    if re.search(r'\.(step_size|learning_rate)$', name):
      try:
        return f'{name} = {float(value) / 2}'
      except ValueError:  # A schedule, or learned step sizes.
        continue
  return ''


def environment_bindings(root_dir: str) -> dict[str, str]:
  """Returns what a run's record says of its environment, by name.

  That is its class and horizon, and the settings of what they refer to, except
  those that a resumed run may change.

  Args:
    root_dir: The run's folder.
  """
  bindings = recorded(root_dir) or {}
  found = {}
  pending = ['train_eval.environment_class', 'train_eval.horizon']
  while pending:
    name = pending.pop()
    if name in bindings and name not in found:
      found[name] = bindings[name]
      owners = {_leaf(o) for o in re.findall(r'@([\w./]+)', bindings[name])}
      pending += [n for n in bindings if _leaf(n.rpartition('.')[0]) in owners]
  may_change = config_values.MAY_CHANGE
  return {n: v for n, v in found.items() if not n.startswith(may_change)}


def check_workers(
  exchange: Callable[[Sequence[float]], np.ndarray],
) -> None:
  """Checks that all workers of a run have the same operative config.

  Args:
    exchange: See `WorkerGroup.exchange`.

  Raises:
    ValueError: Two workers have different configs.
  """
  bindings = config_values.of_text(_text())
  may_change = config_values.may_change(bindings)
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


def _text() -> str:
  """Returns the whole record: what gin supplied, and what Python gave."""
  parts = [f'{_FIRST_LINE}{version.VERSION}', gin.operative_config_str()]
  given = config_arguments.given()
  if given:
    modules = {m for binding in given.values() for m in binding.modules}
    parts += [
      '# Given by a program:',
      *(f'import {m}' for m in sorted(modules)),
    ]
    parts += [f'{name} = {given[name].text}' for name in sorted(given)]
  parts += ['', *(f'{_BOUND}{name}' for name in sorted(_bound_now()))]
  return '\n'.join(parts) + '\n'


def _bound_now() -> set[str]:
  """Returns the names of what files, command lines and programs have bound."""
  return {*config_values.of_text(gin.config_str()), *config_arguments.given()}


def _read(path: str) -> str | None:
  """Returns the text of a file; None if it does not exist."""
  try:
    with open(path, encoding='utf-8') as file:
      return file.read()
  except FileNotFoundError:
    return None
  except UnicodeDecodeError as error:
    raise errors.UsageError(
      f'{path} is not text in UTF-8: bring it back, or give another --root_dir'
    ) from error


def _differences(
  there: Mapping[str, str], here: Mapping[str, str], names: Iterable[str]
) -> list[Change]:
  """Returns the names whose values must not differ silently, but do."""
  may_change = config_values.may_change(there, here)
  return [
    Change(name, there.get(name), here.get(name))
    for name in sorted(names)
    if not name.startswith(may_change)
    and not config_values.is_same(name, there.get(name), here.get(name))
  ]


def _refuse(
  root_dir: str, changes: Sequence[Change], allow_changes: bool
) -> None:
  """Raises UsageError for the first change that is not allowed."""
  for change in changes:
    if not allow_changes and change.name not in _MAY_CHANGE_IF_RECORDED:
      is_used = change.new is not None
      now = f'not {change.new}' if is_used else 'which nothing uses now'
      raise errors.UsageError(
        f'{root_dir} holds a run with {change.name} = {change.old}, {now}:'
        ' give another --root_dir or that config, or --allow_config_change to'
        ' go on with the new value'
      )


def _record_changes(
  root_dir: str, changes: Sequence[Change], iteration: int
) -> None:
  """Appends changes to their file, and prints them."""
  path = os.path.join(root_dir, run_config.CHANGES_FILE)
  time = datetime.datetime.now().strftime('%Y-%m-%d %H:%M:%S')
  with open(path, 'a', encoding='utf-8') as file:
    for name, old, new in changes:
      line = f'after iteration {iteration}: {name} = {new}, was {old}'
      file.write(f'{time} {line}\n')
      terminal.log(line)


def _ends_sooner(root_dir: str, num_iterations: int) -> bool:
  """Returns whether a run is to have fewer iterations than its record says."""
  there = (recorded(root_dir) or {}).get('train_eval.num_iterations', '')
  return there.isdigit() and num_iterations < int(there)


def _leaf(selector: str) -> str:
  """Returns a configurable's name without its scopes and modules."""
  return re.split('[./]', selector)[-1]
