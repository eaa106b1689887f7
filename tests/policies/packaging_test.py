"""Built packages contain the trained policies and the program."""

import configparser
import os
import pathlib
import shutil
import subprocess
import sys

from maml_tf.core import shipped_policies

_ROOT = pathlib.Path(__file__).parents[2]
_COPIED = ('maml_tf', 'gin_configs', 'setup.py', 'MANIFEST.in', 'README.md')


def test_a_wheel_and_a_source_distribution_contain_the_policies(tmp_path):
  for name in _COPIED:
    if (_ROOT / name).is_dir():
      ignored = shutil.ignore_patterns('__pycache__')
      shutil.copytree(_ROOT / name, tmp_path / name, ignore=ignored)
    else:
      shutil.copy(_ROOT / name, tmp_path)
  subprocess.run(
    [sys.executable, 'setup.py', '-q', 'build_py', '--build-lib=built']
    + ['sdist', '--formats=tar', '--keep-temp'],
    cwd=tmp_path,
    check=True,
    capture_output=True,
  )
  (source,) = tmp_path.glob('maml_tf-*/')
  original = _ROOT / 'maml_tf' / 'policies'
  for name in shipped_policies.names():
    files = _files(original / name)
    assert len(files) == 4
    assert _files(tmp_path / 'built' / 'maml_tf' / 'policies' / name) == files
    assert _files(source / 'maml_tf' / 'policies' / name) == files
  parser = configparser.ConfigParser()
  parser.read(tmp_path / 'maml_tf.egg-info' / 'entry_points.txt')
  assert parser['console_scripts']['maml_tf'] == 'maml_tf.__main__:main'


def _files(folder):
  """The bytes of all files in a folder, by path."""
  return {
    os.path.relpath(path, folder): path.read_bytes()
    for path in folder.rglob('*')
    if path.is_file()
  }
