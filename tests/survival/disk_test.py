"""A run whose disk fills up, or whose files reach a size limit."""

import resource
import shutil
import subprocess

import pytest

from maml_tf.run import checkpoints as run_checkpoints
from tests.survival import trained_process

# A checkpoint of these networks takes about 0.8 MB: the third does not fit.
ARGUMENTS = (
  *trained_process.SMALL_POINT,
  '--gin_bindings=create_actor_network.fc_layer_params = (256, 256)',
)


@pytest.fixture(name='root_dir')
def make_full_disk(tmp_path):
  """Yields a folder on a disk of 2 MB."""
  disk = tmp_path / 'disk'
  disk.mkdir()
  mount = ['mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', str(disk)]
  if (
    shutil.which('mount') and not subprocess.run(mount, check=False).returncode
  ):
    yield disk / 'run', None
    subprocess.run(['umount', str(disk)], check=True)
    return
  # If mounting is not permitted, files of metrics and events reach a limit.
  yield (
    disk / 'run',
    lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20)),
  )


def test_a_full_disk_ends_the_run_in_one_line(root_dir):
  folder, limit = root_dir
  process = trained_process.start(folder, ARGUMENTS, 10_000, preexec_fn=limit)
  code, lines = trained_process.finish(process)
  assert code == 1, lines
  assert lines[-1].startswith('train: ')
  assert 'cannot be written (' in lines[-1]
  assert lines[-1].endswith(
    'make room, and the same command goes on from the last checkpoint'
  )
  # The first two say on what and where it runs, the others show progress.
  for line in lines[2:-1]:
    assert line.startswith(('iteration ', 'compiling ...')), line
  last = run_checkpoints.newest_intact(str(folder / 'checkpoints'))
  assert last is not None
