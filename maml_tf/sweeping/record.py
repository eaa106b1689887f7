"""What a sweep's folder records: the plan that its runs belong to.

A second start may add runs. It must not change those that are there.
"""

import json
import os
from typing import Any

from maml_tf.core import errors
from maml_tf.core import files
from maml_tf.run import config_values
from maml_tf.run import run_folder
from maml_tf.sweeping import plan as plan_lib

RECORD_FILE = 'sweep.json'


def check(root_dir: str, plan: plan_lib.Plan) -> None:
  """Compares a plan with the one of the sweep in a folder. Writes nothing.

  Args:
    root_dir: The sweep's folder, which need not exist.
    plan: The plan. Settings that a resumed run may change may differ.

  Raises:
    errors.UsageError: The folder holds a run, or a sweep that lacks something
      of this one.
  """
  if run_folder.has_checkpoints(root_dir):
    raise errors.UsageError(
      f'{root_dir} holds a run: give another --root_dir to the sweep'
    )
  there = _read(root_dir)
  if there is None:
    return
  here = _content(plan)
  for key, flag in (
    ('gin_files', 'gin_file'),
    ('gin_bindings', 'gin_bindings'),
  ):
    now, then = (_settled(content[key]) for content in (here, there))
    if now != then:
      differs = [
        f"--{flag}='{v}'" for v in then + now if (v in then) != (v in now)
      ]
      what = differs[0] if differs else f'--{flag} in another order'
      raise _has_other_settings(root_dir, what)
  for name, run in there['runs'].items():
    if here['runs'].get(name, run) != run:
      raise errors.UsageError(
        f'{root_dir} holds another run named {name}: give another --root_dir'
      )
    if name not in here['runs']:
      raise errors.UsageError(
        f'{root_dir} holds a sweep with the run {name}, which this one lacks:'
        ' give another --root_dir; --set, --seeds and --random may only add'
      )
  _compare_settings(root_dir, there['settings'], here['settings'])


def _compare_settings(root_dir, there, here):
  """Compares what gin files set, which may have been edited.

  Args:
    root_dir: The sweep's folder.
    there: The settings in the record; None if an older version wrote it.
    here: The settings of this sweep.

  Raises:
    errors.UsageError: They differ.
  """
  if there is None:
    return
  # A run's seed is in its name.
  may_change = (*config_values.may_change(there, here), 'train_eval.seed')
  for name in sorted(there.keys() | here.keys()):
    value = here.get(name)
    if not name.startswith(may_change) and there.get(name) != value:
      what = f'{name} = {there[name] if value is None else value}'
      raise _has_other_settings(root_dir, what)


def _has_other_settings(root_dir, what):
  return errors.UsageError(
    f'{root_dir} holds a sweep of other settings ({what} is in one of them'
    ' only): give another --root_dir, or the same command'
  )


def write(root_dir: str, plan: plan_lib.Plan) -> None:
  """Records a plan; see `check`."""
  with files.replace_file(os.path.join(root_dir, RECORD_FILE)) as scratch:
    with open(scratch, 'w', encoding='utf-8') as file:
      json.dump(_content(plan), file, indent=1)
      file.write('\n')


def _content(plan):
  return {
    'gin_files': list(plan.gin_files),
    'gin_bindings': list(plan.gin_bindings),
    'runs': {
      run.name: {'settings': dict(run.point.settings), 'seed': run.seed}
      for run in plan.runs
    },
    'settings': dict(plan.settings),
  }


def _read(root_dir: str) -> dict[str, Any] | None:
  """Returns the content of the record; None if there is none.

  Raises:
    errors.UsageError: It is no record.
  """
  path = os.path.join(root_dir, RECORD_FILE)
  try:
    with open(path, encoding='utf-8') as file:
      content = json.load(file)
    if not isinstance(content, dict) or not isinstance(content['runs'], dict):
      raise ValueError
    # An older version recorded none.
    settings = content.get('settings')
    if not isinstance(settings, dict | None):
      raise ValueError
    keys = ('gin_files', 'gin_bindings', 'runs')
    return {k: content[k] for k in keys} | {'settings': settings}
  except FileNotFoundError:
    return None
  except (ValueError, KeyError, OSError) as error:
    raise errors.UsageError(
      f'{path} is not the record of a sweep: bring it back, or give another'
      ' --root_dir'
    ) from error


def _settled(lines):
  """Returns the bindings that a resumed run must not change."""
  return [
    line
    for line in lines
    if not line.strip().startswith(config_values.MAY_CHANGE)
  ]
