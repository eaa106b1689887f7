"""Foreign files are read without unpickling anything."""

import io
import os
import pathlib
import pickle
import random
import shutil
import struct
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from maml_tf import serving
from maml_tf.run import loggers
from maml_tf.run import trained_run
from tests import point_agent

# The names that pickles have looked up since the test asked for `unpickled`.
# Python reports every look-up to an audit hook. Without a look-up a pickle
# cannot run anything.
_looked_up = []


def _listen(event, arguments):
  if event == 'pickle.find_class':
    _looked_up.append(arguments)


sys.addaudithook(_listen)


@pytest.fixture(name='unpickled')
def clear_unpickled():
  _looked_up.clear()
  return _looked_up


class _Bomb:
  """Creates a directory when it is unpickled."""

  def __init__(self, path):
    self._path = str(path)

  def __reduce__(self):
    return os.mkdir, (self._path,)


@pytest.fixture(name='run', scope='module')
def copy_run(point_run, tmp_path_factory):
  folder = tmp_path_factory.mktemp('run') / 'run'
  return shutil.copytree(point_run.root_dir, folder)


@pytest.fixture(name='agent', scope='module')
def create_agent():
  return point_agent.create_agent()


def test_the_check_detects_unpickling(tmp_path, unpickled):
  pickle.loads(pickle.dumps(_Bomb(tmp_path / 'heard')))
  assert unpickled and (tmp_path / 'heard').is_dir()


def test_a_run_is_loaded_and_resumed_without_unpickling(run, unpickled):
  assert trained_run.load(str(run)).iteration == 1
  before = (run / loggers.METRICS_FILE).read_text()
  loggers.CsvLogger(str(run), first_iteration=2).close()
  assert (run / loggers.METRICS_FILE).read_text() == before
  assert not unpickled


def test_a_saved_model_is_loaded_without_unpickling(run, unpickled):
  model = tf.saved_model.load(str(run / 'saved_model'))
  state = model.signatures['initial_state'](batch_size=tf.constant(1))
  assert state['state_steps'].numpy() == [0]
  assert not unpickled


def test_parameters_are_loaded_without_unpickling(agent, tmp_path, unpickled):
  np.savez(tmp_path / 'state.npz', *agent.policy.get_initial_state(1))
  assert serving.load_parameters(agent, str(tmp_path / 'state.npz'))
  assert not unpickled


def test_a_pickle_in_metrics_csv_is_text(tmp_path, unpickled):
  bomb = pickle.dumps(_Bomb(tmp_path / 'exploded'), protocol=0).decode()
  path = tmp_path / loggers.METRICS_FILE
  path.write_text(f'iteration,loss\n1,"{bomb}"\n2,0.5\n')
  loggers.CsvLogger(str(tmp_path), first_iteration=2).close()
  kept = path.with_name(f'{path.name}.1')
  assert kept.read_text() == f'iteration,loss\n1,"{bomb}"\n2,0.5\n'
  assert not unpickled
  assert not (tmp_path / 'exploded').exists()


@pytest.mark.parametrize('kind', ['pickle', 'npy', 'npz', 'csv'])
def test_parameters_that_are_pickles_are_refused(
  kind, agent, tmp_path, unpickled
):
  bomb, path = _Bomb(tmp_path / 'exploded'), tmp_path / f'state.{kind}'
  objects = np.array([bomb], dtype=object)
  if kind == 'npz':
    np.savez(path, objects)
  elif kind == 'npy':
    np.save(path, objects)
  elif kind == 'csv':
    path.write_text(pickle.dumps(bomb, protocol=0).decode())
  else:
    path.write_bytes(pickle.dumps(bomb))
  with pytest.raises(ValueError, match=r'is not an .npz file: write') as raised:
    serving.load_parameters(agent, str(path))
  assert '\n' not in str(raised.value)
  assert not unpickled
  assert not (tmp_path / 'exploded').exists()


def _npz(header):
  """Writes an archive whose array has the given header."""
  text = header.encode() + b'\n'
  file = io.BytesIO()
  with zipfile.ZipFile(file, 'w') as archive:
    archive.writestr(
      'arr_0.npy',
      b'\x93NUMPY\x01\x00' + struct.pack('<H', len(text)) + text + bytes(64),
    )
  return file.getvalue()


@pytest.mark.parametrize(
  'header',
  [
    # Terabytes.
    "{'descr': '<f4', 'fortran_order': False, 'shape': (10**12,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
    '(' * 9000,
    '__import__("os").mkdir("exploded")',
  ],
)
def test_headers_are_not_trusted(header, agent, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  pathlib.Path('state.npz').write_bytes(_npz(header))
  with pytest.raises(ValueError, match='not an .npz file'):
    serving.load_parameters(agent, 'state.npz')
  assert not pathlib.Path('exploded').exists()


def test_damaged_parameters_end_in_one_line(agent, tmp_path):
  path = tmp_path / 'state.npz'
  np.savez_compressed(path, *agent.policy.get_initial_state(1))
  whole, rng = path.read_bytes(), random.Random(0)
  for _ in range(300):
    damaged = bytearray(whole)
    damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
    path.write_bytes(damaged[: rng.choice([len(whole), rng.randrange(4000)])])
    try:
      serving.load_parameters(agent, str(path))
    except (ValueError, OSError) as error:
      assert '\n' not in str(error)
