"""Meta-reinforcement learning (MAML) on TensorFlow 2 and TF-Agents."""

from maml_tf.core import quiet_imports  # isort: skip  Before TensorFlow.

import importlib
from typing import TYPE_CHECKING

from maml_tf.core import moved_modules
from maml_tf.environments import mujoco_batch

if TYPE_CHECKING:
  from maml_tf.adaptation.task_adaptation import adapt
  from maml_tf.collection.adapted_policy import AdaptedPolicy
  from maml_tf.collection.episode_buffer import EpisodeBuffer
  from maml_tf.collection.episode_driver import EpisodeDriver
  from maml_tf.collection.meta_collector import MetaCollector
  from maml_tf.core.meta_batch import MetaBatch
  from maml_tf.environments.task_environment import TaskEnvironment
  from maml_tf.learning.maml_agent import MamlAgent
  from maml_tf.learning.meta_learner import MetaLearner

__version__ = '0.1.0'

# Before Gymnasium loads its models, about which MuJoCo would write a file.
mujoco_batch.route_warnings()

# The public names and their modules, imported when they are first used.
_PUBLIC = {
  'AdaptedPolicy': 'collection.adapted_policy',
  'EpisodeBuffer': 'collection.episode_buffer',
  'EpisodeDriver': 'collection.episode_driver',
  'MamlAgent': 'learning.maml_agent',
  'MetaBatch': 'core.meta_batch',
  'MetaCollector': 'collection.meta_collector',
  'MetaLearner': 'learning.meta_learner',
  'TaskEnvironment': 'environments.task_environment',
  'adapt': 'adaptation.task_adaptation',
}

__all__ = list(_PUBLIC)


def __getattr__(name: str):
  if name not in _PUBLIC:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  module = importlib.import_module(f'{__name__}.{_PUBLIC[name]}')
  return getattr(module, name)


def __dir__() -> list[str]:
  return sorted([*globals(), *_PUBLIC])
