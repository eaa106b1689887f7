"""Statistics of returns over tasks, with confidence intervals.

Interquartile means follow "Deep RL at the Edge of the Statistical Precipice"
(arXiv:2108.13264). Its percentile bootstrap covers too rarely with few tasks:
80 to 86% of the draws at 5 tasks, in place of 95%. So a mean has Student's
interval, an interquartile mean the expanded percentile interval of "What
Teachers Should Know About the Bootstrap" (arXiv:1411.5279).
`results/intervals/` has the simulated coverage of each.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy.stats

from maml_tf.core import interquartile_means

CONFIDENCE_LEVEL = interquartile_means.CONFIDENCE_LEVEL

# With a fixed seed, equal returns have equal intervals.
_SEED = 0
_NUM_RESAMPLES = 9999
# The number of resamples in memory at once.
_BATCH = 500
# A resample does not leave the range of the data, in which the truth lies too
# rarely when there are fewer tasks.
_ENOUGH_TO_RESAMPLE = 6
_TRIM = interquartile_means.TRIM


class StepStatistics(NamedTuple):
  """Statistics over tasks of their mean returns after some adaptation steps.

  If any return is not finite, means and intervals are NaN. With one task, or
  with copies of the same tasks, the intervals are NaN.

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


class TaskStatistics(NamedTuple):
  """Statistics of one task over its copies, each of which adapts anew.

  Attributes:
    mean: The mean over the copies' mean returns.
    lowest: The lowest mean return of a copy.
    highest: The highest mean return of a copy.
    adaptation_delta: `mean` minus the mean before adaptation.
  """

  mean: float
  lowest: float
  highest: float
  adaptation_delta: float


def over_tasks(
  returns: np.ndarray, with_intervals: bool = True
) -> tuple[StepStatistics, ...]:
  """Computes statistics of returns after 0, ..., S adaptation steps.

  Args:
    returns: An array [S + 1, B, E] of episode returns.
    with_intervals: Whether the tasks are draws of a family, which an interval
      describes. False: the intervals' ends are NaN.

  Returns:
    S + 1 `StepStatistics`.
  """
  task_returns = np.mean(returns, axis=2)
  before = task_returns[0]
  return tuple(
    StepStatistics(
      *_with_interval(after, np.mean, _interval_of_mean, with_intervals),
      *_with_interval(
        after,
        _interquartile_mean,
        _interval_of_interquartile_mean,
        with_intervals,
      ),
      adaptation_delta=float(np.mean(after) - np.mean(before)),
      # A return that has become NaN counts as worse.
      worse=float(np.mean(~(after >= before) & ~np.isnan(before))),
    )
    for after in task_returns
  )


def gain_half_widths(returns: np.ndarray) -> np.ndarray:
  """Returns half the widths of the intervals of the gain, float64 [S + 1].

  A task's gain is its mean return minus that before adaptation. Tasks may
  differ more in their returns than in their gains: then the intervals of the
  means overlap although almost every task gains. This is Student's interval of
  the mean gain.

  Args:
    returns: An array [S + 1, B, E] of episode returns.

  Returns:
    The half widths, NaN where there is one task or a return is not finite.
  """
  task_returns = np.mean(returns, axis=2)
  num_tasks = task_returns.shape[1]
  if num_tasks == 1:
    return np.full(len(task_returns), np.nan)
  errors = scipy.stats.sem(task_returns - task_returns[0], axis=1)
  return _student_quantile(num_tasks - 1) * errors


def over_copies(
  returns: np.ndarray, num_tasks: int
) -> tuple[tuple[TaskStatistics, ...], ...]:
  """Computes statistics of each task after 0, ..., S adaptation steps.

  Args:
    returns: An array [S + 1, B, E] of episode returns.
    num_tasks: L. B is a multiple of it, and b plays task b % L.

  Returns:
    L `TaskStatistics` for each of the S + 1 numbers of steps.
  """
  copies = group_copies(returns.mean(axis=2), num_tasks)
  means = copies.mean(axis=1)
  columns = (means, copies.min(axis=1), copies.max(axis=1), means - means[0])
  return tuple(
    tuple(TaskStatistics(*map(float, values)) for values in zip(*step))
    for step in zip(*columns)
  )


def group_copies(values: np.ndarray, num_tasks: int) -> np.ndarray:
  """Returns values [S + 1, B] of the copies of L tasks as [S + 1, B / L, L]."""
  return values.reshape(len(values), -1, num_tasks)


def _interquartile_mean(values, axis=-1):
  return interquartile_means.interquartile_mean(np.moveaxis(values, axis, -1))


def _with_interval(values, statistic, interval, with_interval):
  """Returns a statistic of values [B] and the ends of its interval."""
  # Sorting would put NaN at the top.
  if not np.isfinite(values).all():
    return np.nan, np.nan, np.nan
  if len(values) == 1 or not with_interval:
    return float(statistic(values)), np.nan, np.nan
  low, high = interval(values)
  return float(statistic(values)), float(low), float(high)


def _interval_of_mean(values):
  """Returns Student's interval."""
  return _student(np.mean(values), scipy.stats.sem(values), len(values) - 1)


def _interval_of_interquartile_mean(values):
  """Returns the expanded percentile interval, wider with very few tasks."""
  count = len(values)
  # The percentiles are those of Student's distribution, not of the normal one,
  # and make up for the bootstrap's deviation, which is that of n, not of n - 1.
  quantile = math.sqrt(count / (count - 1)) * _student_quantile(count - 1)
  interval = scipy.stats.bootstrap(
    (values,),
    _interquartile_mean,
    n_resamples=_NUM_RESAMPLES,
    batch=_BATCH,
    confidence_level=1 - 2 * scipy.stats.norm.sf(quantile),
    method='percentile',
    random_state=np.random.default_rng(_SEED),
  ).confidence_interval
  if count >= _ENOUGH_TO_RESAMPLE:
    return interval
  low, high = _interval_of_trimmed_mean(values)
  return min(low, interval.low), max(high, interval.high)


def _interval_of_trimmed_mean(values):
  """Returns Tukey and McLaughlin's interval, from the winsorised deviation."""
  count, trimmed = len(values), int(_TRIM * len(values))
  ordered = np.sort(values)
  winsorised = np.clip(ordered, ordered[trimmed], ordered[-1 - trimmed])
  kept = 1 - 2 * trimmed / count
  return _student(
    _interquartile_mean(values),
    scipy.stats.sem(winsorised) / kept,
    count - 2 * trimmed - 1,
  )


def _student(centre, standard_error, degrees_of_freedom):
  half_width = _student_quantile(degrees_of_freedom) * standard_error
  return centre - half_width, centre + half_width


def _student_quantile(degrees_of_freedom):
  return scipy.stats.t.ppf((1 + CONFIDENCE_LEVEL) / 2, degrees_of_freedom)
