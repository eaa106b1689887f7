"""Meta-reinforcement learning (MAML) on TensorFlow 2 and TF-Agents."""

from maml_tf.core import quiet_imports  # isort: skip  Before TensorFlow.

import importlib

from maml_tf import testing
from maml_tf.adaptation.task_adaptation import adapt
from maml_tf.collection.adapted_policy import AdaptedPolicy
from maml_tf.collection.episode_buffer import EpisodeBuffer
from maml_tf.collection.episode_driver import EpisodeDriver
from maml_tf.collection.meta_collector import MetaCollector
from maml_tf.core import moved_modules
from maml_tf.core import version
from maml_tf.core.meta_batch import MetaBatch
from maml_tf.environments.task_environment import TaskEnvironment
from maml_tf.learning.maml_agent import MamlAgent
from maml_tf.learning.meta_learner import MetaLearner

__version__ = version.VERSION


def __getattr__(name: str):
  """Gives a module that has moved under its former name."""
  if name not in moved_modules.MOVED:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return importlib.import_module(f'{__name__}.{name}')
