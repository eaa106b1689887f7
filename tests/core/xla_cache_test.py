"""Compiled programs are kept, and handed out only if they are whole."""

import os
import pathlib
import subprocess
import sys

import pytest

from maml_tf.core import stack
from maml_tf.core import xla_cache
from tests.core import core_alone

_DIRECTORY = '--tf_xla_persistent_cache_directory='


@pytest.fixture(autouse=True)
def _machine(tmp_path, monkeypatch):
  """A home of its own, a TensorFlow that can, and no flags."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  for name in ('TF_XLA_FLAGS', 'XLA_FLAGS', xla_cache.VARIABLE):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setattr(stack, 'tensorflow_version', lambda: '2.21.0')


def _store():
  return pathlib.Path(xla_cache.folder('2.21.0'))


def _own_folder():
  """The folder that TensorFlow is told to use."""
  for flag in os.environ['TF_XLA_FLAGS'].split():
    if flag.startswith(_DIRECTORY):
      return pathlib.Path(flag.removeprefix(_DIRECTORY))
  raise AssertionError(os.environ['TF_XLA_FLAGS'])


def _compile(name, content=b'program'):
  """A run in which TensorFlow saves a program; returns what it was given."""
  with xla_cache.enabled():
    given = {p.name: p.read_bytes() for p in _own_folder().iterdir()}
    (_own_folder() / f'{name}.pb').write_bytes(content)
  return given


def test_the_next_run_gets_the_programs_of_this_one():
  assert _compile('a') == {}
  assert _compile('b') == {'a.pb': b'program'}
  assert set(_compile('c')) == {'a.pb', 'b.pb'}
  # Only programs are left: no run's own folder.
  assert len(list(_store().iterdir())) == 3
  assert 'TF_XLA_FLAGS' not in os.environ


def test_two_runs_at_once_disturb_neither():
  with xla_cache.enabled():
    own = _own_folder()
    _compile('a')
    (own / 'a.pb').write_bytes(b'program')
    (own / 'b.pb').write_bytes(b'another')
  assert _compile('c') == {'a.pb': b'program', 'b.pb': b'another'}


@pytest.mark.parametrize('damaged', [b'', b'prog', b'progrbm'])
def test_a_damaged_program_is_removed(damaged):
  _compile('a')
  (stored,) = _store().iterdir()
  stored.write_bytes(damaged)
  assert _compile('b') == {}
  assert not stored.exists()


def test_a_file_that_is_being_written_is_not_kept():
  with xla_cache.enabled():
    (_own_folder() / 'a.pbhost-1.tmp').write_bytes(b'half')
  assert not list(_store().iterdir())


@pytest.mark.parametrize(
  ('name', 'value'),
  [
    (xla_cache.VARIABLE, '0'),
    ('TF_XLA_FLAGS', f'{_DIRECTORY}/somewhere'),
    ('XDG_CACHE_HOME', '/proc/nowhere'),
  ],
)
def test_nothing_is_kept_if(name, value, monkeypatch):
  monkeypatch.setenv(name, value)
  before = os.environ.get('TF_XLA_FLAGS')
  with xla_cache.enabled():
    assert os.environ.get('TF_XLA_FLAGS') == before


@pytest.mark.parametrize('version', ['2.15.1', '2.22.0', '3.0'])
def test_nothing_is_kept_with_a_tensorflow_that_was_not_tried(
  version, monkeypatch
):
  monkeypatch.setattr(stack, 'tensorflow_version', lambda: version)
  with xla_cache.enabled():
    assert 'TF_XLA_FLAGS' not in os.environ


def test_nothing_is_kept_on_a_full_disk(monkeypatch):
  usage = xla_cache.shutil.disk_usage('/')._replace(free=2**20)
  monkeypatch.setattr(xla_cache.shutil, 'disk_usage', lambda path: usage)
  with xla_cache.enabled():
    assert 'TF_XLA_FLAGS' not in os.environ


def test_programs_of_gpus_are_kept_on_request(monkeypatch):
  with xla_cache.enabled():
    assert 'device_types=CPU' in os.environ['TF_XLA_FLAGS']
  monkeypatch.setenv(xla_cache.VARIABLE, '1')
  monkeypatch.setenv('TF_XLA_FLAGS', '--tf_xla_auto_jit=2')
  with xla_cache.enabled():
    assert os.environ['TF_XLA_FLAGS'].startswith('--tf_xla_auto_jit=2 ')
    assert 'device_types' not in os.environ['TF_XLA_FLAGS']
  assert os.environ['TF_XLA_FLAGS'] == '--tf_xla_auto_jit=2'


def test_the_key_depends_on_what_programs_depend_on(monkeypatch):
  keys = {xla_cache.folder('2.21.0'), xla_cache.folder('2.21.1')}
  monkeypatch.setenv('XLA_FLAGS', '--xla_cpu_enable_fast_math=true')
  keys.add(xla_cache.folder('2.21.0'))
  for processor in ('flags : sse', 'flags : sse avx512f'):
    monkeypatch.setattr(
      pathlib.Path, 'read_text', lambda *_, text=processor, **__: text
    )
    keys.add(xla_cache.folder('2.21.0'))
  assert len(keys) == 5


def test_the_store_stays_small(monkeypatch):
  for name in 'abc':
    _compile(name, b'x' * 100)
  for path in _store().iterdir():
    os.utime(path, (1000, 1000))
  monkeypatch.setattr(xla_cache, 'LARGEST_STORE', 350)
  monkeypatch.setenv('XLA_FLAGS', '--another_key')
  _compile('d', b'x' * 100)
  monkeypatch.setattr(xla_cache, 'LARGEST_STORE', 250)
  _compile('e', b'x' * 100)
  monkeypatch.delenv('XLA_FLAGS')
  assert not list(_store().iterdir())


def test_a_killed_run_leaves_nothing_to_the_next(tmp_path):
  code = f"""
{core_alone.PREAMBLE}
import os
from maml_tf.core import stack, xla_cache
stack.tensorflow_version = lambda: '2.21.0'
with xla_cache.enabled():
  own = os.environ['TF_XLA_FLAGS'].split('directory=')[1].split()[0]
  open(own + '/a.pb', 'w').write('program')
  print('compiled', flush=True)
  sys.stdin.read()
"""
  process = subprocess.Popen(
    [sys.executable, '-c', code],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == 'compiled\n'
  assert len(list(_store().iterdir())) == 1
  process.kill()
  process.communicate()
  assert _compile('b') == {}
  assert [p.name[0] for p in _store().iterdir()] == ['b']
