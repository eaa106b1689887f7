"""The loggers of a run: rows, events, the terminal, and users' loggers."""

import csv
import functools
import io
import math
import os
import sys

import pytest
import tensorflow as tf

from maml_tf.core import errors
from maml_tf.run import loggers

# Float64s that a shorter format would change.
AWKWARD = (1 / 3, -1e-300, 1 / 3 * 1e38, 5e-324, 0.1 + 0.2, -0.0, 2.0**53)


def _row(iteration, **more):
  return {
    'iteration': iteration,
    'env_steps': 1000 * iteration,
    'return_step_0': -iteration / 3,
    'return_step_1': iteration / 7,
    **more,
    'collect_seconds': 0.5,
    'update_seconds': 0.25,
    'env_steps_per_second': 1333.3,
  }


def _open(directory, done=0, num_iterations=10, factories=()):
  """The loggers of a run with some completed iterations."""
  return loggers.RunLoggers(str(directory), done + 1, num_iterations, factories)


def _write(directory, iterations, done=0, **more):
  with _open(directory, done) as log:
    for iteration in iterations:
      log.write(iteration, _row(iteration, **more))


def _read(directory):
  with open(directory / 'metrics.csv', newline='', encoding='utf-8') as file:
    return list(csv.DictReader(file))


def _iterations(directory):
  return [int(row['iteration']) for row in _read(directory)]


def _events(directory):
  """The scalars of all event files: {(name, step): value}."""
  scalars = {}
  for path in sorted(directory.glob('events.out.tfevents.*')):
    for event in tf.compat.v1.train.summary_iterator(str(path)):
      for value in event.summary.value:
        scalar = tf.make_ndarray(value.tensor)
        scalars[value.tag, event.step] = float(scalar)
  return scalars


def test_columns_are_the_names_of_the_first_row_in_order(tmp_path):
  _write(tmp_path, [1, 2])
  lines = (tmp_path / 'metrics.csv').read_text(encoding='utf-8').splitlines()
  assert lines[0] == ','.join(_row(1))
  assert lines[1] == (
    '1,1000,-0.3333333333333333,0.14285714285714285,0.5,0.25,1333.3'
  )
  assert len(lines) == 3


def test_floats_read_back_as_they_were(tmp_path):
  names = {f'x{i}': value for i, value in enumerate(AWKWARD)}
  _write(tmp_path, [1], **names)
  (row,) = _read(tmp_path)
  for name, value in names.items():
    assert float(row[name]) == value
    assert math.copysign(1, float(row[name])) == math.copysign(1, value)


def test_numbers_that_are_not_finite_read_back(tmp_path):
  _write(tmp_path, [1], a=math.nan, b=-math.inf)
  (row,) = _read(tmp_path)
  assert math.isnan(float(row['a']))
  assert float(row['b']) == -math.inf


def test_a_row_is_on_disk_as_soon_as_it_is_written(tmp_path):
  log = _open(tmp_path)
  log.write(1, _row(1))
  assert _iterations(tmp_path) == [1]
  log.write(2, _row(2))
  assert _iterations(tmp_path) == [1, 2]
  log.close()


def test_a_resumed_run_appends(tmp_path):
  _write(tmp_path, [1, 2])
  _write(tmp_path, [3, 4], done=2)
  assert _iterations(tmp_path) == [1, 2, 3, 4]
  whole = tmp_path / 'whole'
  whole.mkdir()
  _write(whole, [1, 2, 3, 4])
  assert (tmp_path / 'metrics.csv').read_bytes() == (
    whole / 'metrics.csv'
  ).read_bytes()


def test_resuming_drops_the_rows_after_the_checkpoint(tmp_path):
  _write(tmp_path, [1, 2, 3, 4])
  _write(tmp_path, [], done=2)
  assert _iterations(tmp_path) == [1, 2]
  _write(tmp_path, [3], done=2)
  assert _iterations(tmp_path) == [1, 2, 3]
  assert [row['return_step_0'] for row in _read(tmp_path)] == [
    repr(-i / 3) for i in (1, 2, 3)
  ]


