"""Simulates how often the confidence intervals of an evaluation are right.

  python benchmarks/interval_coverage.py

Each draw evaluates a few tasks of a family whose mean and interquartile mean
are known. An interval of 95% should hold them in 95% of the draws. The columns
`bootstrap` are percentile intervals, which are too narrow for few tasks. The
last line is JSON.
"""

import maml_tf  # noqa: F401  # isort: skip  Before TensorFlow, which it quiets.

import argparse
from collections.abc import Sequence
import functools
import json

import numpy as np
import scipy.stats

from maml_tf.evaluation import statistics

_FAMILIES = {
  'normal': scipy.stats.norm(),
  'uniform': scipy.stats.uniform(),
  'skewed (gamma 2)': scipy.stats.gamma(2.0),
  'heavy tails (t 3)': scipy.stats.t(3.0),
}


def main(argv: Sequence[str] | None = None) -> None:
  """Prints a line for each family and number of tasks."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--draws', type=int, default=1000)
  parser.add_argument(
    '--tasks', type=int, nargs='+', default=[2, 5, 10, 20, 40]
  )
  parser.add_argument('--resamples', type=int, default=999)
  options = parser.parse_args(argv)
  print('family             tasks   mean  bootstrap    IQM  bootstrap')
  shares = {}
  for name, family in _FAMILIES.items():
    shares[name] = {}
    for num_tasks in options.tasks:
      covered = coverage(family, num_tasks, options.draws, options.resamples)
      shares[name][num_tasks] = covered.tolist()
      cells = '  '.join(f'{s:{w}.1%}' for s, w in zip(covered, (5, 9, 5, 9)))
      print(f'{name:18} {num_tasks:5}  {cells}', flush=True)
  print(json.dumps(shares))


def coverage(
  family: scipy.stats.rv_continuous,
  num_tasks: int,
  num_draws: int,
  num_resamples: int,
) -> np.ndarray:
  """Returns the shares of draws whose intervals hold the truth.

  Args:
    family: The distribution of tasks' returns.
    num_tasks: B.
    num_draws: How many evaluations.
    num_resamples: Of the percentile bootstrap.

  Returns:
    An array [4]: of the mean by `over_tasks` and by percentiles, likewise of
    the interquartile mean.
  """
  rng = np.random.default_rng(num_tasks)
  quartiles = family.ppf([0.25, 0.75])
  mean = family.mean()
  interquartile_mean = family.expect(
    lb=quartiles[0], ub=quartiles[1], conditional=True
  )
  trimmed = functools.partial(scipy.stats.trim_mean, proportiontocut=0.25)
  covered = np.zeros(4)
  for _ in range(num_draws):
    returns = family.rvs(size=num_tasks, random_state=rng)
    (ours,) = statistics.over_tasks(returns[np.newaxis, :, np.newaxis])
    rows = returns[rng.integers(num_tasks, size=(num_resamples, num_tasks))]
    intervals = (
      (ours.mean_low, ours.mean_high),
      np.quantile(rows.mean(axis=1), [0.025, 0.975]),
      (ours.iqm_low, ours.iqm_high),
      np.quantile(trimmed(rows, axis=1), [0.025, 0.975]),
    )
    truths = (mean, mean, interquartile_mean, interquartile_mean)
    covered += [low <= t <= high for (low, high), t in zip(intervals, truths)]
  return covered / num_draws


if __name__ == '__main__':
  main()
