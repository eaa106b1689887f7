"""Files and folders that are replaced are the old or the new ones, whole."""

import contextlib
import os
import pathlib
import shutil
import signal

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


def _write_directory(path, content):
  path.mkdir()
  (path / 'content').write_text(content, encoding='utf-8')


@pytest.mark.parametrize('can_exchange', [True, False])
def test_a_directory_is_there_at_every_moment(
  can_exchange, tmp_path, monkeypatch
):
  """Every call that changes names is followed by the end of the process."""
  if not can_exchange:
    monkeypatch.setattr(files, '_exchange', lambda one, other: False)
  for moment in range(20):
    path = tmp_path / f'{can_exchange}{moment}' / 'model'
    path.parent.mkdir()
    _write_directory(path, 'old')
    process = os.fork()
    if not process:
      _end_after(monkeypatch, moment)
      with files.replace_directory(str(path)) as scratch:
        _write_directory(pathlib.Path(scratch), 'new')
      os._exit(0)
    _, status = os.waitpid(process, 0)
    if can_exchange:
      assert (path / 'content').read_text(encoding='utf-8') in ('old', 'new')
    files.recover_directory(str(path))
    assert (path / 'content').read_text(encoding='utf-8') in ('old', 'new')
    assert [p.name for p in path.parent.iterdir()] == ['model']
    if not status:
      return
  raise AssertionError('it never ended')


def _end_after(monkeypatch, moment):
  """Lets the process die after some calls of the system."""
  left = [moment]

  def counted(function):
    def call(*args, **kwargs):
      if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
      left[0] -= 1
      return function(*args, **kwargs)

    return call

  for owner, name in (
    (os, 'rename'),
    (os, 'fsync'),
    (files, '_exchange'),
    (shutil, 'rmtree'),
  ):
    monkeypatch.setattr(owner, name, counted(getattr(owner, name)))


@pytest.mark.parametrize('can_exchange', [True, False])
@pytest.mark.parametrize('moment', range(4))
def test_an_interrupt_leaves_the_old_directory_or_the_new(
  moment, can_exchange, tmp_path, monkeypatch
):
  if not can_exchange:
    monkeypatch.setattr(files, '_exchange', lambda one, other: False)
  path = tmp_path / 'model'
  _write_directory(path, 'old')
  rename, left = os.rename, [moment]

  def rename_and_interrupt(*args):
    rename(*args)
    left[0] -= 1
    if not left[0]:
      raise KeyboardInterrupt

  monkeypatch.setattr(os, 'rename', rename_and_interrupt)
  with contextlib.suppress(KeyboardInterrupt):
    with files.replace_directory(str(path)) as scratch:
      _write_directory(pathlib.Path(scratch), 'new')
  assert (path / 'content').read_text(encoding='utf-8') in ('old', 'new')
  assert list(tmp_path.iterdir()) == [path]


def test_what_is_new_is_on_the_disk_before_it_replaces_the_old(
  tmp_path, monkeypatch
):
  calls = []
  sync, replace = files.sync, os.replace
  monkeypatch.setattr(
    files, 'sync', lambda path: calls.append(path) or sync(path)
  )
  monkeypatch.setattr(
    os, 'replace', lambda *args: calls.append('replace') or replace(*args)
  )
  path = str(tmp_path / 'a.csv')
  with files.replace_file(path) as scratch:
    pathlib.Path(scratch).write_text('new', encoding='utf-8')
  assert calls == [files.scratch_file(path), 'replace', str(tmp_path)]
