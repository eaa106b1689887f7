"""`python -m maml_tf.train` in a process of its own, and its results."""

import csv
import os
import pathlib
import subprocess
import sys

import numpy as np
import tensorflow as tf

import maml_tf

# A run of real physics. An iteration takes a tenth of a second.
SMALL_CHEETAH = (
  '--gin_file=cheetah.gin',
  '--gin_bindings=train_eval.num_tasks = 4',
  '--gin_bindings=train_eval.episodes_per_task = 4',
  '--gin_bindings=train_eval.horizon = 20',
  '--gin_bindings=train_eval.checkpoint_interval = 1',
  '--gin_bindings=create_actor_network.fc_layer_params = (16,)',
  '--gin_bindings=GradientUpdate.num_steps = 2',
)
SMALL_POINT = (
  '--gin_file=point.gin',
  '--gin_bindings=train_eval.num_tasks = 4',
  '--gin_bindings=train_eval.episodes_per_task = 4',
  '--gin_bindings=train_eval.horizon = 10',
  '--gin_bindings=train_eval.checkpoint_interval = 1',
  '--gin_bindings=train_eval.export_saved_model = False',
  '--gin_bindings=create_actor_network.fc_layer_params = (8,)',
  '--gin_bindings=GradientUpdate.num_steps = 2',
)


def start(root_dir, arguments, num_iterations, environment=(), **kwargs):
  """Starts training; returns a `Popen` whose stderr is a text pipe."""
  package = str(pathlib.Path(maml_tf.__file__).parents[1])
  return subprocess.Popen(
    [
      *(sys.executable, '-u', '-m', 'maml_tf.train'),
      *arguments,
      f'--gin_bindings=train_eval.num_iterations = {num_iterations}',
      f'--root_dir={root_dir}',
    ],
    env=os.environ | {'PYTHONPATH': package} | dict(environment),
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
    **kwargs,
  )


def finish(process, timeout=300):
  """Waits for the end; returns the exit code and the lines of stderr."""
  _, err = process.communicate(timeout=timeout)
  return process.returncode, err.splitlines()


def wait_for(process, text):
  """Reads stderr up to a line that contains `text`; returns the lines."""
  lines = []
  for line in process.stderr:
    lines.append(line.rstrip('\n'))
    if text in line:
      return lines
  raise AssertionError(f'{text!r} never came; instead: {lines}')


def rows(root_dir):
  """Returns the rows of metrics.csv without the columns of the clock."""
  with open(f'{root_dir}/metrics.csv', newline='', encoding='utf-8') as file:
    return [
      {name: value for name, value in row.items() if 'second' not in name}
      for row in csv.DictReader(file)
    ]


def variables(root_dir):
  """Returns the last checkpoint's variables by name, without the clock's."""
  path = tf.train.latest_checkpoint(f'{root_dir}/checkpoints')
  reader = tf.train.load_checkpoint(path)
  return {
    name: reader.get_tensor(name)
    for name in reader.get_variable_to_shape_map()
    if 'seconds' not in name and 'OBJECT_GRAPH' not in name
  }


def assert_same(root_dir, other):
  """Compares rows and variables bit for bit."""
  assert rows(root_dir) == rows(other)
  one, two = variables(root_dir), variables(other)
  assert one.keys() == two.keys()
  for name, value in one.items():
    np.testing.assert_array_equal(value, two[name], err_msg=name)
