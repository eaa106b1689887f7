"""A run that is killed with SIGKILL ends like an uninterrupted one."""

import random

import pytest

from tests.survival import kills
from tests.survival import trained_process

# These tests run real processes for minutes.
pytestmark = pytest.mark.slow


@pytest.mark.parametrize('num_kills', [3, 30])
def test_killed_runs_resume_bit_for_bit(num_kills, tmp_path):
  killed, whole = tmp_path / 'killed', tmp_path / 'whole'
  num_iterations = 4 * num_kills
  lines = []
  kills.run_with_kills(
    str(killed), num_kills, num_iterations, random.Random(1), lines.append
  )
  assert len(lines) == num_kills + 1
  assert not any('too late' in line for line in lines[:2])
  code, said = trained_process.finish(
    trained_process.start(whole, trained_process.SMALL_CHEETAH, num_iterations)
  )
  assert code == 0, said
  trained_process.assert_same(killed, whole)
  iterations = [row['iteration'] for row in trained_process.rows(killed)]
  assert iterations == [str(i) for i in range(1, num_iterations + 1)]
  assert (killed / 'saved_model' / 'saved_model.pb').exists()
  assert not list(killed.glob('.saved_model-*'))
