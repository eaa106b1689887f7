"""Grids, draws and the names of their runs."""

import re
import time

import pytest

from maml_tf.core import paths
from maml_tf.sweeping import axes as axes_lib
from maml_tf.sweeping import plan


def _axes(*texts):
  return [axes_lib.parse(text) for text in texts]


def test_a_grid_has_all_combinations_and_readable_names():
  points = plan.grid(
    _axes('InnerLoop.step_size=0.1,0.3', 'f.sizes=(4,),(4, 4)')
  )
  assert [point.name for point in points] == [
    'step_size=0.1,sizes=4',
    'step_size=0.1,sizes=4_4',
    'step_size=0.3,sizes=4',
    'step_size=0.3,sizes=4_4',
  ]
  assert points[1].bindings == ['InnerLoop.step_size = 0.1', 'f.sizes = (4, 4)']


def test_runs_begin_with_the_first_seed():
  runs = plan.runs(plan.grid(_axes('f.x=1,2')), range(5, 7))
  assert [(run.name, run.seed) for run in runs] == [
    ('x=1,seed=5', 5),
    ('x=2,seed=5', 5),
    ('x=1,seed=6', 6),
    ('x=2,seed=6', 6),
  ]


def test_without_settings_runs_differ_in_their_seed():
  (point,) = plan.grid([])
  assert point.bindings == []
  assert [run.name for run in plan.runs([point], [0, 1])] == [
    'seed=0',
    'seed=1',
  ]


def test_names_have_as_much_of_a_setting_as_tells_it_apart():
  (point,) = plan.grid(
    _axes('Adam.learning_rate=1', 'SGD.learning_rate=2', 'a/f.x=3', 'b/f.x=4')
  )
  assert (
    point.name == 'Adam.learning_rate=1,SGD.learning_rate=2,a.f.x=3,b.f.x=4'
  )


def test_names_are_unique_and_fit_for_folders(tmp_path):
  values = ["'a b'", "'a_b'", "'a/b'", '[1]', '(1,)', '@f()', '@f', "'é'"]
  values += [f"'{'x' * 300}'", f"'{'x' * 300}y'", "''"]
  points = plan.grid(_axes(f'f.x={",".join(values)}'))
  names = [run.name for run in plan.runs(points, [0])]
  assert len(set(names)) == len(values)
  for name in names:
    assert re.fullmatch(r'[\w.,=+-]+', name)
    paths.check_folder('--root_dir', str(tmp_path / name))


def test_added_values_leave_names_as_they_are():
  few = plan.grid(_axes("f.x='a b','a_b'"))
  more = plan.grid(_axes("f.x='a b','a_b','a/b'"))
  assert more[:2] == few


def test_more_draws_begin_with_the_same():
  axes = _axes('f.x=log(1e-4,1e-2)', 'f.y=1,2,3')
  points = plan.draws(axes, 20)
  assert plan.draws(axes, 5) == points[:5]
  assert len({point.name for point in points}) == 20
  assert {point.settings['f.y'] for point in points} == {'1', '2', '3'}


def test_draws_do_not_repeat():
  axes = _axes('f.x=1,2', 'f.y=1,2')
  assert len(plan.draws(axes, 4)) == 4
  with pytest.raises(ValueError, match='has only 4 combinations'):
    plan.draws(axes, 5)


def test_too_many_draws_are_refused_at_once():
  axes = _axes(f'f.x={",".join(map(str, range(500)))}', 'f.y=integer(1,4)')
  start = time.monotonic()
  with pytest.raises(ValueError, match='has only 2000 combinations'):
    plan.draws(axes, 10_000)
  assert time.monotonic() - start < 1


def test_combinations_of_lists_are_counted_before_they_are_made():
  values = ','.join(map(str, range(1000)))
  axes = _axes(*(f'f.{name}={values}' for name in 'abcd'), 'f.x=log(1,2)')
  assert plan.num_combinations(axes) == 10**12


def test_a_grid_needs_lists_and_settings_once():
  with pytest.raises(ValueError, match='f.x has a range: give --random=N'):
    plan.grid(_axes('f.x=log(1,2)'))
  for make in (plan.grid, lambda axes: plan.draws(axes, 1)):
    with pytest.raises(ValueError, match='--set has f.x twice'):
      make(_axes('f.x=1', 'f.x=2'))