@pytest.mark.parametrize('half', ['3', '3,300', '3,3000,-1.0,0.4,0.5,0.2', ''])
def test_resuming_drops_a_line_that_was_cut_short(tmp_path, half):
  _write(tmp_path, [1, 2])
  with open(tmp_path / 'metrics.csv', 'a', encoding='utf-8') as file:
    file.write(half)
  _write(tmp_path, [3], done=2)
  assert _iterations(tmp_path) == [1, 2, 3]


def test_resuming_drops_a_half_written_row_with_all_its_columns(tmp_path):
  _write(tmp_path, [1, 2, 3])
  path = tmp_path / 'metrics.csv'
  path.write_bytes(path.read_bytes()[:-3])
  _write(tmp_path, [3], done=2)
  assert _iterations(tmp_path) == [1, 2, 3]
  assert _read(tmp_path)[-1]['env_steps_per_second'] == '1333.3'


def test_a_run_without_a_checkpoint_begins_anew(tmp_path):
  _write(tmp_path, [1, 2])
  _write(tmp_path, [1], other=2.0)
  (row,) = _read(tmp_path)
  assert row['other'] == '2.0'


@pytest.mark.parametrize('content', ['', 'iteration,env_st'])
def test_a_file_that_holds_no_row_yet_does_not_matter(tmp_path, content):
  (tmp_path / 'metrics.csv').write_text(content, encoding='utf-8')
  _write(tmp_path, [1])
  assert _iterations(tmp_path) == [1]


def test_tensorboard_events_hold_the_scalars(tmp_path):
  _write(tmp_path, [1, 2])
  _write(tmp_path, [3], done=2)
  events = _events(tmp_path)
  for iteration in (1, 2, 3):
    for name, value in _row(iteration).items():
      assert events[name, iteration] == pytest.approx(value, rel=1e-6)


def _evaluation(iteration, num_steps=1, mean=0.0):
  steps = range(num_steps + 1)
  return {
    'env_steps': 1000 * iteration,
    **{f'evaluation/mean_step_{i}': mean + iteration + i / 3 for i in steps},
    **{f'evaluation/worse_step_{i}': 0.5 for i in steps},
  }


def _write_evaluations(directory, iterations, done=0, **kwargs):
  with _open(directory, done) as log:
    for iteration in iterations:
      log.write(iteration, _row(iteration))
      log.write(iteration, _evaluation(iteration, **kwargs))


def _evaluations(directory):
  with open(directory / 'evaluations.csv', encoding='utf-8') as file:
    return [
      (int(r['iteration']), int(r['step']), float(r['mean']))
      for r in csv.DictReader(file)
    ]


def test_without_evaluations_there_is_no_file_of_them(tmp_path):
  _write(tmp_path, [1, 2])
  assert not (tmp_path / 'evaluations.csv').exists()


def test_evaluations_have_one_row_a_step_and_resume(tmp_path, capsys):
  _write_evaluations(tmp_path, [2, 4, 6])
  text = (tmp_path / 'evaluations.csv').read_text(encoding='utf-8')
  assert text.splitlines()[:3] == [
    'iteration,env_steps,step,mean,worse',
    '2,2000,0,2.0,0.5',
    '2,2000,1,2.3333333333333335,0.5',
  ]
  assert (
    'held out at iteration 2  return 2.0 -> 2.3\n' in capsys.readouterr().err
  )
  # Resumed from a checkpoint of iteration 4: later evaluations are repeated.
  _write_evaluations(tmp_path, [6], done=4, mean=100.0)
  assert _evaluations(tmp_path) == [
    *((i, step, i + step / 3) for i in (2, 4) for step in (0, 1)),
    *((6, step, 106 + step / 3) for step in (0, 1)),
  ]
  events = _events(tmp_path)
  assert events['evaluation/mean_step_1', 4] == pytest.approx(13 / 3)
  assert events['evaluation/worse_step_0', 2] == 0.5


