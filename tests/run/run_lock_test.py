"""One process at a time trains in a folder."""

import errno
import fcntl
import os
import socket
import subprocess
import sys
import threading

import pytest

from maml_tf.core import errors
from maml_tf.run import run_lock

_HOLDER = """
import sys
from maml_tf.run import run_lock
with run_lock.hold(sys.argv[1]):
  print('held', flush=True)
  sys.stdin.read()
"""
_LOCK = """
import fcntl, sys
fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)
"""


def _content(folder):
  return {
    path.name: (path.read_bytes(), path.stat().st_mtime_ns)
    for path in folder.iterdir()
  }


def test_another_process_is_refused_while_the_first_lives(tmp_path):
  process = subprocess.Popen(
    [sys.executable, '-c', _HOLDER, str(tmp_path / 'run')],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == 'held\n'
  before = _content(tmp_path / 'run')
  (tmp_path / 'link').symlink_to(tmp_path / 'run')
  for name in ('run', 'link'):
    with pytest.raises(errors.UsageError) as error:
      with run_lock.hold(str(tmp_path / name)):
        pass
    line = str(error.value)
    assert line.startswith(
      f'{tmp_path / name} is being trained by process {process.pid} on host'
      f' {socket.gethostname()} since 20'
    )
    assert line.endswith(': wait, stop it, or give another --root_dir')
  assert _content(tmp_path / 'run') == before
  # The lock file of a killed process means nothing.
  process.kill()
  process.communicate()
  assert os.listdir(tmp_path / 'run') == [run_lock.LOCK_FILE]
  with run_lock.hold(str(tmp_path / 'run')):
    text = (tmp_path / 'run' / run_lock.LOCK_FILE).read_text(encoding='utf-8')
    assert text.startswith(f'process {os.getpid()} on')


def test_a_second_run_in_one_process_is_refused(tmp_path):
  root_dir = str(tmp_path / 'run')
  refused = []

  def train():
    with pytest.raises(errors.UsageError, match=f'process {os.getpid()} on'):
      with run_lock.hold(root_dir):
        pass
    refused.append(True)

  with run_lock.hold(root_dir):
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    train()
    # The refused ones have not freed it.
    assert os.listdir(root_dir) == [run_lock.LOCK_FILE]
    lock = os.path.join(root_dir, run_lock.LOCK_FILE)
    process = subprocess.run(
      [sys.executable, '-c', _LOCK, lock],
      capture_output=True,
      text=True,
      check=False,
    )
    assert 'BlockingIOError' in process.stderr
  assert len(refused) == 2
  with run_lock.hold(root_dir):
    pass


def test_an_empty_folder_does_not_stay(tmp_path):
  with run_lock.hold(str(tmp_path / 'a' / 'b')):
    pass
  assert not list(tmp_path.iterdir())
  (tmp_path / 'mine').mkdir()
  with run_lock.hold(str(tmp_path / 'mine')):
    pass
  assert (tmp_path / 'mine').is_dir()
  with run_lock.hold(str(tmp_path / 'a' / 'b')):
    (tmp_path / 'a' / 'b' / 'config.gin').touch()
  assert os.listdir(tmp_path / 'a' / 'b') == ['config.gin']


def test_a_folder_that_cannot_be_made(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(errors.UsageError, match='cannot be written [(]Not a dir'):
    with run_lock.hold(str(tmp_path / 'file' / 'run')):
      pass


def test_file_systems_without_locks_are_told(tmp_path, monkeypatch, capfd):
  def lockf(descriptor, command):
    raise OSError(errno.ENOLCK, 'No locks available')

  monkeypatch.setattr(fcntl, 'lockf', lockf)
  with run_lock.hold(str(tmp_path / 'run')):
    pass
  assert 'file system without locks' in capfd.readouterr().err
