"""The table of a sweep has each run's settings and last returns."""

import csv
import math

from maml_tf.sweeping import axes
from maml_tf.sweeping import plan
from maml_tf.sweeping import table

_HEADER = 'iteration,env_steps,wall_seconds,return_step_0,return_step_1\n'


def _write_metrics(folder, num_rows):
  folder.mkdir()
  rows = [f'{i},{10 * i},{i}.5,{-i},{i}' for i in range(1, num_rows + 1)]
  (folder / 'metrics.csv').write_text(_HEADER + '\n'.join(rows) + '\n')


def test_the_last_tenth_counts(tmp_path):
  _write_metrics(tmp_path / 'run', 20)
  # The mean of 19 and 20.
  assert table.read_ends(str(tmp_path / 'run')) == (20, 200, 20.5, -19.5, 19.5)


def test_each_iteration_has_its_return(tmp_path):
  _write_metrics(tmp_path / 'run', 20)
  returns = table.read_returns(str(tmp_path / 'run'), 17)
  # The last one is the mean of 19 and 20.
  assert returns == [(18, 17.5), (19, 18.5), (20, 19.5)]
  assert len(table.read_returns(str(tmp_path / 'run'))) == 20
  assert table.read_returns(str(tmp_path / 'missing')) == []


def test_runs_without_rows_have_no_ends(tmp_path):
  for name, text in (('a', None), ('b', ''), ('c', _HEADER)):
    (tmp_path / name).mkdir()
    if text is not None:
      (tmp_path / name / 'metrics.csv').write_text(text)
    ends = table.read_ends(str(tmp_path / name))
    assert ends[:3] == (0, 0, 0)
    assert math.isnan(ends.return_before)
  assert table.read_ends(str(tmp_path / 'missing')).iterations == 0


def test_rows_of_runs(tmp_path):
  runs = plan.runs(plan.grid([axes.parse('f.x=1,(2,3)')]), [0])
  _write_metrics(tmp_path / 'x=1,seed=0', 3)
  statuses = {'x=1,seed=0': table.FINISHED, 'x=2_3,seed=0': table.WAITING}
  ends = {run.name: table.read_ends(str(tmp_path / run.name)) for run in runs}
  table.write(str(tmp_path), runs, statuses, ends)
  with open(tmp_path / table.TABLE_FILE, newline='') as file:
    first, second = csv.DictReader(file)
  assert first == {
    'run': 'x=1,seed=0',
    'f.x': '1',
    'seed': '0',
    'status': 'finished',
    'iterations': '3',
    'env_steps': '30',
    'seconds': '3.500',
    'return_before': '-3.000',
    'return_after': '3.000',
  }
  assert second['f.x'] == '(2,3)'
  assert second['return_after'] == ''
  assert table.read_finished(str(tmp_path)) == {'x=1,seed=0'}


def test_a_missing_or_broken_table_finishes_nothing(tmp_path):
  assert table.read_finished(str(tmp_path)) == set()
  (tmp_path / table.TABLE_FILE).write_bytes(b'\xff\x00')
  assert table.read_finished(str(tmp_path)) == set()
  (tmp_path / table.TABLE_FILE).write_text('a,b\n1,2\n')
  assert table.read_finished(str(tmp_path)) == set()
