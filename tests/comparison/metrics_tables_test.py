"""Metrics are read while a run writes them."""

import numpy as np
import pytest

from maml_tf.comparison import metrics_tables
from maml_tf.core import errors

_ROWS = 'iteration,return_step_0\n1,0.5\n2,0.25\n'


@pytest.mark.parametrize(
  'end',
  [
    '',
    '3',  # Half a row.
    '3,0.12',  # It may be half of 0.125.
    '3\n',
    '3,x\n',
    '3,1,2\n',
    '\0\0\0\n',  # After a loss of power.
  ],
)
def test_rows_that_are_not_whole_are_left_out(end, tmp_path):
  path = tmp_path / 'metrics.csv'
  path.write_text(_ROWS + end)
  table = metrics_tables.read(str(path))
  np.testing.assert_array_equal(table['iteration'], [1, 2])
  np.testing.assert_array_equal(table['return_step_0'], [0.5, 0.25])


@pytest.mark.parametrize('text', ['', 'iteration,ret', 'iteration,return\n'])
def test_a_file_without_rows_is_empty(text, tmp_path):
  path = tmp_path / 'metrics.csv'
  path.write_text(text)
  assert metrics_tables.read(str(path)) == {}


def test_a_file_that_is_no_table_is_one_line(tmp_path):
  path = tmp_path / 'metrics.csv'
  path.write_bytes(b'\xff\xfe\x00')
  with pytest.raises(errors.UsageError, match='cannot be read as a table'):
    metrics_tables.read(str(path))


def test_steps_are_in_the_order_of_their_numbers():
  names = ['return_step_10', 'return_step_9', 'return_min_step_0', 'kl']
  table = dict.fromkeys(names, np.zeros(1))
  assert metrics_tables.steps_of(table, 'return') == [
    'return_step_9',
    'return_step_10',
  ]
  assert metrics_tables.steps_of(table, 'kl') == ['kl']
  assert metrics_tables.steps_of(table, 'return_step_9') == ['return_step_9']
  metrics_tables.check_metric([table], 'kl')
  with pytest.raises(errors.UsageError) as error:
    metrics_tables.check_metric([table], 'retrun')
  assert str(error.value) == (
    'retrun is not a metric of all these runs: give return, or another of'
    ' return, return_min, kl'
  )


def test_an_iteration_without_a_return_leaves_a_gap_alone():
  values = np.array([1.0, np.nan, 3.0, 5.0])
  means = metrics_tables.moving_mean(values, 2)
  np.testing.assert_array_equal(means, [1, 1, 3, 4])
  alone = metrics_tables.moving_mean(np.array([np.nan, 2.0]), 1)
  assert np.isnan(alone[0])
