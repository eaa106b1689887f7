"""Import paths of version 0.1.0, which gin files and programs may still use.

Importing a name on the left of `MOVED` gives the module on the right. Both
names give the same object, so that the module registers with gin only once.
"""

import importlib
from importlib import abc
from importlib import machinery
import sys

_BRIDGE = 'environments.gymnasium_bridge'
_RENDERING = 'environments.rendering'

MOVED = {
  'action_distributions': 'core.action_distributions',
  'adaptation_video': 'video.adaptation_video',
  'checks': 'core.moved_checks',
  'collection.random_actions': 'evaluation.random_actions',
  'environments.environment_process': f'{_BRIDGE}.environment_process',
  'environments.environment_worker': f'{_BRIDGE}.environment_worker',
  'environments.gymnasium_environment': f'{_BRIDGE}.gymnasium_environment',
  'environments.gymnasium_spaces': f'{_BRIDGE}.gymnasium_spaces',
  'environments.headless_graphics': f'{_RENDERING}.headless_graphics',
  'environments.mujoco_painter': f'{_RENDERING}.mujoco_renderer',
  'environments.painter': f'{_RENDERING}.renderer',
  'environments.point_painter': f'{_RENDERING}.point_renderer',
  'environments.supervised_environments': f'{_BRIDGE}.supervised_environments',
  'evaluation_report': 'evaluation.report',
  'evaluation_statistics': 'evaluation.statistics',
  'experiment': 'run.experiment',
  'finite_checks': 'core.finite_checks',
  'interruption': 'run.interruption',
  'learning.adaptation': 'learning.inner_loop',
  'meta_batch': 'core.meta_batch',
  'named_tensors': 'serving.named_tensors',
  'observation_normalizer': 'core.observation_normalizer',
  'parameters': 'core.parameters',
  'processors': 'core.cpu',
  'quiet_imports': 'core.quiet_imports',
  'random_streams': 'core.random_streams',
  'replicas': 'core.replicas',
  'run_checkpoints': 'run.checkpoints',
  'run_config': 'run.config',
  'run_log': 'run.loggers',
  'served_policy': 'serving.served_policy',
  'serving_signatures': 'serving.signatures',
  'strategies': 'run.strategies',
  'task_adaptation': 'adaptation.task_adaptation',
  'trained_run': 'run.trained_run',
  'training_loop': 'run.training_loop',
  'video_file': 'video.video_file',
  'worker_group': 'run.workers',
}


class _MovedModuleFinder(abc.MetaPathFinder, abc.Loader):
  """Finds a module by its former name."""

  def find_spec(self, fullname, path=None, target=None):
    package, _, name = fullname.partition('.')
    if package != 'maml_tf' or name not in MOVED:
      return None
    return machinery.ModuleSpec(fullname, self)

  def create_module(self, spec):
    name = spec.name.partition('.')[2]
    module = importlib.import_module(f'maml_tf.{MOVED[name]}')
    spec.loader_state = module.__spec__
    return module

  def exec_module(self, module):
    # The import system has just replaced its spec by one of the old name.
    spec = module.__spec__
    assert spec is not None
    module.__spec__ = spec.loader_state


sys.meta_path.append(_MovedModuleFinder())
