"""Statistics against numbers computed by hand."""

import math

import numpy as np
import pytest

from maml_tf.evaluation import statistics as evaluation_statistics


def _one_episode_each(*task_returns):
  """Returns [S + 1, B, 1] from one list per step."""
  return np.array(task_returns, np.float64)[..., np.newaxis]


def test_mean_and_interquartile_mean_by_hand():
  # Two of eight tasks are cut off at either end: (3 + 4 + 5 + 6) / 4 = 4.5.
  # All: (1 + 2 + 3 + 4 + 5 + 6 + 7 + 100) / 8 = 16.
  (before,) = evaluation_statistics.over_tasks(
    _one_episode_each([100, 3, 1, 5, 2, 4, 6, 7])
  )
  assert before.mean == 16
  assert before.iqm == 4.5


def test_episodes_are_averaged_before_tasks_are_compared():
  # Tasks: (2, 4), then (3, 1). Single episodes would suggest otherwise.
  returns = np.array([[[0, 4], [4, 4]], [[3, 3], [1, 1]]], np.float64)
  before, after = evaluation_statistics.over_tasks(returns)
  assert (before.mean, after.mean) == (3, 2)
  assert after.adaptation_delta == -1
  assert after.worse == 0.5


def test_worse_counts_tasks_below_where_they_began():
  steps = evaluation_statistics.over_tasks(
    # An equal return is not worse; step 2 is compared with step 0 too.
    _one_episode_each([1, 2, 3, 4], [2, 2, 2, 2], [1.5, 2, 0, 5])
  )
  assert [s.worse for s in steps] == [0, 0.5, 0.25]
  assert [s.adaptation_delta for s in steps] == [0, -0.5, -0.375]


def test_the_interval_of_a_gain_pairs_the_tasks_by_hand():
  # Gains 1, 3, 2: as in the test of a mean, whatever the tasks differ by.
  returns = _one_episode_each([100, -500, 0], [101, -497, 2])
  at_first, after = evaluation_statistics.gain_half_widths(returns)
  assert at_first == 0
  assert after == pytest.approx(4.3027 / math.sqrt(3), abs=1e-4)
  assert np.isnan(evaluation_statistics.gain_half_widths(returns[:, :1])).all()
  returns[1, 0] = np.nan
  assert np.isnan(evaluation_statistics.gain_half_widths(returns)[1])


@pytest.mark.parametrize(('num_tasks', 'seed'), [(40, 0), (400, 1)])
def test_intervals_are_those_of_the_normal_approximation(num_tasks, seed):
  values = np.random.default_rng(seed).normal(5, 2, num_tasks)
  (statistics,) = evaluation_statistics.over_tasks(_one_episode_each(values))
  # 1.96 standard errors of the mean, a little more by Student.
  half_width = 1.96 * values.std(ddof=1) / math.sqrt(num_tasks)
  assert statistics.mean_low == pytest.approx(
    values.mean() - half_width, abs=0.04 * half_width
  )
  assert statistics.mean_high == pytest.approx(
    values.mean() + half_width, abs=0.04 * half_width
  )
  # Of normal values the interquartile mean has 1.1 times the mean's deviation:
  # the asymptotic variance of a 25% trimmed mean is 1.195 / n.
  width = statistics.iqm_high - statistics.iqm_low
  assert width == pytest.approx(2 * 1.093 * half_width, rel=0.25)
  assert statistics.iqm_low < statistics.iqm < statistics.iqm_high


def test_the_interval_of_a_mean_by_hand():
  # Mean 2, deviation 1, so the standard error is 1 / sqrt(3). Student's
  # quantile for two degrees of freedom is 4.3027.
  (statistics,) = evaluation_statistics.over_tasks(_one_episode_each([1, 3, 2]))
  half_width = 4.3027 / math.sqrt(3)
  assert statistics.mean_low == pytest.approx(2 - half_width, abs=1e-4)
  assert statistics.mean_high == pytest.approx(2 + half_width, abs=1e-4)
  # Of three tasks the interquartile mean leaves none out.
  assert statistics.iqm_low == pytest.approx(statistics.mean_low)


