"""Tries what one TensorFlow stack wrote on another; run as a program.

  python -m tests.cross_stacks --old=PYTHON --new=PYTHON --plain=PYTHON

`old` and `new` are interpreters with two stacks of maml_tf, `plain` one that
has TensorFlow and neither Keras 2 nor TF-Agents. Runs that one of the two began
resume, evaluate and adapt on the other, and models that it exported act and
adapt there, and with TensorFlow alone. The program prints a table of the
largest differences. It exits with 1 if a command fails or a difference is above
its bound.
"""

import argparse
import contextlib
import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np

_ROOT = pathlib.Path(__file__).parents[1]
_RECORDED = _ROOT / 'tests' / 'run' / 'recorded_run'
_SIZES = (
  'train_eval.num_tasks = 2',
  'train_eval.episodes_per_task = 3',
  'train_eval.horizon = 8',
  'create_actor_network.fc_layer_params = (8,)',
  'GradientUpdate.num_steps = 2',
)
_RECORDED_SIZES = (
  'train_eval.num_tasks = 2',
  'train_eval.episodes_per_task = 2',
  'train_eval.horizon = 5',
  'create_actor_network.fc_layer_params = (4,)',
)
_VALUE_FILES = ('point.gin', 'meta_sgd.gin', 'rllib_maml.gin')
_VALUE_SIZES = (
  'InnerLoop.step_size = @ParameterStepSizes()',
  'create_value_network.fc_layer_params = (4,)',
  'MamlAgent.normalize_observations = True',
)
# Gin files and bindings, by name.
_CONFIGS = {
  'point': (('point.gin',), _SIZES),
  'cheetah': (('cheetah.gin',), _SIZES),
  'cartpole': (('cartpole_mass.gin',), _SIZES),
  'value': (_VALUE_FILES, (*_SIZES, *_VALUE_SIZES)),
}
_RECORDED_CONFIGS = {
  'point': (('point.gin',), _RECORDED_SIZES),
  'learned': (_VALUE_FILES, (*_RECORDED_SIZES, *_VALUE_SIZES)),
}
# Settings that only one stack has; `run/keras_optimizers.py` knows them.
_NEWER = {'tf.keras.optimizers.Adam.adaptive_epsilon'}
_BEGUN, _RESUMED = 3, 5
# A difference is relative to the largest number of its array or column.
# Rounding differs from stack to stack; training amplifies it, and HalfCheetah
# does so within an episode.
_SAME = 1e-5
_TRAINED = 1e-3
_CLOCKS = re.compile('second')


class Rows:
  """The table. A row holds, fails, or differs by more than its bound."""

  def __init__(self):
    self.failed = False
    print('| config | what | by | then by | largest difference | bound | |')
    print('|---|---|---|---|---|---|---|', flush=True)

  @contextlib.contextmanager
  def row(self, *names, bound=_SAME):
    """Yields a list that receives differences."""
    found = []
    try:
      yield found
      difference = max(found)
      holds = difference <= bound
      result = f'{difference:.1e} | {bound:g} | {"yes" if holds else "NO"}'
    except subprocess.CalledProcessError as error:
      holds = False
      *_, last = ['', *error.stderr.strip().split('\n')]
      result = f'{" ".join(error.cmd[1:])}: {last} | | NO'
    except AssertionError as error:
      holds = False
      result = f'{" ".join(str(error).split())} | | NO'
    self.failed |= not holds
    print(f'| {" | ".join(names)} | {result} |', flush=True)


class Stack:
  """An interpreter and what it does."""

  def __init__(self, name, python):
    self.name, self._python = name, python

  def run(self, *command):
    """Runs Python.

    Raises:
      subprocess.CalledProcessError: It fails.
    """
    environment = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'}
    # Whoever needs it sets it.
    environment.pop('TF_USE_LEGACY_KERAS', None)
    subprocess.run(
      [self._python, *map(str, command)],
      check=True,
      capture_output=True,
      text=True,
      cwd=_ROOT,
      env=environment,
    )

  def command(self, name, root_dir, *flags):
    self.run('-m', f'maml_tf.{name}', f'--root_dir={root_dir}', *flags)

  def train(self, root_dir, config, num_iterations):
    files, bindings = config
    bindings = (*bindings, f'train_eval.num_iterations = {num_iterations}')
    self.command(
      'train',
      root_dir,
      *(f'--gin_file={file}' for file in files),
      *(f'--gin_bindings={binding}' for binding in bindings),
    )

  def step(self, name, *arguments):
    """Takes a step of `one_stack.py`; returns what it wrote."""
    self.run('-m', 'tests.one_stack', name, *arguments)
    return _read(arguments[-1])

  def serve(self, model, recorded, out):
    """Lets a client that imports TensorFlow alone act and adapt."""
    client = _ROOT / 'tests' / 'serving' / 'serving_client.py'
    self.run(client, model, recorded, out)
    return _read(out)


def _read(path):
  if str(path).endswith('.json'):
    with open(path, encoding='utf-8') as file:
      return json.load(file)
  with np.load(path) as file:
    return {name: file[name] for name in file.files}


def _columns(path, rows=slice(None)):
  """Returns the columns of a CSV file that hold numbers, without clocks."""
  with open(path, newline='', encoding='utf-8') as file:
    lines = list(csv.DictReader(file))[rows]
  columns = {}
  for name in lines[0]:
    with contextlib.suppress(ValueError):
      columns[name] = np.array([float(line[name] or 'nan') for line in lines])
  return {n: c for n, c in columns.items() if not _CLOCKS.search(n)}


