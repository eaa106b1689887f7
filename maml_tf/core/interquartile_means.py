"""Interquartile means, and their bootstrap intervals over seeds.

Both follow "Deep RL at the Edge of the Statistical Precipice"
(arXiv:2108.13264). The interval describes the draw of seeds. The percentile
bootstrap stays within the range of its data, so with few seeds it is too
narrow: `results/intervals/` has the coverage of such intervals over tasks.
"""

from typing import NamedTuple

import numpy as np

CONFIDENCE_LEVEL = 0.95
_PERCENTILES = (2.5, 97.5)

# The share that an interquartile mean leaves out at either end.
TRIM = 0.25

# With a fixed seed, equal values have equal intervals.
_SEED = 0
_NUM_RESAMPLES = 2000


class Summary(NamedTuple):
  """A statistic over seeds.

  Attributes:
    iqm: The interquartile mean; with fewer than four seeds, the mean.
    low: The lower end of its interval; NaN with one seed.
    high: The upper end of its interval; NaN with one seed.
  """

  iqm: float
  low: float
  high: float


def interquartile_mean(values: np.ndarray) -> np.ndarray:
  """Returns the mean of the middle half, [..., S] -> [...]; NaN with a NaN."""
  count = values.shape[-1]
  cut = int(TRIM * count)
  # It has the bits of scipy.stats.trim_mean, whose import takes a second.
  parts = np.partition(values, (cut, count - cut - 1), axis=-1)
  means = np.mean(parts[..., cut : count - cut], axis=-1)
  return np.where(np.isnan(values).any(axis=-1), np.nan, means)


def bootstrap_band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns the ends of the 95% bootstrap interval, [..., S] -> [...]."""
  num_seeds = values.shape[-1]
  draws = np.random.default_rng(_SEED).integers(
    num_seeds, size=(_NUM_RESAMPLES, num_seeds)
  )
  means = interquartile_mean(values[..., draws])
  low, high = np.percentile(means, _PERCENTILES, axis=-1)
  return low, high


def summarize(values: np.ndarray) -> Summary:
  """Returns the summary of one value per seed [S]."""
  values = np.asarray(values, np.float64)
  low = high = np.nan
  if len(values) > 1:
    low, high = bootstrap_band(values)
  return Summary(float(interquartile_mean(values)), float(low), float(high))