def test_the_interval_of_few_tasks_interquartile_mean_by_hand():
  # Without the ends, (2 + 3 + 4) / 3 = 3. Winsorised: 2, 2, 3, 4, 4, whose
  # deviation is 1: standard error 1 / sqrt(5) / (3 / 5). Two degrees of
  # freedom.
  (statistics,) = evaluation_statistics.over_tasks(
    _one_episode_each([-90, 2, 3, 4, 5])
  )
  assert statistics.iqm_high == pytest.approx(
    3 + 4.3027 / math.sqrt(5) / 0.6, abs=1e-4
  )
  # The other end is that of the resamples, most of which hold the outlier.
  assert statistics.iqm_low < 3 - 4.3027 / math.sqrt(5) / 0.6


@pytest.mark.parametrize('num_tasks', [2, 5])
@pytest.mark.parametrize('draw', ['normal', 'gamma'])
def test_intervals_cover_as_often_as_they_say(draw, num_tasks):
  rng = np.random.default_rng(num_tasks)
  # The mean and interquartile mean of a family of tasks, of which draws are
  # evaluated. Those of the gamma distribution are skewed, as returns are.
  draw, mean, interquartile_mean = {
    'normal': (lambda: rng.normal(size=num_tasks), 0.0, 0.0),
    'gamma': (lambda: rng.gamma(2.0, size=num_tasks), 2.0, 1.7250),
  }[draw]
  num_draws = 200
  covered = np.zeros(2)
  for _ in range(num_draws):
    (statistics,) = evaluation_statistics.over_tasks(_one_episode_each(draw()))
    covered += (
      statistics.mean_low < mean < statistics.mean_high,
      statistics.iqm_low < interquartile_mean < statistics.iqm_high,
    )
  # Of skewed returns the mean's covers 90 to 94%. Binomial(200, 0.91) is below
  # 0.86 once in a hundred; the percentile bootstrap covered 83% at 5 tasks.
  assert (covered / num_draws > 0.86).all()


def test_equal_returns_have_equal_statistics():
  values = np.random.default_rng(0).normal(size=(2, 30, 3))
  one, other = (evaluation_statistics.over_tasks(values) for _ in range(2))
  assert one == other


def test_tasks_that_do_not_differ_have_an_interval_without_width():
  (statistics,) = evaluation_statistics.over_tasks(np.full((1, 5, 2), 7.0))
  assert statistics[:6] == (7,) * 6


def test_a_single_task_has_no_interval():
  before, after = evaluation_statistics.over_tasks(_one_episode_each([3], [2]))
  assert (after.mean, after.iqm, after.worse) == (2, 2, 1)
  for name in ('mean_low', 'mean_high', 'iqm_low', 'iqm_high'):
    assert math.isnan(getattr(before, name))


def test_a_diverged_task_is_worse_and_makes_the_mean_nan():
  before, after = evaluation_statistics.over_tasks(
    _one_episode_each([1, 1, 1, 1], [2, np.nan, 2, 2])
  )
  assert after.worse == 0.25
  assert all(math.isnan(value) for value in after[:7])
  assert (before.mean, before.mean_low, before.worse) == (1, 1, 0)


def test_copies_of_tasks_by_hand():
  # Two tasks in two copies of two episodes: copies 0 and 2 are task 0.
  before = [[1, 3], [10, 10], [4, 4], [30, 50]]
  after = [[2, 2], [0, 2], [8, 10], [7, 7]]
  returns = np.array([before, after], np.float64)
  steps = evaluation_statistics.over_copies(returns, num_tasks=2)
  # The copies' means are (2, 4) and (10, 40), then (2, 9) and (1, 7).
  assert steps == (
    ((3, 2, 4, 0), (25, 10, 40, 0)),
    ((5.5, 2, 9, 2.5), (4, 1, 7, -21)),
  )


def test_without_intervals_only_their_ends_are_missing():
  returns = np.random.default_rng(0).normal(size=(2, 8, 3))
  for one, other in zip(
    evaluation_statistics.over_tasks(returns),
    evaluation_statistics.over_tasks(returns, with_intervals=False),
  ):
    for name, value in other._asdict().items():
      if name.endswith(('low', 'high')):
        assert math.isnan(value)
      else:
        assert value == getattr(one, name)
