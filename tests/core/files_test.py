"""Files and folders that are replaced are the old or the new ones, whole."""

import pathlib

import pytest

from maml_tf.core import files


@pytest.mark.parametrize('name', ['a.csv', 'checkpoint', 'two.dots.gif'])
def test_the_new_file_appears_when_it_is_whole(name, tmp_path):
  path = tmp_path / name
  path.write_text('old', encoding='utf-8')
  with files.replace_file(str(path)) as scratch:
    # Writers of videos choose a format by the extension.
    if path.suffix:
      assert pathlib.Path(scratch).suffix == path.suffix
    pathlib.Path(scratch).write_text('new', encoding='utf-8')
    assert path.read_text(encoding='utf-8') == 'old'
  assert path.read_text(encoding='utf-8') == 'new'
  assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('error', [OSError, ValueError, KeyboardInterrupt])
@pytest.mark.parametrize('writes', [True, False])
def test_an_error_leaves_the_old_file_and_nothing_else(error, writes, tmp_path):
  path = tmp_path / 'a.csv'
  path.write_text('old', encoding='utf-8')
  with pytest.raises(error):
    with files.replace_file(str(path)) as scratch:
      if writes:
        pathlib.Path(scratch).write_text('ne', encoding='utf-8')
      raise error
  assert path.read_text(encoding='utf-8') == 'old'
  assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_put_in_place(tmp_path):
  path = tmp_path / 'a.csv'
  path.mkdir()
  with pytest.raises(OSError):
    with files.replace_file(str(path)) as scratch:
      pathlib.Path(scratch).write_text('new', encoding='utf-8')
  assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('is_there', [True, False])
def test_a_directory_is_replaced_whole(is_there, tmp_path):
  path = tmp_path / 'parent' / 'model'
  if is_there:
    path.mkdir(parents=True)
    (path / 'old').write_text('old', encoding='utf-8')
  with files.replace_directory(str(path)) as scratch:
    pathlib.Path(scratch).mkdir()
    pathlib.Path(scratch, 'new').write_text('new', encoding='utf-8')
    assert path.exists() == is_there
  assert [p.name for p in path.iterdir()] == ['new']
  assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize('writes', [True, False])
def test_an_error_leaves_the_old_directory(writes, tmp_path):
  path = tmp_path / 'model'
  path.mkdir()
  (path / 'old').write_text('old', encoding='utf-8')
  # Without a new directory, putting it in place is the error.
  with pytest.raises(OSError):
    with files.replace_directory(str(path)) as scratch:
      if writes:
        pathlib.Path(scratch).mkdir()
        raise OSError
  assert [p.name for p in path.iterdir()] == ['old']
  assert list(tmp_path.iterdir()) == [path]
