"""Checkpoints survive every kind of damage that a disk can do."""

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import maml_tf
from maml_tf.core import errors
from maml_tf.core import files
from maml_tf.run import checkpoints as run_checkpoints


def _checkpoints(root_dir, value=0.0):
  """A run's checkpoints and the variable that they hold."""
  variable = tf.Variable(tf.fill([50], value))
  step = tf.Variable(0, dtype=tf.int64)
  saved = run_checkpoints.RunCheckpoints(str(root_dir), x=variable, step=step)
  return saved, variable


def _save(root_dir, iterations):
  saved, variable = _checkpoints(root_dir)
  for iteration in iterations:
    variable.assign(tf.fill([50], float(iteration)))
    saved.save(iteration)
  return saved


def _restored(root_dir):
  """The value that a new process would restore; None if there is none."""
  saved, variable = _checkpoints(root_dir, -1.0)
  if not saved.restore():
    assert np.all(variable.numpy() == -1.0)
    return None
  (value,) = set(variable.numpy().tolist())
  assert saved.last_iteration == value
  return value


def _files(root_dir, iteration):
  folder = root_dir / 'checkpoints'
  return (
    folder / f'ckpt-{iteration}.index',
    folder / f'ckpt-{iteration}.data-00000-of-00001',
  )


def _content(root_dir):
  return {p: p.read_bytes() for p in root_dir.rglob('*') if p.is_file()}


def test_the_last_three_are_kept(tmp_path):
  assert _restored(tmp_path) is None
  _save(tmp_path, [0, 10, 20, 30])
  names = sorted(p.name for p in (tmp_path / 'checkpoints').iterdir())
  assert names == ['checkpoint'] + [
    f'ckpt-{i}.{part}'
    for i in (10, 20, 30)
    for part in ('data-00000-of-00001', 'index')
  ]
  assert _restored(tmp_path) == 30
  # TensorFlow's own tools find it, also when the folder has moved.
  moved = tmp_path.parent / 'moved'
  shutil.copytree(tmp_path, moved)
  latest = tf.train.latest_checkpoint(str(moved / 'checkpoints'))
  assert latest == str(moved / 'checkpoints' / 'ckpt-30')


def _truncate(path):
  path.write_bytes(path.read_bytes()[:-20])


def _empty(path):
  path.write_bytes(b'')


