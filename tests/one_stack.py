"""Steps of `cross_stacks.py` that run on one stack; run as a program.

python -m tests.one_stack versions OUT.json
python -m tests.one_stack settings OUT.json
python -m tests.one_stack tensors ROOT_DIR OUT.npz
python -m tests.one_stack stages ROOT_DIR RECORDED.npz OUT.npz
python -m tests.one_stack eager MODEL RECORDED.npz OUT.npz
python -m tests.one_stack adapt ROOT_DIR OUT.npz
"""

import importlib
import importlib.metadata
import json
import platform
import sys

import numpy as np

_PACKAGES = (
  *('tensorflow', 'keras', 'tf_keras', 'tensorflow-probability', 'tf-agents'),
  *('numpy', 'gymnasium', 'mujoco'),
)
_NUM_TASKS, _EPISODES = 2, 3


def versions(out):
  """Writes the versions of Python and of the packages that are there."""
  found = {'Python': platform.python_version()}
  for package in _PACKAGES:
    try:
      found[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      continue
  _write_json(out, found)


def settings(out):
  """Writes all settings that a config may have, with their defaults."""
  importlib.import_module('maml_tf.settings')
  from maml_tf.run import config_registry

  for module in ('environments.locomotion', 'environments.classic_control'):
    importlib.import_module(f'maml_tf.{module}')
  importlib.import_module('maml_tf.learning.value_networks')
  importlib.import_module('maml_tf.run.experiment')
  _write_json(
    out,
    {
      f'{name}.{parameter}': repr(described.default).partition(' at 0x')[0]
      for name, configurable in config_registry.configurables().items()
      for parameter, described in config_registry.parameters(
        configurable
      ).items()
    },
  )


def tensors(root_dir, out):
  """Writes all numbers of a run's last checkpoint, by name."""
  import tensorflow as tf

  reader = tf.train.load_checkpoint(f'{root_dir}/checkpoints')
  values = {
    name.replace('/', '|'): np.asarray(reader.get_tensor(name))
    for name in reader.get_variable_to_shape_map()
  }
  np.savez(out, **{n: v for n, v in values.items() if v.dtype.kind == 'f'})


def stages(root_dir, recorded, out):
  """Writes what a run's agent collected, adapted to, and did then."""
  from maml_tf.collection import meta_collector
  from maml_tf.run import trained_run
  from tests.serving import recorded_stages

  run = trained_run.load_for_process(root_dir)
  collected = meta_collector.MetaCollector(
    run.create_environment(_NUM_TASKS, _EPISODES),
    run.agent.collect_policy,
    run.agent.adapt,
    run.agent.num_adaptation_steps,
    seed=0,
  ).collect(1)
  recorded_stages.record(recorded, collected)
  query = collected.meta_batch.query.policy_info[0]
  _write_state(
    out,
    collected.policy_states[-1],
    {f'policy_info_0_{name}': part[:, 0] for name, part in query.items()},
  )


def eager(model_dir, recorded, out):
  """Writes the same from TF-Agents' policy of a SavedModel."""
  from tf_agents.policies import py_tf_eager_policy
  from tf_agents.trajectories import time_step as ts
  from tf_agents.trajectories import trajectory

  policy = py_tf_eager_policy.SavedModelPyTFEagerPolicy(
    model_dir, load_specs_from_pbtxt=True, batch_time_steps=False
  )
  inputs = np.load(recorded)
  state = policy.get_initial_state(int(inputs['batch_size']))
  for step in range(inputs['num_adaptation_steps']):
    frames = {
      name.partition('.')[2]: inputs[name]
      for name in inputs.files
      if name.startswith(f'{step}.')
    }
    info = {
      name.removeprefix('policy_info_0_'): frames.pop(name)
      for name in list(frames)
      if name.startswith('policy_info_0_')
    }
    experience = trajectory.Trajectory(policy_info=(info,), **frames)
    state = policy.adapt(experience, state, step)
  observation = inputs['query.observation']
  info = policy.action(ts.restart(observation, len(observation)), state).info[0]
  _write_state(
    out, state, {f'policy_info_0_{name}': part for name, part in info.items()}
  )


def adapt(root_dir, out):
  """Writes how `maml_tf.adapt` adapts a run to a task."""
  import maml_tf
  from maml_tf.run import trained_run

  environment = trained_run.load(root_dir).create_environment(1, _EPISODES)
  environment.set_tasks(environment.sample_tasks(1, np.random.default_rng(5)))
  adapted = maml_tf.adapt(root_dir, environment, episodes_per_step=_EPISODES)
  assert all(step.taken for step in adapted.steps), adapted.steps
  _write_state(out, adapted.parameters, {'returns': adapted.returns})


def _write_state(out, state, others):
  arrays = {f'state_{i}': np.asarray(part) for i, part in enumerate(state)}
  np.savez(out, **arrays, **{n: np.asarray(v) for n, v in others.items()})


def _write_json(path, value):
  with open(path, 'w', encoding='utf-8') as file:
    json.dump(value, file)


if __name__ == '__main__':
  step, *paths = sys.argv[1:]
  globals()[step](*paths)
