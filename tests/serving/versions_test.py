"""Numbered versions appear whole, under numbers of their own."""

import concurrent.futures
import os
import pathlib
import threading

import pytest

from maml_tf.serving import versions


def _write(path):
  os.mkdir(path)
  pathlib.Path(path, 'saved_model.pb').write_text('model')


def _names(folder):
  return sorted(path.name for path in folder.iterdir())


def test_the_next_version_follows_the_largest(tmp_path):
  folder = tmp_path / 'models' / 'point'
  assert versions.add(str(folder), versions.NEXT, _write) == str(folder / '1')
  assert versions.add(str(folder), 9, _write) == str(folder / '9')
  # TensorFlow Serving reads this as 11, and the last two not at all.
  for name in ('0011', '12.old', 'notes'):
    (folder / name).mkdir()
  assert versions.add(str(folder), versions.NEXT, _write) == str(folder / '12')
  assert _names(folder) == ['0011', '1', '12', '12.old', '9', 'notes']


def test_a_watching_server_never_sees_a_part(tmp_path):
  seen = []

  def write(path):
    seen.append(_names(tmp_path))
    _write(path)
    seen.append(_names(tmp_path))

  versions.add(str(tmp_path), 1, write)
  for (name,) in seen:
    assert not name.isdecimal()
  assert _names(tmp_path) == ['1']


def test_what_fails_leaves_nothing(tmp_path):
  def write(path):
    os.mkdir(path)
    raise OSError('no space')

  with pytest.raises(OSError, match='no space'):
    versions.add(str(tmp_path), versions.NEXT, write)
  assert not _names(tmp_path)


def test_processes_that_add_at_once_get_numbers_of_their_own(tmp_path):
  barrier = threading.Barrier(8)

  def write(path):
    _write(path)
    barrier.wait()

  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    paths = list(
      pool.map(
        lambda _: versions.add(str(tmp_path), versions.NEXT, write), range(8)
      )
    )
  assert _names(tmp_path) == [str(number) for number in range(1, 9)]
  assert len(set(paths)) == 8


def test_a_version_is_never_replaced(tmp_path):
  folder = str(tmp_path)
  versions.add(folder, 3, _write)
  with pytest.raises(ValueError, match=r'3 exists: .* next, which is 4'):
    versions.add(folder, 3, _write)
  with pytest.raises(ValueError, match=r'3 exists: .* next, which is 4'):
    versions.check_folder(folder, 3)
  assert _names(tmp_path) == ['3']


def test_folders_that_cannot_hold_versions(tmp_path):
  versions.add(str(tmp_path / 'point'), 1, _write)
  model = str(tmp_path / 'point' / '1')
  with pytest.raises(ValueError, match='is a SavedModel, not a folder of'):
    versions.check_folder(model, versions.NEXT)
  with pytest.raises(ValueError, match='is not a folder: give another --out'):
    versions.check_folder(model + '/saved_model.pb/x', versions.NEXT, '--out')
  versions.check_folder(str(tmp_path / 'new' / 'one'), versions.NEXT)
  assert _names(tmp_path) == ['point']


def test_versions_are_next_or_numbers():
  assert versions.parse('next') == versions.NEXT
  assert versions.parse('12') == 12
  for text in ('0', '-1', '1.5', 'latest', '', str(2**63), '9' * 5000):
    with pytest.raises(ValueError, match='--model_version is .*: give next'):
      versions.parse(text, '--model_version')
