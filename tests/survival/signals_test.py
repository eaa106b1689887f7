"""Ctrl-C, SIGTERM and SIGHUP sent to a run of real physics."""

import os
import pathlib
import signal
import time

import pytest

from tests.survival import trained_process

# These tests run real processes for minutes.
pytestmark = pytest.mark.slow

NUM_ITERATIONS = 12


@pytest.mark.parametrize(
  ('number', 'exit_code'),
  [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)],
)
def test_a_signal_saves_the_last_iteration_in_time(number, exit_code, tmp_path):
  # An iteration takes 80,000 env steps. No checkpoint is due.
  arguments = (
    '--gin_file=cheetah.gin',
    '--gin_bindings=train_eval.checkpoint_interval = 1000',
  )
  process = trained_process.start(tmp_path / 'run', arguments, 1000)
  lines = trained_process.wait_for(process, 'iteration 2/')
  time.sleep(0.3)
  start = time.monotonic()
  process.send_signal(number)
  code, rest = trained_process.finish(process)
  assert time.monotonic() - start < 10
  assert code == exit_code
  rows = trained_process.rows(tmp_path / 'run')
  last = len(rows)
  assert last >= 2
  assert rest[-1].startswith(
    f'train: stopped after iteration {last}; to resume'
  )
  assert len([x for x in lines + rest if x.startswith('iteration')]) == last
  names = os.listdir(tmp_path / 'run' / 'checkpoints')
  assert f'ckpt-{last}.index' in names
  assert not pathlib.Path(tmp_path, 'run', 'saved_model').exists()


def test_a_stopped_run_resumes_like_an_uninterrupted_one(tmp_path):
  stopped, whole = tmp_path / 'stopped', tmp_path / 'whole'
  arguments = trained_process.SMALL_CHEETAH
  for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
    process = trained_process.start(stopped, arguments, NUM_ITERATIONS)
    trained_process.wait_for(process, 'iteration ')
    process.send_signal(number)
    code, _ = trained_process.finish(process)
    assert code in (128 + number, 0)
  for root_dir in (stopped, whole):
    code, lines = trained_process.finish(
      trained_process.start(root_dir, arguments, NUM_ITERATIONS)
    )
    assert code == 0, lines
  trained_process.assert_same(stopped, whole)