def test_evaluations_after_the_checkpoint_are_dropped_without_new_ones(
  tmp_path,
):
  _write_evaluations(tmp_path, [2, 4])
  _write(tmp_path, [], done=3)
  assert [i for i, _, _ in _evaluations(tmp_path)] == [2, 2]
  _write(tmp_path, [], done=1)
  assert not (tmp_path / 'evaluations.csv').exists()


@pytest.mark.parametrize('half', ['iteration,env_st', 'iteration,mean\n6,6.'])
def test_half_an_evaluation_does_not_matter(half, tmp_path):
  _write(tmp_path, [1, 2])
  (tmp_path / 'evaluations.csv').write_text(half, encoding='utf-8')
  _write_evaluations(tmp_path, [3], done=2)
  assert [i for i, _, _ in _evaluations(tmp_path)] == [3, 3]


def test_without_a_terminal_each_iteration_is_a_line(tmp_path, capsys):
  _write(tmp_path, [1, 10])
  lines = capsys.readouterr().err.splitlines()
  assert str(tmp_path) in lines[0]
  # Nine iterations of 0.75 seconds are left after the first.
  assert lines[1:] == [
    'compiling ...',
    'iteration 1/10  return -0.3 -> 0.1  1,333 env steps/s  0:00:07 left',
    'iteration 10/10  return -3.3 -> 1.4  1,333 env steps/s  0:00:00 left',
  ]


def test_success_rates_stand_beside_the_returns(tmp_path, capsys):
  rates = {'success_step_0': 0.104, 'success_step_1': 1.0}
  _write(tmp_path, [1], **rates)
  assert capsys.readouterr().err.splitlines()[2] == (
    'iteration 1/10  return -0.3 -> 0.1  success 10% -> 100%  1,333 env steps/s'
    '  0:00:07 left'
  )
  evaluated = {f'evaluation/{name}': rate for name, rate in rates.items()}
  with _open(tmp_path, done=1) as log:
    log.write(1, _evaluation(1) | evaluated)
  assert capsys.readouterr().err.splitlines()[2] == (
    'held out at iteration 1  return 1.0 -> 1.3  success 10% -> 100%'
  )
  with open(tmp_path / 'evaluations.csv', encoding='utf-8') as file:
    assert [row['success'] for row in csv.DictReader(file)] == ['0.104', '1.0']


def test_time_left_has_hours(tmp_path, capsys):
  with _open(tmp_path, num_iterations=1 + 3600 + 120 + 4) as log:
    log.write(1, _row(1) | {'collect_seconds': 0.75})
  assert capsys.readouterr().err.endswith('  1:02:04 left\n')


def test_a_full_disk_is_reported_once(tmp_path):
  log = _open(tmp_path)
  os.symlink('/dev/full', tmp_path / 'metrics.csv')
  # Closing flushes the data again.
  with pytest.raises(errors.RunError, match='the log cannot be') as last:
    with log:
      with pytest.raises(errors.RunError) as first:
        log.write(1, _row(1))
      raise first.value
  assert last.value is first.value


def test_a_full_disk_at_the_end_is_reported(tmp_path):
  log = _open(tmp_path)
  os.symlink('/dev/full', tmp_path / 'metrics.csv')
  with pytest.raises(errors.RunError, match='the log cannot be written'):
    with log:
      with pytest.raises(errors.RunError):
        log.write(1, _row(1))


class _Unreachable:
  """A logger whose server does not answer."""

  def __init__(self, root_dir, first_iteration):
    del root_dir, first_iteration

  def write(self, step, scalars):
    raise ConnectionError(f'step {step}\ntraceback')

  def close(self):
    raise ValueError('nothing to close')


