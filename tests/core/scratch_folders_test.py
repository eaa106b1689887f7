"""Folders of dead processes are told from those of live ones."""

import os
import signal
import subprocess
import sys

from maml_tf.core import files
from maml_tf.core import scratch_folders
from tests.core import core_alone

# Writes a new directory, and says so before it would put it in place.
_WRITER = f"""
{core_alone.PREAMBLE}
import os
from maml_tf.core import files
with files.replace_directory(sys.argv[1]) as scratch:
  os.mkdir(scratch)
  print('writing', flush=True)
  sys.stdin.read()
"""


def _start(directory):
  process = subprocess.Popen(
    [sys.executable, '-c', _WRITER, str(directory)],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == 'writing\n'
  return process


def test_a_folder_is_removed_at_the_end(tmp_path):
  with scratch_folders.create(str(tmp_path), '.model-') as path:
    assert os.path.basename(path).startswith('.model-')
    # Its own folder is not abandoned.
    assert not list(scratch_folders.abandoned(str(tmp_path), '.model-'))
    # Nor under another name of the place.
    (tmp_path / 'link').symlink_to(tmp_path)
    assert not list(
      scratch_folders.abandoned(str(tmp_path / 'link'), '.model-')
    )
  assert os.listdir(tmp_path) == ['link']


def test_what_a_live_process_writes_stays(tmp_path):
  directory = tmp_path / 'model'
  process = _start(directory)
  with files.replace_directory(str(directory)) as scratch:
    os.mkdir(scratch)
  assert len(list(tmp_path.glob('.model-*'))) == 1
  process.communicate()
  assert process.returncode == 0
  assert [path.name for path in tmp_path.iterdir()] == ['model']


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
  directory = tmp_path / 'model'
  processes = [_start(directory) for _ in range(2)]
  for process, number in zip(processes, (signal.SIGKILL, signal.SIGTERM)):
    process.send_signal(number)
    process.communicate()
  assert len(list(tmp_path.glob('.model-*'))) == 2
  (tmp_path / '.model-of-someone').mkdir()
  os.utime(tmp_path / '.model-of-someone', (0, 0))
  with files.replace_directory(str(directory)) as scratch:
    os.mkdir(scratch)
  names = sorted(path.name for path in tmp_path.iterdir())
  assert names == ['.model-of-someone', 'model']


def test_folders_of_versions_without_locks_are_old_first(tmp_path):
  folder = tmp_path / '.model-12345678'
  folder.mkdir()
  files.recover_directory(str(tmp_path / 'model'))
  assert folder.exists()
  os.utime(folder, (0, 0))
  files.recover_directory(str(tmp_path / 'model'))
  assert not folder.exists()


def test_a_folder_of_someone_else_stays(tmp_path):
  # It has the form of our names.
  folder = tmp_path / '.model-20250101'
  folder.mkdir()
  (folder / 'notes').write_text('mine', encoding='utf-8')
  os.utime(folder, (0, 0))
  assert not list(scratch_folders.abandoned(str(tmp_path), '.model-'))
