"""Measures the memory that the functions of one task hold at their peak.

  python benchmarks/task_memory.py

XLA compiles each function for the CPU and says how many bytes its temporaries
take at once. The data are random frames with 17 observations and 6 actions. A
copy is one times what the networks compute for all frames of all stages, or
the parameters of all stages; `learning/task_memory.py` uses the copies. Each
row is a process of its own, since XLA reads its flags once.
"""

import maml_tf  # isort: skip  Before TensorFlow, which it quiets.

import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from maml_tf.core import meta_batch
from maml_tf.learning import actor_networks
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import task_memory

# Function, tasks, frames, width of both layers, inner steps.
_CASES = (
  ('meta_gradient', 4, 400, 64, 1),
  ('meta_gradient', 4, 1600, 64, 1),
  ('meta_gradient', 4, 400, 64, 3),
  ('meta_gradient', 8, 400, 256, 1),
  ('kl_hvp', 4, 400, 64, 1),
  ('kl_hvp', 4, 400, 256, 2),
  ('prepare', 4, 400, 64, 1),
  # Frames hardly count.
  ('meta_gradient', 8, 4, 256, 1),
  ('kl_hvp', 8, 4, 256, 1),
)
_OBSERVATION = tf.TensorSpec((17,), tf.float32)
_ACTION = tensor_spec.BoundedTensorSpec((6,), tf.float32, -1, 1)


def create_agent(width: int, num_steps: int) -> maml_tf.MamlAgent:
  """Creates an agent whose functions take all tasks at once."""
  return maml_tf.MamlAgent(
    ts.time_step_spec(_OBSERVATION),
    _ACTION,
    actor_networks.create_actor_network(_OBSERVATION, _ACTION, (width, width)),
    inner_loop=inner_loop_lib.InnerLoop(num_steps=num_steps),
    task_chunk_size='all',
    jit_compile=True,
  )


def random_frames(
  agent: maml_tf.MamlAgent, num_tasks: int, num_frames: int
) -> trajectory.Trajectory:
  """Returns one episode for each task, leaves [B, T, ...]."""
  generator = np.random.default_rng(0)
  shape = (num_tasks, num_frames)

  def positive(spec):
    numbers = np.abs(generator.normal(size=(*shape, *spec.shape))) + 0.5
    return tf.constant(numbers, spec.dtype)

  steps = tf.ones(shape, tf.int32)
  return trajectory.Trajectory(
    steps - tf.one_hot([0] * num_tasks, num_frames, dtype=tf.int32),
    *tf.nest.map_structure(positive, (_OBSERVATION, _ACTION)),
    tf.nest.map_structure(positive, agent.collect_policy.info_spec),
    steps,
    tf.ones(shape),
    tf.ones(shape),
  )


def measure(
  name: str, num_tasks: int, num_frames: int, width: int, num_steps: int
) -> None:
  """Compiles a function, and prints its row; XLA writes to its dump folder."""
  agent = create_agent(width, num_steps)
  frames = random_frames(agent, num_tasks, num_frames)
  stage = agent.prepare(frames)
  num_stages = 1 if name == 'prepare' else num_steps + 1
  if name != 'prepare':
    theta = tf.nest.map_structure(tf.identity, agent.theta)
    batch = meta_batch.PreparedBatch(
      (stage,) * num_steps, stage, tf.zeros([num_tasks])
    )
    second = theta if name == 'kl_hvp' else tf.zeros([num_steps])
    getattr(agent.functions.means, name)((theta, second), batch)
  num_bytes = max(
    sum(map(int, re.findall(r'size (\d+), preallocated-temp', text)))
    for text in _texts(os.environ['XLA_FLAGS'].partition('=')[2])
  )
  per_frame = task_memory.numbers_per_frame(agent.functions.task, _OBSERVATION)
  parameters = sum(v.shape.num_elements() for v in agent.meta_parameters)
  of_stages = 4 * num_tasks * num_stages
  print(
    f'{name:<14}{num_tasks:>5}{num_frames:>7}{width:>6}{num_steps:>6}'
    f'{num_bytes / 2**20:>9.2f} MiB'
    f'{num_bytes / (of_stages * num_frames * per_frame):>9.2f}'
    f'{num_bytes / (of_stages * parameters):>9.2f}'
  )


def _texts(folder):
  for path in glob.glob(os.path.join(folder, '*buffer-assignment.txt')):
    with open(path, encoding='utf-8') as file:
      yield file.read()


def main() -> None:
  """Measures one case, or each in a process of its own."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('case', nargs='?', type=int)
  case = parser.parse_args().case
  if case is not None:
    measure(*_CASES[case])
    return
  print('function      tasks frames width steps    at its peak  copies of the')
  print(f'{"":53}frames  parameters')
  for index in range(len(_CASES)):
    with tempfile.TemporaryDirectory() as folder:
      done = subprocess.run(
        [sys.executable, __file__, str(index)],
        env=os.environ | {'XLA_FLAGS': f'--xla_dump_to={folder}'},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
      )
    print(done.stdout, end='', flush=True)


if __name__ == '__main__':
  main()