def _flip_a_bit(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 4
  path.write_bytes(content)


DAMAGES = (_truncate, _empty, _flip_a_bit)


@pytest.mark.parametrize('damage', DAMAGES)
@pytest.mark.parametrize('part', [0, 1])
def test_the_newest_intact_one_is_used(damage, part, tmp_path, capfd):
  _save(tmp_path, [10, 20, 30])
  damage(_files(tmp_path, 30)[part])
  assert _restored(tmp_path) == 20
  said = capfd.readouterr().err.splitlines()
  assert len(said) == 1
  folder = tmp_path / 'checkpoints'
  assert said[0].startswith(f'{folder / "ckpt-30"} is damaged (')
  assert said[0].endswith(f'): {folder / "ckpt-20"} is used instead')


def test_restore_does_not_read_the_found_checkpoint_again(
  tmp_path, capfd, monkeypatch
):
  _save(tmp_path, [10, 20, 30])
  _truncate(_files(tmp_path, 30)[1])
  read, load = [], tf.train.load_checkpoint

  def load_checkpoint(path):
    read.append(os.path.basename(path))
    return load(path)

  monkeypatch.setattr(tf.train, 'load_checkpoint', load_checkpoint)
  saved, variable = _checkpoints(tmp_path)
  assert saved.find() == str(tmp_path / 'checkpoints' / 'ckpt-20')
  # `find` only reads: the config may turn out to be that of another run.
  assert capfd.readouterr().err == ''
  assert variable.numpy()[0] == 0.0
  assert saved.restore()
  assert 'ckpt-20 is used instead' in capfd.readouterr().err
  assert variable.numpy()[0] == 20.0
  assert read == ['ckpt-30', 'ckpt-20']


def test_files_that_are_missing(tmp_path, capfd):
  _save(tmp_path, [10, 20, 30])
  index, data = _files(tmp_path, 30)
  data.unlink()
  assert _restored(tmp_path) == 20
  assert 'ckpt-30 is damaged' in capfd.readouterr().err
  # Without an index there is no checkpoint. A process that was killed while it
  # wrote one leaves such files.
  _files(tmp_path, 20)[0].unlink()
  assert _restored(tmp_path) == 10
  # The file that names the last one is not needed.
  (tmp_path / 'checkpoints' / 'checkpoint').unlink()
  index.unlink()
  assert _restored(tmp_path) == 10


def test_a_lost_index_is_reported(tmp_path, capfd):
  _save(tmp_path, [10, 20])
  _files(tmp_path, 20)[0].unlink()
  assert _restored(tmp_path) == 10
  folder = tmp_path / 'checkpoints'
  assert capfd.readouterr().err == (
    f'{folder / "ckpt-20"} is damaged (its index is missing):'
    f' {folder / "ckpt-10"} is used instead\n'
  )


def test_a_damaged_one_is_written_anew(tmp_path):
  _save(tmp_path, [10, 20, 30])
  _empty(_files(tmp_path, 30)[1])
  saved, variable = _checkpoints(tmp_path)
  saved.restore()
  variable.assign(tf.fill([50], 30.0))
  saved.save(30)
  assert _restored(tmp_path) == 30


def test_if_none_is_intact_nothing_is_changed(tmp_path):
  _save(tmp_path, [10, 20])
  for iteration, damage in ((10, _truncate), (20, _flip_a_bit)):
    damage(_files(tmp_path, iteration)[1])
  before = _content(tmp_path)
  with pytest.raises(errors.UsageError) as error:
    _restored(tmp_path)
  for part in (
    'ckpt-20 is damaged',
    'ckpt-10 is damaged',
    'nothing was changed',
  ):
    assert part in str(error.value)
  assert '\n' not in str(error.value)
  assert _content(tmp_path) == before


def test_no_bit_can_flip_unnoticed(tmp_path):
  """Every byte of the index, and every eleventh of the data."""
  _save(tmp_path, [1])
  for path, stride in zip(_files(tmp_path, 1), (1, 11)):
    whole = path.read_bytes()
    for position in range(0, len(whole), stride):
      content = bytearray(whole)
      content[position] ^= 1 << position % 8
      path.write_bytes(content)
      try:
        value = _restored(tmp_path)
      except errors.UsageError:
        continue
      # Bytes without a meaning, such as the padding of the footer.
      assert value == 1.0, f'{path.name}, byte {position}'
    path.write_bytes(whole)


def test_a_checkpoint_of_another_config_is_refused(tmp_path):
  _save(tmp_path, [1])
  other = run_checkpoints.RunCheckpoints(
    str(tmp_path), x=tf.Variable(tf.zeros([50])), y=tf.Variable(0.0)
  )
  with pytest.raises(errors.UsageError, match='ckpt-1 holds other variables'):
    other.restore()


_WRITER = """
import resource, signal, sys
import maml_tf
from tests.run import checkpoints_test as this
limit = int(sys.argv[2])
if limit:
  resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
this.fill(sys.argv[1])
"""


def fill(root_dir):
  """Saves ever larger checkpoints until one does not fit."""
  for iteration in range(1, 9):
    variable = tf.Variable(tf.fill([4**iteration * 16], float(iteration)))
    saved = run_checkpoints.RunCheckpoints(root_dir, x=variable)
    try:
      saved.save(iteration)
    except errors.RunError as error:
      print(iteration, error)
      return
  print('never full')


@pytest.fixture(name='full_disk', params=['tmpfs', 'file size limit'])
def make_full_disk(request, tmp_path):
  """A folder that holds half a megabyte, or files of half a megabyte."""
  if request.param == 'file size limit':
    yield tmp_path, 2**19
    return
  disk = tmp_path / 'disk'
  disk.mkdir()
  mount = ['mount', '-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', str(disk)]
  if (
    shutil.which('mount') and not subprocess.run(mount, check=False).returncode
  ):
    yield disk, 0
    subprocess.run(['umount', str(disk)], check=True)
    return
  # If nothing can be mounted, limit the size of files instead.
  yield tmp_path, 2**18


def test_a_full_disk_does_not_damage_older_checkpoints(full_disk):
  folder, limit = full_disk
  root = str(pathlib.Path(maml_tf.__file__).parents[1])
  process = subprocess.run(
    [sys.executable, '-c', _WRITER, str(folder), str(limit)],
    env=os.environ | {'PYTHONPATH': root},
    capture_output=True,
    text=True,
    check=False,
  )
  assert process.returncode == 0, process.stderr
  (line,) = process.stdout.splitlines()
  iteration, _, message = line.partition(' ')
  assert message.startswith(
    f'the checkpoint of iteration {iteration} in {folder}/checkpoints cannot be'
    ' written ('
  )
  assert message.endswith('goes on from the last checkpoint')
  last = int(iteration) - 1
  assert last > 0
  assert run_checkpoints.newest_intact(str(folder / 'checkpoints')).endswith(
    f'ckpt-{last}'
  )
  assert not (folder / 'checkpoints' / '.writing').exists()


def test_a_checkpoint_that_a_trainer_removes_is_not_damaged(
  tmp_path, monkeypatch, capfd
):
  saved = _save(tmp_path, [10, 20, 30])
  read, load = [], tf.train.load_checkpoint

  def load_checkpoint(path):
    read.append(os.path.basename(path))
    if len(read) == 1:
      # The trainer is three checkpoints ahead before this one has been read.
      for iteration in (40, 50, 60):
        saved.save(iteration)
    return load(path)

  monkeypatch.setattr(tf.train, 'load_checkpoint', load_checkpoint)
  folder = str(tmp_path / 'checkpoints')
  assert run_checkpoints.newest_intact(folder) == f'{folder}/ckpt-60'
  assert read == ['ckpt-30', 'ckpt-60']
  assert capfd.readouterr().err == ''


def test_a_trainer_that_never_rests_does_not_keep_a_reader_forever(
  tmp_path, monkeypatch
):
  saved = _save(tmp_path, [1, 2, 3])
  iterations = iter(range(4, 1000))

  def load_checkpoint(path):
    for _ in range(3):
      saved.save(next(iterations))
    raise tf.errors.NotFoundError(None, None, path)

  monkeypatch.setattr(tf.train, 'load_checkpoint', load_checkpoint)
  with pytest.raises(errors.UsageError, match='no checkpoint is intact'):
    run_checkpoints.newest_intact(str(tmp_path / 'checkpoints'))


def test_checkpoints_record_the_version(tmp_path):
  _save(tmp_path, [1])
  path = str(tmp_path / 'checkpoints' / 'ckpt-1')
  assert run_checkpoints.recorded_version(path) == maml_tf.__version__
  tf.train.Checkpoint(x=tf.Variable(1.0)).write(str(tmp_path / 'old'))
  assert run_checkpoints.recorded_version(str(tmp_path / 'old')) is None
  assert run_checkpoints.recorded_version(str(tmp_path / 'none')) is None


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(
  tmp_path, monkeypatch
):
  calls, sync, replace = [], files.sync, os.replace

  def name(path):
    return str(pathlib.Path(path).relative_to(tmp_path / 'checkpoints'))

  monkeypatch.setattr(
    files, 'sync', lambda path: calls.append(('sync', name(path))) or sync(path)
  )
  monkeypatch.setattr(
    os,
    'replace',
    lambda old, new: calls.append(('replace', name(new))) or replace(old, new),
  )
  _save(tmp_path, [1])
  data, index = 'ckpt-1.data-00000-of-00001', 'ckpt-1.index'
  assert calls == [
    ('sync', f'.writing/{data}'),
    ('sync', f'.writing/{index}'),
    ('replace', data),
    ('sync', '.'),
    ('replace', index),
    ('sync', '.'),
    ('sync', 'checkpoint.part'),
    ('replace', 'checkpoint'),
    ('sync', '.'),
  ]


def test_the_learning_rate_is_a_setting(tmp_path):
  for rate in (0.5, 0.25):
    optimizer = tf.keras.optimizers.Adam(rate)
    optimizer.build([tf.Variable(1.0)])
    saved = run_checkpoints.RunCheckpoints(str(tmp_path), optimizer=optimizer)
    assert saved.restore() == (rate == 0.25)
    assert optimizer.learning_rate.numpy() == rate
    optimizer.iterations.assign_add(1)
    saved.save(1)
  assert optimizer.iterations.numpy() == 2


def test_the_data_that_a_killed_process_left_is_removed(tmp_path):
  saved = _save(tmp_path, [1, 2, 3])
  orphan = tmp_path / 'checkpoints' / 'ckpt-0.data-00000-of-00001'
  orphan.touch()
  # It might belong to an index that is lost.
  newer = tmp_path / 'checkpoints' / 'ckpt-9.data-00000-of-00001'
  newer.touch()
  saved.save(4)
  assert not orphan.exists()
  assert newer.exists()
