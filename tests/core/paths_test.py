"""Paths are refused before anything is written there."""

import os
import pathlib

import pytest

from maml_tf.core import paths


@pytest.mark.parametrize(
  ('path', 'reason'),
  [
    ('', 'is empty'),
    ('gs://bucket/run', 'is gs://bucket/run: give a folder of this machine'),
    ('S3://bucket', 'a folder of this machine'),
    ('file:///tmp/run', 'a folder of this machine'),
    ('a\0b', 'null character'),
    ('x' * 300, 'is too long'),
    ('/'.join(['x' * 200] * 21), 'is too long'),
    (b'bytes', 'is not a path'),
    (None, 'is not a path'),
  ],
)
def test_paths_of_no_file(path, reason):
  with pytest.raises(ValueError, match=reason) as raised:
    paths.check('--out', path)
  assert str(raised.value).startswith('--out')
  assert '\n' not in str(raised.value)


def test_folders_for_output(tmp_path):
  (tmp_path / 'file').touch()
  (tmp_path / 'a.csv').mkdir()
  for path, reason in (
    (tmp_path / 'file', 'file is not a folder: give another --out'),
    (tmp_path / 'file' / 'deeper', 'file is not a folder: give another --out'),
    (pathlib.Path('/proc/x'), '/proc cannot be written: give another path'),
    (tmp_path, 'a.csv is a folder, where a file is written'),
  ):
    with pytest.raises(ValueError, match=reason):
      paths.check_output_folder('--out', str(path), ['a.csv'])
  paths.check_output_folder('--out', str(tmp_path / 'new' / 'one'), ['a.csv'])
  assert sorted(os.listdir(tmp_path)) == ['a.csv', 'file']


@pytest.mark.skipif(os.getuid() == 0, reason='root may write everywhere')
def test_a_folder_that_is_read_only(tmp_path):
  tmp_path.chmod(0o500)
  with pytest.raises(ValueError, match='cannot be written: give another path'):
    paths.check_output_folder('--out', str(tmp_path / 'new'))


@pytest.mark.parametrize(
  ('path', 'reason'),
  [
    ('rate[0.1]', r"takes '\[0.1\]' for a pattern"),
    ('runs/[ab]/x', 'for a pattern'),
    ('a\\b', 'for a pattern'),
    ('caf\udce9', 'in UTF-8'),
  ],
)
def test_folders_that_tensorflow_would_not_find_again(
  path, reason, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(ValueError, match=reason):
    paths.check_folder('--root_dir', path)
  # Python finds them.
  assert paths.check('--out', path) == path
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  'path',
  ['a', 'a/b/../c', 'a b', 'a*', 'a?', '{a,b}', 'a[', 'a]', 'é', '~', ':'],
)
def test_unusual_names_are_taken(path, tmp_path, monkeypatch):
  # TensorFlow gets the path as it is given, not from the root.
  folder = tmp_path / 'brackets[1]'
  folder.mkdir()
  monkeypatch.chdir(folder)
  assert paths.check_folder('--root_dir', path) == path
  assert paths.check_folder('--root_dir', pathlib.Path('a')) == 'a'


def test_links_that_lead_nowhere(tmp_path):
  loop, dangling = tmp_path / 'loop', tmp_path / 'dangling'
  loop.symlink_to(loop)
  dangling.symlink_to(tmp_path / 'nowhere')
  for link in (loop, dangling):
    for path in (link, link / 'run'):
      with pytest.raises(ValueError, match=f'{link} is a symbolic link to'):
        paths.check('--root_dir', path)
  good = tmp_path / 'good'
  good.symlink_to(tmp_path)
  assert paths.check_folder('--root_dir', good / 'run') == str(good / 'run')


def test_a_file_is_no_folder(tmp_path):
  file = tmp_path / 'file'
  file.touch()
  for path in (file, file / 'run'):
    with pytest.raises(ValueError, match=f'{file} is not a folder: give anoth'):
      paths.check_folder('--root_dir', path)


def test_room_for_longer_names_beside_it(tmp_path):
  path = tmp_path / ('x' * os.pathconf(tmp_path, 'PC_NAME_MAX'))
  assert paths.check_folder('--root_dir', path) == str(path)
  with pytest.raises(ValueError, match='--export_dir is too long'):
    paths.check_folder('--export_dir', path, longer=1)


def test_folders_that_cannot_be_written(tmp_path, monkeypatch):
  paths.check_writable(str(tmp_path / 'new' / 'run'))
  # Root may write anywhere.
  monkeypatch.setattr(os, 'access', lambda path, mode: False)
  with pytest.raises(ValueError, match=f'{tmp_path} cannot be written: give'):
    paths.check_writable(str(tmp_path / 'new' / 'run'))
