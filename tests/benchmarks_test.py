"""The benchmarks run, and end in one line of JSON."""

import json

from benchmarks import meta_gradient_cost
from benchmarks import throughput

SMALL = ['--tasks=2', '--episodes=2']


def _last_line(capsys):
  return json.loads(capsys.readouterr().out.strip().split('\n')[-1])


def test_throughput(capsys):
  throughput.main([*SMALL, '--horizon=5', '--iterations=1'])
  result = _last_line(capsys)
  assert set(result) == {
    'physics_limit_steps_per_second',
    'gymnasium_steps_per_second',
    'env_steps_per_second',
    'ratio_to_limit',
    'peak_rss_mb',
    'seconds',
  }
  parts = {'physics', 'acting', 'adaptation', 'update', 'other'}
  assert set(result['seconds']) == parts
  assert result['ratio_to_limit'] > 0


def test_meta_gradient_cost(capsys):
  meta_gradient_cost.main(SMALL)
  assert _last_line(capsys)['second_order_over_plain'] > 1
