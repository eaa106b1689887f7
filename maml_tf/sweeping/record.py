"""What a sweep's folder records: the plan that its runs belong to.

A second start may add runs. It must not change those that are there.
"""

import json
import os

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
      raise errors.UsageError(
        f'{root_dir} holds a sweep of other settings ({what} is in one of them'
        ' only): give another --root_dir, or the same command'
      )
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
  }


def _read(root_dir):
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
    return {k: content[k] for k in ('gin_files', 'gin_bindings', 'runs')}
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
