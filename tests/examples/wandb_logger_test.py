"""The W&B example against the real library, offline, if it is installed."""

import importlib
import json
import struct
import subprocess
import sys

import pytest

from tests.examples import logged_run

pytest.importorskip('wandb')
internal = pytest.importorskip('wandb.proto.wandb_internal_pb2')

_BLOCK = 32768


def _records(path):
  """Yields the records of a file of W&B: a log of LevelDB, after 7 bytes."""
  data, position, parts = path.read_bytes(), 7, []
  while position + 7 <= len(data):
    left = _BLOCK - position % _BLOCK
    if left < 7:
      position += left
      continue
    _, length, kind = struct.unpack_from('<IHB', data, position)
    position += 7
    parts.append(data[position : position + length])
    position += length
    # 1: a whole record; 2, 3, 4: the first, a middle, the last part of one.
    if kind in (1, 4):
      record = internal.Record()
      record.ParseFromString(b''.join(parts))
      parts = []
      yield record


def _logged(root_dir):
  """Returns the config, the rows, and the names of files of all parts."""
  config, rows, files = {}, [], []
  for path in sorted(root_dir.glob('wandb/offline-run-*/*.wandb')):
    for record in _records(path):
      for item in record.run.config.update:
        config[item.key or '.'.join(item.nested_key)] = json.loads(
          item.value_json
        )
      if record.HasField('history'):
        rows.append(
          {
            item.key or '.'.join(item.nested_key): json.loads(item.value_json)
            for item in record.history.item
          }
        )
      files += [file.path for file in record.files.files]
  return config, rows, files


def test_runs_of_the_same_name_are_two(tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(str(logged_run.EXAMPLES))
  wandb_logger = importlib.import_module('wandb_logger')
  ids = []
  monkeypatch.setattr(
    'wandb.init', lambda **arguments: ids.append(arguments['id'])
  )
  for folder in ('a/run', 'b/run', 'a/run'):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    wandb_logger.WandbLogger(str(tmp_path / folder))
  assert ids[0] == ids[2] != ids[1]


def test_wandb_gets_settings_numbers_and_pictures(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('WANDB_MODE', 'offline')
  monkeypatch.setenv('WANDB_SILENT', 'true')
  monkeypatch.syspath_prepend(str(logged_run.EXAMPLES))
  root_dir = tmp_path / 'step_size=0.1,seed=0'
  logged_run.train(root_dir, 'wandb_logger', 2)
  config, rows, _ = _logged(root_dir)
  assert config['InnerLoop.step_size'] == 0.1
  assert config['train_eval.environment_class'].endswith('PointNavigation')
  expected = logged_run.rows(root_dir)
  assert [row['_step'] for row in rows] == [1, 2]
  for row, numbers in zip(rows, expected):
    assert {name: row[name] for name in numbers} == numbers
  assert 'evaluation/mean_step_1' in rows[1]

  # It resumes; the end of a run logs what is drawn.
  logged_run.draw(root_dir)
  logged_run.train(root_dir, 'wandb_logger', 3)
  _, rows, files = _logged(root_dir)
  assert rows[2]['_step'] == 3
  pictures = {'evaluation.png': 'image-file', 'adaptation.gif': 'video-file'}
  for name, kind in pictures.items():
    assert rows[-1][f'{name}._type'] == kind
  assert {name.split('.')[-1] for name in files} >= {'png', 'gif'}

  # So does the command, after the run.
  done = subprocess.run(
    [sys.executable, str(logged_run.EXAMPLES / 'wandb_logger.py')]
    + [f'--root_dir={root_dir}'],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert len(_logged(root_dir)[1]) == len(rows) + 1
