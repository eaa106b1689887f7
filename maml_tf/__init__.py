"""Meta-reinforcement learning (MAML) on TensorFlow 2 and TF-Agents."""

from maml_tf import quiet_imports  # isort: skip

from maml_tf.collection.adapted_policy import AdaptedPolicy
from maml_tf.collection.episode_buffer import EpisodeBuffer
from maml_tf.collection.episode_driver import EpisodeDriver
from maml_tf.collection.meta_collector import MetaCollector
from maml_tf.environments.task_environment import TaskEnvironment
from maml_tf.learning.maml_agent import MamlAgent
from maml_tf.learning.meta_learner import MetaLearner
from maml_tf.meta_batch import MetaBatch
from maml_tf.task_adaptation import adapt
