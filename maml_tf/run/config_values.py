"""The settings of a config as texts by name, and which of them are the same."""

from collections.abc import Mapping
import inspect
import re

import gin
from gin import config as gin_config

from maml_tf.core import plain_texts

# gin leaves values out of its record if it cannot parse their `repr`: on NumPy
# 2, all numbers of NumPy that a program binds or that are defaults.
for _name in ('_is_literally_representable', '_config_str'):
  setattr(gin_config, _name, plain_texts.writing(getattr(gin_config, _name)))


# Where None lets the device decide: what it decides on a CPU. A run may go on
# elsewhere, so both count as the same. They were the defaults once.
ON_CPU = {'MamlAgent.task_chunk_size': '1', 'MamlAgent.jit_compile': 'False'}
# Records of older versions do not have it. There None was all tasks.
_ADDED_WITH_NONE = 'MamlAgent.allow_tf32'
CHUNK_SIZE, ALL_TASKS = 'MamlAgent.task_chunk_size', "'all'"

# A resumed run may change how long it trains, how often it is saved, how it is
# evaluated, whether it is exported, where its numbers go and which processes
# play it.
MAY_CHANGE = (
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

# Begin lines of a record: its first one, and the names that were bound.
FIRST_LINE = '# Written by maml_tf '
BOUND = '# Bound, not a default: '


def of_record(config: str) -> dict[str, str]:
  """Returns the bindings of a run's record, in the words of this version."""
  bindings = of_text(config)
  is_older = _ADDED_WITH_NONE not in bindings
  if is_older and bindings.get(CHUNK_SIZE) == 'None':
    bindings[CHUNK_SIZE] = ALL_TASKS
  return bindings


def bound_by_record(config: str) -> set[str] | None:
  """Returns the names that a run's files and command lines bound.

  Args:
    config: The run's record.

  Returns:
    None if an older version did not record that.
  """
  if not config.startswith(FIRST_LINE):
    return None
  lines = config.splitlines()
  return {n.removeprefix(BOUND) for n in lines if n.startswith(BOUND)}


def may_change(*configs: Mapping[str, str]) -> tuple[str, ...]:
  """Returns the beginnings of names that may differ between configs."""
  values = [config.get('train_eval.loggers', '') for config in configs]
  loggers = re.findall(r'@([\w./]+)', ' '.join(values))
  return (*MAY_CHANGE, *(f'{name}.' for name in loggers))


def of_text(config: str) -> dict[str, str]:
  """Returns the bindings of a config, by name."""
  # Gin wraps long values after a backslash or inside brackets.
  lines = [line for line in config.splitlines() if not line.startswith('#')]
  text = re.sub(r'\\?\n[ \t]+', ' ', '\n'.join(lines))
  bindings = (line for line in text.splitlines() if ' =' in line)
  return dict(re.split(r' =\s+', line, maxsplit=1) for line in bindings)


def is_same(name: str, there: str | None, here: str | None) -> bool:
  """Returns whether two values of a setting are the same."""
  if there is None:
    return here == _default(name)
  if name in ON_CPU:
    there, here = (ON_CPU[name] if v == 'None' else v for v in (there, here))
  if here is None or there == here:
    return there == here
  # Files and programs may name the same function in different ways.
  found = [re.fullmatch(r'@([\w.]+)', value) for value in (there, here)]
  if not all(found):
    return False
  try:
    one, other = (gin.get_configurable(match[1]) for match in found if match)
  except ValueError:
    return False
  return one is other


def _default(name: str) -> str | None:
  """Returns a parameter's default as the record has it; None without one."""
  selector, _, parameter = name.rpartition('.')
  if '/' in selector:  # Other scopes may have another value.
    return None
  try:
    parameters = inspect.signature(gin.get_configurable(selector)).parameters
  except (ValueError, TypeError):
    return None
  if parameter not in parameters:
    return None
  default = parameters[parameter].default
  if default is inspect.Parameter.empty:
    return None
  return plain_texts.of(default)
