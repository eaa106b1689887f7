"""A comparison's tables, CSV files and page."""

import csv
import html
import os
import re

import cycler
import matplotlib
import pytest

from maml_tf.comparison import curves
from maml_tf.comparison import films
from maml_tf.comparison import page_style
from maml_tf.comparison import pictures
from maml_tf.comparison import remarks
from maml_tf.comparison import report
from maml_tf.comparison import run_groups
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
  out = tmp_path / 'new'
  text = report.write(run_records.read_all(runs[:2]), str(out), 0.005)
  assert 'last 0.5% of the iterations' in text
  assert 'What differs' not in text
  page = (out / 'comparison.html').read_text(encoding='utf-8')
  assert 'class="remark"' not in page
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
  large, small = films.read([str(tmp_path)]).by_folder[str(tmp_path)]
  assert (large.size, large.data_uri) == (9, '')
  assert small.data_uri == 'data:image/png;base64,eHh4'


def test_an_evaluation_of_other_columns_is_left_out(runs, tmp_path):
  (tmp_path / 'c' / 'evaluation.csv').write_text('policy,class\nrandom,1\n')
  (run,) = run_records.read_all(runs[2:])
  assert run.evaluated.size == 0 and run.num_iterations == 2


def test_what_a_comparison_mixes_is_remarked(runs, tmp_path):
  short = written_runs.write(tmp_path / 'd', [1, 2], {_STEP: 0.1})
  os.remove(tmp_path / 'c' / 'config.gin')
  (tmp_path / '<a>' / 'config_changes.txt').write_text('')
  text = report.write(run_records.read_all([*runs, short]), str(tmp_path))
  lines = [
    'c without a config.gin: what differs there is unknown',
    '<a> changed its settings on the way, see config_changes.txt there: it is'
    ' compared by those of its end',
    'A has runs of 2 to 10 iterations: its final returns mix shorter and longer'
    ' training',
  ]
  page = (tmp_path / 'comparison.html').read_text(encoding='utf-8')
  for line in lines:
    assert f'\n{line}\n' in text
    assert f'<p class="remark">{html.escape(line)}.</p>' in page
  assert 'Nothing but the seed' not in page and 'Unknown: not all' in page


def test_settings_of_a_run_without_a_config_are_unknown(runs, tmp_path):
  other = written_runs.write(tmp_path / 'd', [1])
  os.remove(tmp_path / 'd' / 'config.gin')
  runs = run_records.read_all([runs[0], runs[2], other])
  text = report.write(runs, str(tmp_path))
  assert re.search(r'\nInnerLoop\.step_size +0\.1 +0\.3 +unknown$', text)


def test_what_is_not_a_whole_film_does_not_stop_a_comparison(
  tmp_path, monkeypatch
):
  folder = str(tmp_path)
  (tmp_path / 'folder.png').mkdir()
  (tmp_path / 'link.png').symlink_to('nothing')
  (tmp_path / 'half.part.gif').write_bytes(b'x')
  (tmp_path / 'whole.gif').write_bytes(b'x')
  found = films.read([folder, folder])
  assert [film.name for film in found.by_folder[folder]] == ['whole.gif']
  assert found.faults == []

  def fail(path):
    raise PermissionError(13, 'Permission denied')

  monkeypatch.setattr(films, '_data_uri', fail)
  found = films.read([folder])
  assert found.by_folder[folder] == []
  assert found.faults == [
    f'{folder}/whole.gif cannot be read (Permission denied): it is not on the'
    ' page'
  ]


def test_films_of_a_folder_with_several_runs_are_shown_once(tmp_path):
  text = f'{written_runs.HEADER}\n1,100,2,1,2\n'
  (tmp_path / 'cheetah').mkdir()
  paths = [tmp_path / 'cheetah' / f'seed{seed}.csv' for seed in range(3)]
  for path in paths:
    path.write_text(text)
  (tmp_path / 'cheetah' / 'film.gif').write_bytes(b'x')
  report.write(run_records.read_all([*map(str, paths)]), str(tmp_path))
  page = (tmp_path / 'comparison.html').read_text(encoding='utf-8')
  assert page.count('data:image/gif') == 1
  assert page.count('cheetah/film.gif') == 1


def test_names_that_are_not_utf8_are_printable(tmp_path):
  path = written_runs.write(tmp_path / '\udcff', [1])
  (tmp_path / '\udcff' / '\udcfe.gif').write_bytes(b'x')
  runs = run_records.read_all([path])
  report.write(runs, str(tmp_path), title='\udcfd')
  page = (tmp_path / 'comparison.html').read_text(encoding='utf-8')
  assert r'\xff/\xfe.gif' in page and r'<h1>\xfd</h1>' in page


def test_all_groups_have_looks_and_letters_of_their_own(tmp_path):
  count = curves.NUM_LOOKS
  looks = [curves.look(index) for index in range(count + 1)]
  assert len({tuple(look.values()) for look in looks[:-1]}) == count
  assert looks[-1] == looks[0]
  for style in {look['linestyle'] for look in looks} - {'solid'}:
    assert f'.letter.{style} ' in page_style.CSS
  (group,) = run_groups.group(
    run_records.read_all([written_runs.write(tmp_path / 'run', [1])])
  )
  (line,) = remarks.of_groups([group] * (count + 1))
  assert line == '41 groups have 40 colours and styles: some look the same'


def test_colours_do_not_depend_on_the_users_style(runs, tmp_path):
  cycle = cycler.cycler(color=['#000000'])
  with matplotlib.rc_context({'axes.prop_cycle': cycle}):
    report.write(run_records.read_all(runs), str(tmp_path))
  page = (tmp_path / 'comparison.html').read_text(encoding='utf-8')
  for color in ('#1f77b4', '#ff7f0e'):
    assert f'background:{color}' in page and f'stroke: {color}' in page


def test_texts_of_a_picture_stand_as_they_are(tmp_path):
  # A formula of Matplotlib could not be parsed; an underscore would hide it.
  files = [tmp_path / '_a.csv', tmp_path / 'cost $\\x$.csv']
  for file in files:
    file.write_text(f'{written_runs.HEADER}\n1,100,2,1,2\n')
  groups = run_groups.group(run_records.read_all([*map(str, files)]))
  out = tmp_path / 'new' / 'plot.SVG'
  with matplotlib.rc_context({'svg.fonttype': 'none'}):
    figure = pictures.draw_curves(groups, title='$\\y$')
    pictures.write(figure, str(out))
  svg = out.read_text(encoding='utf-8')
  for text in ('_a (1 run)', 'cost $\\x$ (1 run)', '$\\y$'):
    assert f'>{text}</text>' in svg
