"""The example with stock drivers learns and prints only its returns."""

import re
import statistics

from tests.examples import example_process

_NUMBER = r'(-?[\d.]+)'


def _returns(stdout):
  lines = stdout.strip().split('\n')
  found = [
    re.fullmatch(
      rf'iteration +\d+  env steps +[\d,]+  return +{_NUMBER} -> +{_NUMBER}'
      rf'  loss +{_NUMBER}',
      line,
    )
    for line in lines
  ]
  assert all(found), stdout
  return [tuple(map(float, match.groups()[:2])) for match in found]


def test_it_learns(tmp_path):
  done = example_process.run(
    'tf_driver_pipeline', ['--iterations=12', '--tasks=10'], tmp_path
  )
  assert not done.stderr
  before, after = zip(*_returns(done.stdout))
  assert len(before) == 12
  # Measured: -72 in the first iteration, -44 in the last three.
  assert statistics.mean(before[-3:]) > before[0] + 12
  # An adaptation step helps from the beginning.
  gains = [a - b for a, b in zip(after, before)]
  assert statistics.mean(gains) > 2
