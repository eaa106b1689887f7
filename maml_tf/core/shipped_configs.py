"""The gin files that come with the package, in groups."""

import itertools
import os
import re
from typing import NamedTuple

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# In a wheel the configs are inside the package, in a checkout beside it.
DIRECTORIES = (
  os.path.join(_PACKAGE, 'gin_configs'),
  os.path.join(os.path.dirname(_PACKAGE), 'gin_configs'),
)
_REFERENCES = ('oracle.gin', 'pretrained.gin')


class Groups(NamedTuple):
  """Names of configs, sorted.

  Attributes:
    experiments: They run alone: tasks and an algorithm.
    algorithms: They come after an experiment.
    references: They come after the recorded config of a run.
  """

  experiments: list[str]
  algorithms: list[str]
  references: list[str]


def names() -> list[str]:
  """Returns the names of all gin files that come with the package."""
  return sorted(_paths())


def groups() -> Groups:
  """Returns the names of the package's gin files, in groups."""
  paths = _paths()
  experiments = [name for name in paths if is_experiment(paths[name])]
  references = [name for name in paths if name in _REFERENCES]
  others = paths.keys() - {*experiments, *references}
  return Groups(sorted(experiments), sorted(others), sorted(references))


def first_sentence(name: str) -> str:
  """Returns the first sentence of a file's comments.

  Args:
    name: The name of a file that comes with the package.
  """
  with open(_paths()[name], encoding='utf-8') as file:
    lines = itertools.takewhile(lambda line: line.startswith('# '), file)
    text = ' '.join(line[1:].strip() for line in lines)
  return re.split(r'(?<=[.])\s', text)[0]


def contains(path: str) -> bool:
  """Returns whether a file is one of those that come with the package."""
  directory = os.path.realpath(os.path.dirname(path))
  return directory in map(os.path.realpath, DIRECTORIES)


def is_experiment(path: str) -> bool:
  """Returns whether a gin file sets the tasks, or includes one that does."""
  with open(path, encoding='utf-8') as file:
    text = file.read()
  if re.search(r'(?m)^train_eval\.environment_class\b', text):
    return True
  included = re.findall(r"""(?m)^include\s+['"](.+?)['"]""", text)
  paths = _paths()
  files = [paths.get(name, str(name)) for name in included]
  return any(is_experiment(file) for file in files if os.path.isfile(file))


def _paths() -> dict[str, str]:
  """Returns the path of each file by its name."""
  return {
    name: os.path.join(directory, name)
    for directory in reversed(DIRECTORIES)
    if os.path.isdir(directory)
    for name in os.listdir(directory)
    if name.endswith('.gin')
  }
