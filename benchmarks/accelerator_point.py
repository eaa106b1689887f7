"""Measures one thing for `accelerator.py`, in a process of its own.

  python benchmarks/accelerator_point.py devices
  python benchmarks/accelerator_point.py record --batch=batch.npz
  python benchmarks/accelerator_point.py update --batch=batch.npz --chunk=20
  python benchmarks/accelerator_point.py iterations --folder=runs

TensorFlow uses the GPU if there is one; CUDA_VISIBLE_DEVICES='' hides it. The
last line is JSON.
"""

import maml_tf  # isort: skip  Before TensorFlow, which it quiets.

import argparse
from collections.abc import Sequence
import csv
import json
import os
import pathlib
import platform
import resource
import subprocess
import sys
import time
from typing import Any

import gin
import numpy as np
import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf.core import cpu
from maml_tf.environments import locomotion
from maml_tf.learning import actor_networks
from maml_tf.run import config

_DRIVER = '/proc/driver/nvidia/version'


def devices() -> dict[str, Any]:
  """Describes the devices and the versions."""
  gpus = []
  for gpu in tf.config.list_physical_devices('GPU'):
    details = tf.config.experimental.get_device_details(gpu)
    gpus.append(
      {
        'name': details.get('device_name', gpu.name),
        'compute_capability': details.get('compute_capability'),
        'memory_mb': _gpu_memory_mb(len(gpus)),
      }
    )
  return {
    'gpus': gpus,
    'driver': _first_line(_DRIVER) if os.path.exists(_DRIVER) else None,
    'tpus': len(tf.config.list_physical_devices('TPU')),
    'cpu': _cpu_name(),
    'cores': cpu.count(),
    'tensorflow': tf.__version__,
    'cuda': tf.sysconfig.get_build_info().get('cuda_version'),
    'python': platform.python_version(),
    'maml_tf': maml_tf.__version__,
  }


def record(flags: argparse.Namespace) -> dict[str, Any]:
  """Collects a meta-batch of HalfCheetah with the first policy and saves it."""
  agent = _agent(flags)
  environment = locomotion.HalfCheetahDirection(
    flags.tasks, flags.episodes, flags.horizon
  )
  collector = maml_tf.MetaCollector(
    environment,
    agent.collect_policy,
    agent.adapt,
    agent.num_adaptation_steps,
    seed=0,
  )
  collected = collector.collect(1)
  batch = collected.meta_batch._replace(prepared=())
  arrays = [t.numpy() for t in tf.nest.flatten(batch)]
  arrays += [v.numpy() for v in agent.meta_parameters]
  np.savez(flags.batch, *arrays)
  return {'env_steps': int(collected.env_steps)}


def update(flags: argparse.Namespace) -> dict[str, Any]:
  """Times the update and saves its gradient and its change of theta."""
  agent = _agent(flags)
  # After the agent, which sets what training uses.
  tf.config.experimental.enable_tensor_float_32_execution(flags.tf32)
  batch = _load(flags.batch, agent)
  learner = maml_tf.MetaLearner(agent)
  variables = [*agent.training_variables, agent.train_step_counter]
  initial = [v.numpy() for v in variables]
  theta = _vector(agent.meta_parameters)
  start = time.perf_counter()
  learner.trace(batch)
  traced = time.perf_counter()
  _wait(agent, learner.run(batch))
  first = time.perf_counter()
  change = _vector(agent.meta_parameters) - theta
  seconds = _repeat(agent, learner, batch, flags.seconds)
  for variable, value in zip(variables, initial):
    variable.assign(value)
  _wait(agent, learner.run(batch))
  again = _vector(agent.meta_parameters) - theta
  result = {
    'trace_seconds': traced - start,
    'compile_seconds': first - traced - float(np.median(seconds)),
    'seconds': float(np.median(seconds)),
    'repeats': len(seconds),
    'same_bits_twice': bool(np.array_equal(change, again)),
    'peak_mb': _peak_mb(),
  }
  arrays = {'change': change}
  if flags.gradient:
    for variable, value in zip(variables, initial):
      variable.assign(value)
    _, gradient, _ = agent.meta_problem(batch).gradient(
      tf.nest.map_structure(tf.identity, agent.theta)
    )
    arrays['gradient'] = _vector(tf.nest.flatten(gradient))
  if flags.out:
    np.savez(flags.out, **arrays)
  return result


def iterations(flags: argparse.Namespace) -> dict[str, Any]:
  """Trains HalfCheetah from the command line, twice with one cache of XLA.

  Returns:
    Seconds until the first iteration has ended, the means over the later ones,
    and the first again for a second start that finds compiled programs.
  """
  cold = _train(flags, 'first', flags.iterations)
  # The environment names the cache.
  warm = _train(flags, 'second', 1) if flags.second_start else None
  later = cold[1:]
  result = {
    'first_seconds': float(cold[0]['wall_seconds']),
    'env_steps_per_second': _mean(later, 'env_steps_per_second'),
    'collect_seconds': _mean(later, 'collect_seconds'),
    'update_seconds': _mean(later, 'update_seconds'),
  }
  if warm is not None:
    result['second_start_seconds'] = float(warm[0]['wall_seconds'])
  return result


def _agent(flags: argparse.Namespace) -> maml_tf.MamlAgent:
  """Creates the agent of cheetah.gin."""
  with gin.unlock_config():
    config.parse(['cheetah.gin'], [])
  environment = locomotion.HalfCheetahDirection(1, 1, flags.horizon)
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  action_spec = tensor_spec.from_spec(environment.action_spec())
  tf.keras.utils.set_random_seed(0)
  return maml_tf.MamlAgent(
    time_step_spec,
    action_spec,
    actor_networks.create_actor_network(
      time_step_spec.observation, action_spec
    ),
    task_chunk_size=flags.chunk or flags.tasks,
    jit_compile=flags.jit,
    train_step_counter=tf.Variable(0, dtype=tf.int64),
  )


