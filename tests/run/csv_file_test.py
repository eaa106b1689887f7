"""Rows of earlier processes are continued; nothing of them goes silently."""

import csv

import pytest

from maml_tf.core import errors
from maml_tf.run import csv_file

COLUMNS = ('iteration', 'a', 'b')
TEXT = 'iteration,a,b\n1,0.1,0.2\n2,0.3,0.4\n3,0.5,0.6\n'


@pytest.fixture(name='path')
def write_file(tmp_path):
  path = tmp_path / 'metrics.csv'
  path.write_text(TEXT, encoding='utf-8')
  return path


def _continue(path, first_iteration=4, columns=COLUMNS):
  """Writes one more row; returns the lines of the plan and all rows."""
  plan = csv_file.plan(str(path), first_iteration, columns)
  file = csv_file.CsvFile(str(path), first_iteration, columns)
  file.write(first_iteration, [dict(zip(columns, (first_iteration, 0.7, 0.8)))])
  file.close()
  with open(path, newline='', encoding='utf-8') as text:
    return plan.lines, list(csv.DictReader(text))


def test_the_same_columns_go_on(path):
  lines, _ = _continue(path)
  assert not lines
  assert path.read_text(encoding='utf-8') == TEXT + '4,0.7,0.8\n'


def test_a_plan_writes_nothing(path):
  csv_file.plan(str(path), 2, ('iteration', 'other'))
  assert path.read_text(encoding='utf-8') == TEXT


def test_a_new_column_has_nan_so_far(path):
  lines, rows = _continue(path, columns=(*COLUMNS, 'new'))
  assert lines == ('has no new: added, NaN so far',)
  assert [row['new'] for row in rows] == ['nan', 'nan', 'nan', 'nan']
  assert [row['b'] for row in rows] == ['0.2', '0.4', '0.6', '0.8']


def test_a_column_that_ended_has_nan_from_now(path):
  lines, rows = _continue(path, columns=('iteration', 'b'))
  assert lines == ('has a: not written any more, NaN from now',)
  assert [row['a'] for row in rows] == ['0.1', '0.3', '0.5', 'nan']
  assert [row['b'] for row in rows] == ['0.2', '0.4', '0.6', '0.7']


def test_a_renamed_column_is_both(path):
  path.write_text(TEXT.replace(',b', ',c', 1), encoding='utf-8')
  lines, rows = _continue(path)
  assert [line.partition(':')[0] for line in lines] == ['has no b', 'has c']
  assert [row['b'] for row in rows] == ['nan', 'nan', 'nan', '0.8']
  assert [row['c'] for row in rows] == ['0.2', '0.4', '0.6', 'nan']


def test_columns_may_stand_in_another_order(path):
  lines, rows = _continue(path, columns=('iteration', 'b', 'a'))
  assert not lines
  assert rows[-1] == {'iteration': '4', 'a': '0.8', 'b': '0.7'}


@pytest.mark.parametrize(
  'text',
  [
    # No header, a renamed key, another separator, no text.
    TEXT.partition('\n')[2],
    TEXT.replace('iteration', 'step'),
    TEXT.replace(',', ';'),
    'iteration,a,b\nx,0.1,0.2\n',
    'iteration,\xe9\n',
    '\0\0\n',
    # A header that lacks a column; somebody's notes.
    'iteration,a\n1,0.1,0.2\n2,0.3,0.4\n',
    'notes',
  ],
)
def test_what_is_no_table_of_a_run_is_refused(text, path):
  path.write_bytes(text.encode('latin-1'))
  with pytest.raises(errors.UsageError, match='does not hold the rows of a r'):
    csv_file.plan(str(path), 4, COLUMNS)
  assert path.read_bytes() == text.encode('latin-1')


def test_a_spreadsheets_mark_does_not_matter(path):
  path.write_text(TEXT, encoding='utf-8-sig')
  lines, rows = _continue(path)
  assert not lines
  assert [row['iteration'] for row in rows] == list('1234')


@pytest.mark.parametrize(
  ('text', 'missing'),
  [
    (TEXT, ''),
    (TEXT.replace('2,0.3,0.4\n', ''), '2'),
    (TEXT.replace('2,0.3,0.4\n', '2,0.3\n'), '2'),
    ('iteration,a,b\n3,0.5,0.6\n', '1 to 2'),
    ('iteration,a,b\n2,0.5,0.6\n', '1, 3'),
  ],
)
def test_iterations_without_a_row_are_named(text, missing, path):
  path.write_text(text, encoding='utf-8')
  plan = csv_file.plan(str(path), 4, COLUMNS)
  assert csv_file.missing_iterations(plan, 3) == missing


@pytest.mark.parametrize(
  ('text', 'kept', 'broken'),
  [
    # The last number is cut: -0.6 may have been -0.62.
    ('iteration,a,b\n1,0.1,0.2\n2,0.3,-0.6', ['1'], 1),
    ('iteration,a,b\n1,0.1,0.2\n2,x,0.4\n3,0.5,0.6\n', ['1', '3'], 1),
    # An evaluation, of which a row is cut, is dropped whole.
    ('iteration,a,b\n1,0,0.2\n1,1,0.2\n3,0,0.4\n3,1\n', ['1', '1'], 2),
  ],
)
def test_broken_rows_are_dropped_and_told(text, kept, broken, path):
  path.write_text(text, encoding='utf-8')
  plan = csv_file.plan(str(path), 9, COLUMNS)
  assert [row[0] for row in plan.rows] == kept
  assert plan.lines == (
    f'has rows that are cut or hold no numbers: {broken} dropped',
  )


@pytest.mark.parametrize('text', ['', 'iteration,a,b\n', 'iterat'])
def test_a_file_without_rows_begins_with_the_next_row(text, path):
  path.write_text(text, encoding='utf-8')
  lines, rows = _continue(path)
  assert lines == ('has no rows',)
  assert [row['iteration'] for row in rows] == ['4']


def test_a_file_that_is_missing(path):
  path.unlink()
  lines, rows = _continue(path)
  assert lines == ('is missing',)
  assert [row['iteration'] for row in rows] == ['4']
