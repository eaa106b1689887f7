"""What a run writes and shows about itself: rows, events, the terminal."""

import csv
import io
import math
import os
import sys

import pytest
import tensorflow as tf

from maml_tf.core import errors
from maml_tf.run import run_log

# Float64s that a sloppy format would change.
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


def _write(directory, iterations, first_iteration=0, **more):
  log = run_log.RunLog(str(directory), first_iteration, 10)
  for iteration in iterations:
    log.write(_row(iteration, **more))
  log.close()


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
  log = run_log.RunLog(str(tmp_path), 0, 10)
  log.write(_row(1))
  assert _iterations(tmp_path) == [1]
  log.write(_row(2))
  assert _iterations(tmp_path) == [1, 2]
  log.close()


def test_a_resumed_run_appends(tmp_path):
  _write(tmp_path, [1, 2])
  _write(tmp_path, [3, 4], first_iteration=2)
  assert _iterations(tmp_path) == [1, 2, 3, 4]
  whole = tmp_path / 'whole'
  whole.mkdir()
  _write(whole, [1, 2, 3, 4])
  assert (tmp_path / 'metrics.csv').read_bytes() == (
    whole / 'metrics.csv'
  ).read_bytes()


def test_resuming_drops_the_rows_after_the_checkpoint(tmp_path):
  _write(tmp_path, [1, 2, 3, 4])
  _write(tmp_path, [], first_iteration=2)
  assert _iterations(tmp_path) == [1, 2]
  _write(tmp_path, [3], first_iteration=2)
  assert _iterations(tmp_path) == [1, 2, 3]
  assert [row['return_step_0'] for row in _read(tmp_path)] == [
    repr(-i / 3) for i in (1, 2, 3)
  ]


@pytest.mark.parametrize('half', ['3', '3,300', '3,3000,-1.0,0.4,0.5,0.2', ''])
def test_resuming_drops_a_line_that_was_cut_short(tmp_path, half):
  _write(tmp_path, [1, 2])
  with open(tmp_path / 'metrics.csv', 'a', encoding='utf-8') as file:
    file.write(half)
  _write(tmp_path, [3], first_iteration=2)
  assert _iterations(tmp_path) == [1, 2, 3]


def test_resuming_drops_a_half_written_row_with_all_its_columns(tmp_path):
  _write(tmp_path, [1, 2, 3])
  path = tmp_path / 'metrics.csv'
  path.write_bytes(path.read_bytes()[:-3])
  _write(tmp_path, [3], first_iteration=2)
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
  _write(tmp_path, [3], first_iteration=2)
  events = _events(tmp_path)
  for iteration in (1, 2, 3):
    for name, value in _row(iteration).items():
      assert events[name, iteration] == pytest.approx(value, rel=1e-6)


def _evaluation_rows(iteration, num_steps=1, mean=0.0):
  return [
    {
      'iteration': iteration,
      'env_steps': 1000 * iteration,
      'step': step,
      'mean': mean + iteration + step / 3,
      'worse': 0.5,
    }
    for step in range(num_steps + 1)
  ]


def _write_evaluations(directory, iterations, first_iteration=0, **kwargs):
  log = run_log.RunLog(str(directory), first_iteration, 10)
  for iteration in iterations:
    log.write(_row(iteration))
    log.write_evaluation(_evaluation_rows(iteration, **kwargs))
  log.close()


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
  # Resumed from a checkpoint of iteration 4: what came after is played again.
  _write_evaluations(tmp_path, [6], first_iteration=4, mean=100.0)
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
  _write(tmp_path, [], first_iteration=3)
  assert [i for i, _, _ in _evaluations(tmp_path)] == [2, 2]
  _write(tmp_path, [], first_iteration=1)
  assert not (tmp_path / 'evaluations.csv').exists()


@pytest.mark.parametrize('half', ['iteration,env_st', '6,6000,0,6.0'])
def test_half_an_evaluation_does_not_matter(half, tmp_path):
  _write(tmp_path, [1, 2])
  (tmp_path / 'evaluations.csv').write_text(half, encoding='utf-8')
  _write_evaluations(tmp_path, [3], first_iteration=2)
  assert [i for i, _, _ in _evaluations(tmp_path)] == [3, 3]


def test_without_a_terminal_each_iteration_is_a_line(tmp_path, capsys):
  _write(tmp_path, [1, 10])
  lines = capsys.readouterr().err.splitlines()
  assert str(tmp_path) in lines[0]
  # Nine iterations of 0.75 seconds are left after the first.
  assert lines[1:] == [
    'iteration 1/10  return -0.3 -> 0.1  1,333 env steps/s  0:00:07 left',
    'iteration 10/10  return -3.3 -> 1.4  1,333 env steps/s  0:00:00 left',
  ]


def test_time_left_has_hours(tmp_path, capsys):
  log = run_log.RunLog(str(tmp_path), 0, 1 + 3600 + 120 + 4)
  log.write(_row(1) | {'collect_seconds': 0.75})
  log.close()
  assert capsys.readouterr().err.endswith('  1:02:04 left\n')


def test_a_disk_that_is_full_is_said_once(tmp_path):
  log = run_log.RunLog(str(tmp_path), 0, 10)
  os.symlink('/dev/full', tmp_path / 'metrics.csv')
  # Closing flushes what could not be written once more.
  with pytest.raises(errors.RunError, match='the row cannot be written'):
    with log:
      with errors.disk_errors('the row'):
        log.write(_row(1))


def test_a_disk_that_is_full_at_the_end_is_said(tmp_path):
  log = run_log.RunLog(str(tmp_path), 0, 10)
  os.symlink('/dev/full', tmp_path / 'metrics.csv')
  with pytest.raises(errors.RunError, match='the log cannot be written'):
    with log:
      with pytest.raises(OSError):
        log.write(_row(1))


class _Terminal(io.StringIO):
  """A stderr that says that somebody watches."""

  def isatty(self):
    return True


def test_on_a_terminal_a_bar_shows_the_same(tmp_path, monkeypatch):
  terminal = _Terminal()
  monkeypatch.setattr(sys, 'stderr', terminal)
  # A resumed run begins in the middle.
  _write(tmp_path, range(6, 11), first_iteration=5)
  shown = terminal.getvalue()
  assert '| 5/10 ' in shown
  assert '| 10/10 ' in shown
  assert 'return -3.3 -> 1.4, 1,333 env steps/s' in shown
  assert 'left\n' not in shown
