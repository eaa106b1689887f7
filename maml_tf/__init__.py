"""Meta-reinforcement learning (MAML) on TensorFlow 2 and TF-Agents."""

from maml_tf.core import quiet_imports  # isort: skip  Before TensorFlow.

import importlib
import itertools
import os
import sys
from typing import TYPE_CHECKING

from maml_tf.core import moved_modules
from maml_tf.core import stack
from maml_tf.core import version

if TYPE_CHECKING:
  from maml_tf import testing
  from maml_tf.adaptation.task_adaptation import adapt
  from maml_tf.collection.adapted_policy import AdaptedPolicy
  from maml_tf.collection.episode_buffer import EpisodeBuffer
  from maml_tf.collection.episode_driver import EpisodeDriver
  from maml_tf.collection.meta_collector import MetaCollector
  from maml_tf.core.meta_batch import MetaBatch
  from maml_tf.environments.task_environment import TaskEnvironment
  from maml_tf.learning.maml_agent import MamlAgent
  from maml_tf.learning.meta_learner import MetaLearner
  from maml_tf.policies.trained_policy import load_policy

__version__ = version.VERSION

__all__ = [
  'AdaptedPolicy',
  'EpisodeBuffer',
  'EpisodeDriver',
  'MamlAgent',
  'MetaBatch',
  'MetaCollector',
  'MetaLearner',
  'TaskEnvironment',
  'adapt',
  'load_policy',
  'testing',
]

_MODULES = {
  'AdaptedPolicy': 'collection.adapted_policy',
  'EpisodeBuffer': 'collection.episode_buffer',
  'EpisodeDriver': 'collection.episode_driver',
  'MamlAgent': 'learning.maml_agent',
  'MetaBatch': 'core.meta_batch',
  'MetaCollector': 'collection.meta_collector',
  'MetaLearner': 'learning.meta_learner',
  'TaskEnvironment': 'environments.task_environment',
  'adapt': 'adaptation.task_adaptation',
  'load_policy': 'policies.trained_policy',
}
# The rooms that a public name brings with it.
_ROOMS = (
  'adaptation',
  'collection',
  'environments',
  'evaluation',
  'learning',
  'policies',
  'run',
  'serving',
  'testing',
)


def _load() -> None:
  """Imports all public names, and with them most modules of the rooms."""
  stack.load()
  for module in ('testing', *_MODULES.values()):
    importlib.import_module(f'{__name__}.{module}')
  for name, module in _MODULES.items():
    globals()[name] = getattr(sys.modules[f'{__name__}.{module}'], name)


def __getattr__(name: str):
  """Gives a public name, a room, or a module by its former name."""
  if name in _MODULES:
    _load()
    return globals()[name]
  if name not in (*_ROOMS, *moved_modules.MOVED):
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return importlib.import_module(f'{__name__}.{name}')


def __dir__() -> list[str]:
  return sorted({*globals(), *_MODULES, *_ROOMS})


def _runs_a_command() -> bool:
  """Returns whether this process is `maml_tf` or `python -m maml_tf...`."""
  script = next((w for w in sys.orig_argv[1:] if not w.startswith('-')), '')
  return os.path.basename(script) == __name__ or any(
    flag == '-m' and module.partition('.')[0] == __name__
    for flag, module in itertools.pairwise(sys.orig_argv)
  )


# A command reads its flags first: --help must not wait for TensorFlow. Programs
# get everything at once: they may parse gin files that bind what it registers.
if not _runs_a_command():
  _load()
