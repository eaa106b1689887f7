"""One of two workers is killed or stopped, and the other one stops, too."""

import signal
import time

import pytest

from tests.survival import trained_process
from tests.survival import worker_processes

# These tests run real processes for minutes.
pytestmark = pytest.mark.slow

NUM_ITERATIONS = 40


@pytest.mark.parametrize('victim', [1, 0])
def test_the_other_worker_stops_and_both_resume(victim, tmp_path):
  folders = [tmp_path / 'chief', tmp_path / 'worker']
  arguments = trained_process.SMALL_POINT
  workers = worker_processes.start(folders, arguments, NUM_ITERATIONS)
  trained_process.wait_for(workers[0], 'iteration 3/')
  workers[victim].kill()
  start = time.monotonic()
  code, lines = trained_process.finish(workers[1 - victim], timeout=120)
  # A missing heartbeat is noticed after about ten seconds.
  assert time.monotonic() - start < 60
  workers[victim].communicate()
  assert code == 1
  assert lines[-1].startswith(
    f'train: worker {1 - victim} of 2 stops, since another one is gone: start'
  )
  assert 3 <= len(trained_process.rows(folders[0])) < NUM_ITERATIONS

  for code, lines in worker_processes.finish(
    worker_processes.start(folders, arguments, NUM_ITERATIONS)
  ):
    assert code == 0, lines
  # Only the chief writes files.
  assert not folders[1].exists()
  alone = tmp_path / 'alone'
  code, lines = trained_process.finish(
    trained_process.start(alone, arguments, NUM_ITERATIONS)
  )
  assert code == 0, lines
  trained_process.assert_same(folders[0], alone)


@pytest.mark.parametrize('victim', [1, 0])
def test_the_other_worker_hangs(victim, tmp_path):
  folders = [tmp_path / 'chief', tmp_path / 'worker']
  workers = worker_processes.start(
    folders, trained_process.SMALL_POINT, 100_000
  )
  try:
    trained_process.wait_for(workers[0], 'iteration 3/')
    workers[victim].send_signal(signal.SIGSTOP)
    code, lines = trained_process.finish(workers[1 - victim], timeout=120)
  finally:
    workers[victim].kill()
    workers[victim].communicate()
  assert code == 1
  # No thread pool complains at the interpreter's end.
  assert lines[-1].startswith(f'train: worker {1 - victim} of 2 stops, since')


def test_a_notice_to_one_worker_stops_both(tmp_path):
  folders = [tmp_path / 'chief', tmp_path / 'worker']
  workers = worker_processes.start(
    folders, trained_process.SMALL_POINT, 100_000
  )
  trained_process.wait_for(workers[0], 'iteration 3/')
  start = time.monotonic()
  workers[1].send_signal(signal.SIGTERM)
  results = worker_processes.finish(workers)
  assert time.monotonic() - start < 10
  last = len(trained_process.rows(folders[0]))
  for code, lines in results:
    assert code == 143
    assert lines[-1].startswith(f'train: stopped after iteration {last};')
  assert (folders[0] / 'checkpoints' / f'ckpt-{last}.index').exists()