def _load(path: str, agent: maml_tf.MamlAgent) -> Any:
  """Loads a meta-batch and theta; prepares the stages like the collector."""
  file = np.load(path)
  arrays = [file[name] for name in file.files]
  spec = agent.training_data_spec
  size = len(tf.nest.flatten(spec))
  batch = tf.nest.pack_sequence_as(
    spec, [tf.constant(a) for a in arrays[:size]]
  )
  for variable, value in zip(agent.meta_parameters, arrays[size:], strict=True):
    variable.assign(value)
  state = agent.collect_policy.get_initial_state(batch.query.reward.shape[0])
  return batch._replace(
    prepared=tuple(
      agent.prepare(stage, state) for stage in (*batch.support, batch.query)
    )
  )


def _wait(agent, loss_info) -> None:
  """Waits until the device has finished."""
  np.asarray(loss_info.loss)
  agent.meta_parameters[0].numpy()


def _repeat(agent, learner, batch, limit: float) -> list[float]:
  """Times 3 to 20 updates, which take about `limit` seconds."""
  seconds = []
  end = time.perf_counter() + limit
  while len(seconds) < 3 or (len(seconds) < 20 and time.perf_counter() < end):
    start = time.perf_counter()
    _wait(agent, learner.run(batch))
    seconds.append(time.perf_counter() - start)
  return seconds


def _vector(tensors: Sequence[Any]) -> np.ndarray:
  """Returns all numbers of tensors as one float64 vector."""
  return np.concatenate([t.numpy().ravel() for t in tensors]).astype(np.float64)


def _peak_mb() -> float:
  """Returns the peak memory of the GPU, or else of the process."""
  if tf.config.list_physical_devices('GPU'):
    return tf.config.experimental.get_memory_info('GPU:0')['peak'] / 2**20
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _train(
  flags: argparse.Namespace, name: str, num_iterations: int
) -> list[dict[str, str]]:
  """Runs maml_tf.train; returns the rows of metrics.csv."""
  root_dir = pathlib.Path(flags.folder) / name
  bindings = {
    'train_eval.num_iterations': num_iterations,
    'train_eval.num_tasks': flags.tasks,
    'train_eval.episodes_per_task': flags.episodes,
    'train_eval.horizon': flags.horizon,
    'train_eval.export_saved_model': False,
  }
  if flags.chunk:
    bindings['MamlAgent.task_chunk_size'] = flags.chunk
  if flags.jit is not None:
    bindings['MamlAgent.jit_compile'] = flags.jit
  command = [sys.executable, '-m', 'maml_tf.train', '--gin_file=cheetah.gin']
  command += [f'--gin_bindings={k} = {v}' for k, v in bindings.items()]
  subprocess.run(
    [*command, f'--root_dir={root_dir}'],
    check=True,
    stdout=subprocess.DEVNULL,
  )
  with open(root_dir / 'metrics.csv', newline='', encoding='utf-8') as file:
    return list(csv.DictReader(file))


def _mean(rows: Sequence[dict[str, str]], name: str) -> float | None:
  return float(np.mean([float(r[name]) for r in rows])) if rows else None


def _cpu_name() -> str:
  lines = pathlib.Path('/proc/cpuinfo')
  if lines.exists():
    for line in lines.read_text(encoding='utf-8').splitlines():
      if line.startswith('model name'):
        return line.partition(':')[2].strip()
  return platform.processor() or platform.machine()


def _first_line(path: str) -> str:
  return pathlib.Path(path).read_text(encoding='utf-8').split('\n')[0].strip()


def _gpu_memory_mb(index: int) -> int | None:
  """Asks nvidia-smi, which knows a GPU's memory; TensorFlow does not."""
  query = ['nvidia-smi', '--query-gpu=memory.total']
  try:
    done = subprocess.run(
      [*query, '--format=csv,noheader,nounits'],
      capture_output=True,
      text=True,
      check=True,
    )
    return int(done.stdout.splitlines()[index])
  except (OSError, subprocess.CalledProcessError, ValueError, IndexError):
    return None


def main(argv: Sequence[str] | None = None) -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  kinds = {'record': record, 'update': update, 'iterations': iterations}
  parser.add_argument('kind', choices=['devices', *kinds])
  parser.add_argument('--tasks', type=int, default=40)
  parser.add_argument('--episodes', type=int, default=20)
  parser.add_argument('--horizon', type=int, default=100)
  parser.add_argument('--chunk', type=int, help='Default: all, or as trained.')
  boolean = argparse.BooleanOptionalAction
  parser.add_argument('--jit', action=boolean)
  parser.add_argument('--tf32', action=boolean, default=False)
  parser.add_argument('--gradient', action=boolean, default=False)
  parser.add_argument('--second_start', action=boolean, default=False)
  parser.add_argument('--seconds', type=float, default=4.0)
  parser.add_argument('--iterations', type=int, default=4)
  parser.add_argument('--batch', default='batch.npz')
  parser.add_argument('--out')
  parser.add_argument('--folder', default='runs/accelerator')
  flags = parser.parse_args(argv)
  cpu.one_thread_an_operation()
  if flags.kind == 'devices':
    result = devices()
  else:
    if flags.kind != 'iterations':
      flags.jit = bool(flags.jit)
    result = kinds[flags.kind](flags)
  print(json.dumps(result))


if __name__ == '__main__':
  main()
