"""Statistics of returns over tasks, with bootstrap confidence intervals.

The interquartile means and percentile bootstrap intervals follow "Deep RL at
the Edge of the Statistical Precipice" (arXiv:2108.13264).
"""

from typing import NamedTuple

import numpy as np
import scipy.stats

CONFIDENCE_LEVEL = 0.95

# With a fixed seed, equal returns have equal intervals.
_SEED = 0
_NUM_RESAMPLES = 9999
# The number of resamples in memory at once.
_BATCH = 500


class StepStatistics(NamedTuple):
  """Statistics over tasks of their mean returns after some adaptation steps.

  If any return is not finite, means and intervals are NaN. With one task, the
  intervals are NaN.

  Attributes:
    mean: The mean over tasks.
    mean_low: The lower end of the mean's confidence interval, which describes
      the draw of tasks.
    mean_high: The upper end of that interval.
    iqm: The interquartile mean: the mean of the middle half of the tasks.
    iqm_low: The lower end of the interquartile mean's confidence interval.
    iqm_high: The upper end of that interval.
    adaptation_delta: `mean` minus the mean before adaptation.
    worse: The share of tasks whose return is lower than before adaptation.
  """

  mean: float
  mean_low: float
  mean_high: float
  iqm: float
  iqm_low: float
  iqm_high: float
  adaptation_delta: float
  worse: float


def over_tasks(returns: np.ndarray) -> tuple[StepStatistics, ...]:
  """Computes statistics of returns after 0, ..., S adaptation steps.

  Args:
    returns: An array [S + 1, B, E] of episode returns.

  Returns:
    S + 1 `StepStatistics`.
  """
  task_returns = np.mean(returns, axis=2)
  before = task_returns[0]
  return tuple(
    StepStatistics(
      *_with_interval(after, np.mean),
      *_with_interval(after, _interquartile_mean),
      adaptation_delta=float(np.mean(after) - np.mean(before)),
      # A return that has become NaN counts as worse.
      worse=float(np.mean(~(after >= before) & ~np.isnan(before))),
    )
    for after in task_returns
  )


def _interquartile_mean(values, axis=-1):
  return scipy.stats.trim_mean(values, 0.25, axis=axis)


def _with_interval(values, statistic):
  """Returns a statistic of values [B] and the ends of its interval."""
  # Sorting would put NaN at the top.
  if not np.isfinite(values).all():
    return np.nan, np.nan, np.nan
  if len(values) == 1:
    return float(statistic(values)), np.nan, np.nan
  interval = scipy.stats.bootstrap(
    (values,),
    statistic,
    n_resamples=_NUM_RESAMPLES,
    batch=_BATCH,
    confidence_level=CONFIDENCE_LEVEL,
    method='percentile',
    random_state=np.random.default_rng(_SEED),
  ).confidence_interval
  return float(statistic(values)), float(interval.low), float(interval.high)
