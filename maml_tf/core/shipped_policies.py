"""The trained policies that come with the package, by name.

Each is the folder of a run, as small as acting, adapting, evaluating and
exporting allow: `config.gin`, one checkpoint, and `policy.json`, which says
what it is. The package's folders are only read: they may belong to someone
else, and every user of the machine has the same ones.
"""

import difflib
import json
import os
from typing import NamedTuple

FACTS_FILE = 'policy.json'

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_FOLDER = os.path.join(_PACKAGE, 'policies')


class Facts(NamedTuple):
  """What is known of a trained policy.

  Attributes:
    task: What a task is, in a line.
    example_task: A task, as `--task` takes it.
    command: The command that trained it.
    commit: The commit of maml_tf that trained it.
    iteration: After how many meta-iterations.
    env_steps: After how many steps of the environment.
    tasks: Which tasks `returns` is the mean of.
    returns: The mean return after 0, 1, ... adaptation steps.
  """

  task: str
  example_task: str
  command: str
  commit: str
  iteration: int
  env_steps: int
  tasks: str
  returns: list[float]


def names() -> list[str]:
  """Returns the names of the trained policies."""
  return sorted(
    entry.name
    for entry in os.scandir(_FOLDER)
    if os.path.isfile(os.path.join(entry.path, FACTS_FILE))
  )


def folder(name: str) -> str:
  """Returns the folder of a trained policy.

  Args:
    name: Its name.

  Raises:
    ValueError: There is none of this name; the message has the closest.
  """
  known = names()
  if name in known:
    return os.path.join(_FOLDER, name)
  close = difflib.get_close_matches(name, known, 1)
  remedy = f'did you mean {close[0]}?' if close else f'give {_any_of(known)}'
  raise ValueError(f'{name!r} is not a trained policy: {remedy}')


def facts(name: str) -> Facts:
  """Returns what is known of a trained policy.

  Args:
    name: Its name.

  Raises:
    ValueError: As for `folder`.
  """
  path = os.path.join(folder(name), FACTS_FILE)
  with open(path, encoding='utf-8') as file:
    return Facts(**json.load(file))


def contains(path: str) -> bool:
  """Returns whether a folder is that of a trained policy, or inside one."""
  ours = os.path.realpath(_FOLDER)
  return os.path.realpath(path).startswith(ours + os.sep)


def _any_of(known: list[str]) -> str:
  return ' or '.join(known)
