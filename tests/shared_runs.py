"""Trained runs that several test files share; each is trained once."""

import fcntl
import os
import pathlib
from typing import NamedTuple

import gin
import numpy as np

from maml_tf.run import config as run_config
from maml_tf.run import experiment

TINY = (
  'train_eval.num_iterations = 1',
  'train_eval.num_tasks = 2',
  'train_eval.episodes_per_task = 3',
  'train_eval.horizon = 6',
  'train_eval.seed = 7',
  'create_actor_network.fc_layer_params = (8,)',
  'GradientUpdate.num_steps = 1',
)
NO_MODEL = 'train_eval.export_saved_model = False'

# These settings are fixed here: a better point.gin must not move thresholds.
LEARNED = (
  'import maml_tf.environments.point_navigation',
  'train_eval.environment_class = @PointNavigation',
  'train_eval.num_iterations = 20',
  'train_eval.num_tasks = 20',
  'train_eval.episodes_per_task = 10',
  'train_eval.horizon = 100',
  'create_actor_network.fc_layer_params = (32, 32)',
  'create_actor_network.initial_stddev = 1.0',
  'InnerLoop.step_size = 0.5',
  'MamlAgent.meta_update = @GradientUpdate()',
  'GradientUpdate.optimizer = @tf.keras.optimizers.Adam()',
  'GradientUpdate.num_steps = 5',
  'tf.keras.optimizers.Adam.learning_rate = 3e-3',
)

# Gin files and bindings, by name.
_CONFIGS = {
  'point': (['point.gin'], TINY),
  'cheetah': (['cheetah.gin'], (*TINY, NO_MODEL)),
  'learned': ([], (*LEARNED, NO_MODEL)),
}


class SharedRun(NamedTuple):
  """A run that tests read; a test that changes it must copy it.

  Attributes:
    root_dir: The run's folder.
    returns: The result of `train_eval`, float64 [X + 1, B, E].
  """

  root_dir: pathlib.Path
  returns: np.ndarray


def train_once(tmp_path_factory, name) -> SharedRun:
  """Trains a run unless another worker of pytest-xdist has done so."""
  folder = tmp_path_factory.getbasetemp()
  if 'PYTEST_XDIST_WORKER' in os.environ:
    folder = folder.parent
  root_dir = folder / f'shared-{name}'
  returns = folder / f'shared-{name}.npy'
  # The second worker waits.
  with open(folder / f'shared-{name}.lock', 'w', encoding='utf-8') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not returns.exists():
      gin.clear_config()
      run_config.parse(*_CONFIGS[name])
      held_out = experiment.train_eval(str(root_dir))
      gin.clear_config()
      np.save(returns, held_out)
  return SharedRun(root_dir, np.load(returns))
