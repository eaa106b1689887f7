"""What stands in a run's folder is checked before anything is trained."""

import os
import pathlib

import pytest

from maml_tf.core import errors
from maml_tf.run import run_folder

_COLUMNS = {
  'metrics.csv': ('iteration', 'a'),
  'evaluations.csv': ('iteration', 'step', 'mean'),
}


def _content(folder):
  return {
    path: path.read_bytes() for path in folder.rglob('*') if path.is_file()
  }


def _write(path, text='mine'):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text, encoding='utf-8')


@pytest.mark.parametrize(
  ('name', 'reason'),
  [
    ('evaluations.csv', 'is not of a run'),
    ('metrics.csv', 'but no checkpoint: bring its checkpoints back'),
    ('checkpoints/checkpoint', 'is not of a run'),
    ('saved_model', 'is not a SavedModel'),
    ('saved_model/mine', 'is not a SavedModel'),
    ('saved_model/saved_model.pb', 'is not of a run'),
    ('checkpoints', 'is not a folder, where the run writes one'),
    ('config.gin/mine', 'is a folder, where the run writes a file'),
    ('metrics.csv/mine', 'is a folder, where the run writes a file'),
  ],
)
def test_files_of_someone_else_are_found_and_kept(name, reason, tmp_path):
  _write(tmp_path / name)
  before = _content(tmp_path)
  with pytest.raises(errors.UsageError, match=reason) as error:
    with run_folder.hold(str(tmp_path), exports=True):
      raise AssertionError('it was not found')
  assert '\n' not in str(error.value)
  assert _content(tmp_path) == before


@pytest.mark.parametrize('name', ['saved_model/mine', 'notes.txt', 'oracle/x'])
def test_files_that_the_run_does_not_write_do_not_matter(name, tmp_path):
  _write(tmp_path / name)
  before = _content(tmp_path)
  with run_folder.hold(str(tmp_path), exports=False):
    pass
  assert _content(tmp_path) == before


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
  (tmp_path / 'checkpoints').mkdir()
  access = os.access
  monkeypatch.setattr(
    os,
    'access',
    lambda path, mode: 'checkpoints' not in str(path) and access(path, mode),
  )
  with pytest.raises(errors.UsageError, match='checkpoints cannot be written'):
    with run_folder.hold(str(tmp_path), exports=True):
      pass


def test_left_overs_of_killed_processes_are_removed(tmp_path):
  for name in (
    'checkpoints/ckpt-1.index',
    'metrics.part.csv',
    'config.part.gin',
    'checkpoints/.writing/ckpt-3.index',
    'checkpoints/checkpoint.part',
    '.saved_model-abcdefgh/new/saved_model.pb',
  ):
    _write(tmp_path / name)
  (tmp_path / '.saved_model-abcdefgh/lock').touch()
  with run_folder.hold(str(tmp_path), exports=True):
    pass
  left = sorted(path.name for path in tmp_path.rglob('*'))
  assert left == ['checkpoints', 'ckpt-1.index']


def test_files_of_such_names_stay_where_no_run_has_begun(tmp_path):
  _write(tmp_path / 'config.part.gin')
  with run_folder.hold(str(tmp_path), exports=True):
    pass
  assert (tmp_path / 'config.part.gin').exists()


def test_the_old_model_returns_if_a_process_was_killed_amid_an_export(tmp_path):
  _write(tmp_path / '.saved_model-abcdefgh/old/saved_model.pb')
  _write(tmp_path / '.saved_model-abcdefgh/lock')
  _write(tmp_path / 'checkpoints' / 'ckpt-1.index')
  with run_folder.hold(str(tmp_path), exports=True):
    assert (tmp_path / 'saved_model' / 'saved_model.pb').exists()


def _check_rows(folder, done, metrics, evaluations=None, config=''):
  for name, text in (
    ('metrics.csv', metrics),
    ('evaluations.csv', evaluations),
    ('config.gin', config),
  ):
    if text is not None:
      _write(pathlib.Path(folder, name), text)
  lines = run_folder.check_rows(str(folder), done, _COLUMNS)
  return [line.removeprefix(f'{folder}/') for line in lines]


def test_rows_that_are_lost_are_told(tmp_path):
  every = 'train_eval.evaluation_interval = 2'
  for done, metrics, evaluations, config, lines in (
    (0, None, None, every, []),
    (1, 'iteration,a\n1,2\n', None, every, []),
    (2, 'iteration,a\n1,2\n2,3\n', 'iteration,step,mean\n2,0,1\n', every, []),
    (2, None, None, '', ['metrics.csv is missing: it begins anew']),
    (2, '', None, '', ['metrics.csv has no rows: it begins anew']),
    (
      2,
      'iteration,a\n1,2\n2,3\n',
      None,
      every,
      ['evaluations.csv is missing: it begins anew'],
    ),
    (
      3,
      'iteration,b\n1,2\n',
      None,
      '',
      [
        'metrics.csv has no a: added, NaN so far',
        'metrics.csv has b: not written any more, NaN from now',
        'metrics.csv has no rows of iterations 2 to 3',
      ],
    ),
  ):
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    folder.mkdir()
    assert _check_rows(folder, done, metrics, evaluations, config) == lines
