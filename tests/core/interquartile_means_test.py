"""Interquartile means and their intervals over seeds."""

import numpy as np

from maml_tf.core import interquartile_means


def test_the_interquartile_mean_drops_a_quarter_at_each_end():
  values = np.array([[-100.0, 1.0, 3.0, 900.0], [5.0, 5.0, 5.0, 5.0]])
  means = interquartile_means.interquartile_mean(values)
  np.testing.assert_array_equal(means, [2, 5])
  low, high = interquartile_means.bootstrap_band(values)
  assert low[0] < 2 < high[0] and low[1] == high[1] == 5


def test_a_seed_without_a_value_leaves_none():
  # Sorting would put NaN at the end, which is cut off.
  values = np.array([1.0, 2.0, 3.0, np.nan])
  assert np.isnan(interquartile_means.interquartile_mean(values))


def test_three_seeds_have_their_mean_and_range():
  summary = interquartile_means.summarize([10.0, 20.0, 60.0])
  # Resamples of one seed alone are 1 of 27: more than 2.5% at either end.
  assert summary == (30, 10, 60)


def test_one_seed_has_no_interval():
  summary = interquartile_means.summarize([7.0])
  assert summary.iqm == 7
  assert np.isnan([summary.low, summary.high]).all()