def _difference(expected, found, pattern=''):
  """Returns the largest difference of arrays that have the same names."""
  names = [name for name in expected if re.match(pattern, name)]
  assert names and set(names) <= set(found), (names, list(found))
  largest = 0.0
  for name in names:
    one, other = expected[name], found[name]
    assert one.shape == other.shape, (name, one.shape, other.shape)
    finite = np.isfinite(one)
    np.testing.assert_array_equal(finite, np.isfinite(other), name)
    one, other = one[finite], other[finite]
    scale = np.max(np.abs(one), initial=1e-30)
    largest = max(largest, np.max(np.abs(one - other), initial=0) / scale)
  return float(largest)


def _try_run(rows, name, begins, other, plain, folder):
  """One stack begins a run; both go on with it."""
  config, begun = _CONFIGS[name], folder / 'begun'
  begins.train(begun, config, _BEGUN)
  own, others = (
    shutil.copytree(begun, folder / part) for part in ('own', 'others')
  )
  between = (begins.name, other.name)

  with rows.row(name, 'evaluates: returns', *between) as differences:
    for stack, root_dir in ((begins, own), (other, others)):
      stack.command('evaluate', root_dir, '--num_tasks=4')
    found = [_columns(path / 'evaluation.csv') for path in (own, others)]
    differences.append(_difference(*found))

  with rows.row(name, '`maml_tf.adapt`', *between) as differences:
    found = [
      stack.step('adapt', root_dir, folder / f'adapted_{stack.name}.npz')
      for stack, root_dir in ((begins, own), (other, others))
    ]
    differences.append(_difference(*found))

  _try_model(rows, name, begins, other, plain, own)

  with rows.row(
    name, 'resumes: next iteration', *between, bound=_TRAINED
  ) as differences:
    for stack, root_dir in ((begins, own), (other, others)):
      stack.train(root_dir, config, _RESUMED)
    found = [
      _columns(path / 'metrics.csv', slice(_BEGUN, _BEGUN + 1))
      for path in (own, others)
    ]
    differences.append(_difference(*found, 'return_(step|min|max)'))
  with rows.row(
    name, 'resumes: final parameters', *between, bound=_TRAINED
  ) as differences:
    found = [
      begins.step('tensors', path, folder / f'{path.name}.npz')
      for path in (own, others)
    ]
    assert found[0].keys() == found[1].keys()
    differences.append(_difference(*found, r'agent\|_network'))


def _try_model(rows, name, exports, other, plain, root_dir):
  """One stack exports a model; others act and adapt with it."""
  model, recorded = root_dir / 'exported', root_dir / 'recorded.npz'
  exports.command('export', root_dir, f'--export_dir={model}')
  expected = exports.step('stages', root_dir, recorded, root_dir / 'out.npz')
  for what, use in (
    ('`tf.saved_model.load`', lambda stack, *paths: stack.serve(*paths)),
    (
      '`SavedModelPyTFEagerPolicy`',
      lambda stack, *paths: stack.step('eager', *paths),
    ),
  ):
    with rows.row(
      name, f'a model: {what}', exports.name, other.name
    ) as differences:
      found = use(other, model, recorded, root_dir / 'found.npz')
      differences.append(_difference(expected, found))
  with rows.row(
    name, 'a model: TensorFlow alone', exports.name, plain.name
  ) as differences:
    found = plain.serve(model, recorded, root_dir / 'found.npz')
    differences.append(_difference(expected, found))


def _try_settings(rows, old, new, folder):
  """Configs name the same settings, with the same defaults."""
  with rows.row('all', 'settings that differ', 'old', 'new', bound=0) as found:
    ours, theirs = (
      stack.step('settings', folder / f'settings_{stack.name}.json')
      for stack in (old, new)
    )
    differing = {n for n, _ in ours.items() ^ theirs.items()} - _NEWER
    assert not differing, differing
    found.append(0)


def _try_recorded(rows, stack, folder):
  """Runs that version 0.1.0 recorded go on."""
  for name, config in _RECORDED_CONFIGS.items():
    root_dir = shutil.copytree(_RECORDED / name, folder / name)
    with rows.row(
      f'recorded: {name}', 'resumes: next iteration', 'old, 0.1.0', stack.name
    ) as differences:
      stack.train(root_dir, config, 3)
      expected = _columns(_RECORDED / name / 'iteration_3.csv')
      found = _columns(root_dir / 'metrics.csv', slice(2, 3))
      differences.append(_difference(expected, found, 'return'))


def main():
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  for name in ('old', 'new', 'plain'):
    parser.add_argument(f'--{name}', required=True, help='an interpreter')
  parser.add_argument('--configs', default=','.join(_CONFIGS))
  arguments = parser.parse_args()
  old, new, plain = (
    Stack(name, getattr(arguments, name)) for name in ('old', 'new', 'plain')
  )
  with tempfile.TemporaryDirectory() as scratch:
    folder = pathlib.Path(scratch)
    for stack in (old, new, plain):
      found = stack.step('versions', folder / 'versions.json')
      text = ', '.join(f'{name} {version}' for name, version in found.items())
      print(f'- {stack.name}: {text}')
    print()
    assert not {'tf_keras', 'tf-agents'} & found.keys(), found
    rows = Rows()
    _try_settings(rows, old, new, folder)
    for name in arguments.configs.split(','):
      for begins, other in ((old, new), (new, old)):
        _try_run(
          rows, name, begins, other, plain, folder / f'{name}_{begins.name}'
        )
    _try_recorded(rows, new, folder)
  return int(rows.failed)


if __name__ == '__main__':
  sys.exit(main())
