"""A comparison's tables, CSV files and page."""

import csv
import re

import pytest

from maml_tf.comparison import curves
from maml_tf.comparison import films
from maml_tf.comparison import report
from maml_tf.comparison import run_records
from tests.comparison import written_runs

_STEP = 'InnerLoop.step_size'


def _rows(path):
  with open(path, newline='', encoding='utf-8') as file:
    return list(csv.DictReader(file))


@pytest.fixture(name='runs')
def fixture_runs(tmp_path):
  """Two seeds of one config, and a run of another."""
  paths = []
  for name, seed, step, returns in (
    ('<a>', 0, 0.1, [*range(1, 10), 30]),
    ('b', 1, 0.1, [*range(1, 10), 10]),
    ('c', 0, 0.3, [5, 6]),
  ):
    settings = {_STEP: step, 'train_eval.seed': seed}
    paths.append(written_runs.write(tmp_path / name, returns, settings))
  return paths


def test_the_report(runs, tmp_path):
  folder = tmp_path / '<a>'
  (folder / 'run.gif').write_bytes(b'GIF89a')
  (folder / 'evaluation.csv').write_text(
    'policy,task,step,return\n'
    'trained,0,0,1\ntrained,0,1,3\ntrained,1,0,2\ntrained,1,1,5\nrandom,0,0,9\n'
  )
  # 20% of 10 iterations: (9 + 30) / 2 = 19.5 and (9 + 10) / 2 = 9.5, whose mean
  # is 14.5; of 2 iterations: the last, 6.
  text = report.write(run_records.read_all(runs), str(tmp_path), 0.2)
  assert 'A  InnerLoop.step_size = 0.1: <a>, b' in text
  assert re.search(r'\nA +2 .* 14\.50 \[9\.50, 19\.50\] .*\n', text)
  assert re.search(r'\nB +1 .* 6\.00 ', text)
  assert re.search(r'\nA +1 +1\.500 +4\.000\n', text)  # The evaluation.
  assert re.search(r'\nInnerLoop\.step_size +0\.1 +0\.3$', text)

  first, second = _rows(tmp_path / 'comparison.csv')
  assert first['return_step_1_iqm'] == '14.5'
  assert first['return_step_0_iqm'] == '7.25'
  assert first['evaluation_return_step_1_iqm'] == '4'
  assert (first['seeds'], first['env_steps_max'], first[_STEP]) == (
    ('0 1', '1000', '0.1')
  )
  assert (second['return_step_1_iqm'], second['return_step_1_low']) == ('6', '')
  rows = _rows(tmp_path / 'runs.csv')
  assert [(r['group'], r['run'], r['return_step_1']) for r in rows] == [
    ('A', '<a>', '19.5'),
    ('A', 'b', '9.5'),
    ('B', 'c', '6'),
  ]

  page = (tmp_path / 'comparison.html').read_text(encoding='utf-8')
  assert page.count('<svg') == 3 and 'currentColor' in page
  assert 'data:image/gif;base64,R0lGODlh"' in page
  assert '&lt;a&gt; (seed 0)' in page and '<a>' not in page
  # It opens without a network, and has no name twice.
  addresses = set(re.findall(r'(?:href|src)="([^#d][^"]*)"', page))
  assert addresses == set() and '@import' not in page
  names = re.findall(r' id="([^"]*)"', page)
  assert len(names) == len(set(names))


def test_runs_that_differ_in_nothing_but_the_seed(runs, tmp_path):
  text = report.write(run_records.read_all(runs[:2]), str(tmp_path))
  assert 'What differs' not in text
  page = (tmp_path / 'comparison.html').read_text(encoding='utf-8')
  assert 'Nothing but the seed.' in page
  assert 'data:' not in page and 'Pictures and films' not in page


def test_a_single_iteration_is_drawn_and_compared(tmp_path):
  runs = [written_runs.write(tmp_path / 'run', [4])]
  text = report.write(run_records.read_all(runs), str(tmp_path))
  assert re.search(r'\nA +1 +2\.000 +4\.000 ', text)


def test_curves_end_with_the_shortest_run(runs):
  tables = [run.table for run in run_records.read_all([runs[0], runs[2]])]
  found = curves.of_tables(tables, 'return', mean_over=1)
  assert found.values.shape == (2, curves.NUM_POINTS, 2)
  assert (found.x[0], found.x[-1]) == (100, 200)
  assert found.values[1, -1].tolist() == [2, 6]
  (xs, values), (end, _) = found.tails
  assert xs.tolist() == [100.0 * i for i in range(2, 11)]
  assert values[1, -1] == 30 and end.tolist() == [200]


def test_films_that_no_mail_can_take_are_left_out(tmp_path, monkeypatch):
  (tmp_path / 'large.mp4').write_bytes(b'x' * 9)
  (tmp_path / 'small.png').write_bytes(b'x' * 3)
  (tmp_path / 'text.txt').write_text('')
  monkeypatch.setattr(films, 'MOST_BYTES', 10)
  large, small = films.read([str(tmp_path)])[str(tmp_path)]
  assert (large.size, large.data_uri) == (9, '')
  assert small.data_uri == 'data:image/png;base64,eHh4'


def test_an_evaluation_of_other_columns_is_left_out(runs, tmp_path):
  (tmp_path / 'c' / 'evaluation.csv').write_text('policy,class\nrandom,1\n')
  (run,) = run_records.read_all(runs[2:])
  assert run.evaluated.size == 0 and run.num_iterations == 2