def test_a_logger_that_fails_ends_the_run_in_one_line(tmp_path):
  log = loggers.RunLoggers(str(tmp_path), 1, 3, [_Unreachable])
  with pytest.raises(errors.RunError) as failure:
    log.write(1, _row(1))
  assert str(failure.value).startswith(
    '_Unreachable of train_eval.loggers failed (ConnectionError: step 1): fix'
  )
  # The package's own loggers have written the row before.
  assert len((tmp_path / 'metrics.csv').read_text().splitlines()) == 2
  with pytest.raises(errors.RunError, match='ValueError: nothing to close'):
    log.close()


class _Terminal(io.StringIO):
  """A stderr that claims to be a terminal."""

  def isatty(self):
    return True


def test_on_a_terminal_a_bar_shows_the_same(tmp_path, monkeypatch):
  terminal = _Terminal()
  monkeypatch.setattr(sys, 'stderr', terminal)
  # A resumed run begins in the middle.
  _write(tmp_path, range(6, 11), done=5)
  shown = terminal.getvalue()
  assert '| 5/10 ' in shown
  assert '| 10/10 ' in shown
  assert 'return -3.3 -> 1.4, 1,333 env steps/s' in shown
  _write(tmp_path, [11], done=10, success_step_0=0.25)
  assert 'return -3.7 -> 1.6, success 25%, 1,333' in terminal.getvalue()
  assert 'left\n' not in shown


class _Recorder:
  """A logger that records its calls; `made` holds all such loggers."""

  made = []

  def __init__(self, root_dir, first_iteration, project='maml'):
    self.arguments = root_dir, first_iteration, project
    self.written = []
    self.is_closed = False
    self.made.append(self)

  def write(self, step, scalars):
    self.written.append((step, dict(scalars)))

  def close(self):
    self.is_closed = True


@pytest.fixture(name='recorders')
def clear_recorders():
  _Recorder.made.clear()
  return _Recorder.made


def test_a_users_logger_receives_the_same_scalars(tmp_path, recorders):
  project = functools.partial(_Recorder, project='other')
  with _open(tmp_path, done=2, factories=[_Recorder, project]) as log:
    log.write(3, _row(3))
    log.write(3, _evaluation(3))
    log.log('a line for the terminal alone')
    assert not any(recorder.is_closed for recorder in recorders)
  assert [recorder.arguments for recorder in recorders] == [
    (str(tmp_path), 3, 'maml'),
    (str(tmp_path), 3, 'other'),
  ]
  for recorder in recorders:
    assert recorder.written == [(3, _row(3)), (3, _evaluation(3))]
    assert recorder.is_closed


def test_all_are_closed_if_one_fails(tmp_path, recorders):
  def fail(**kwargs):
    recorder = _Recorder(**kwargs)
    recorder.close = lambda: open('/dev/full/a')
    return recorder

  with pytest.raises(errors.RunError, match='_Recorder of train_eval.loggers'):
    with _open(tmp_path, factories=[_Recorder, fail, _Recorder]):
      pass
  assert [recorder.is_closed for recorder in recorders] == [True, False, True]


@pytest.mark.parametrize(
  ('factory', 'message'),
  [
    (lambda root_dir, first_iteration: 3, r'made 3: give it the methods write'),
    (lambda root_dir: None, 'first_iteration'),
  ],
)
def test_a_bad_logger_factory_is_an_error_in_one_line(
  factory, message, tmp_path, recorders, capsys
):
  with pytest.raises(errors.UsageError, match=message) as error:
    _open(tmp_path, factories=[_Recorder, factory])
  assert '\n' not in str(error.value)
  assert recorders[0].is_closed
  assert capsys.readouterr().err == ''


def test_ours_are_loggers():
  for kind in (
    loggers.CsvLogger,
    loggers.TensorBoardLogger,
    loggers.TerminalLogger,
    loggers.RunLoggers,
    _Recorder,
  ):
    assert issubclass(kind, loggers.Logger)
