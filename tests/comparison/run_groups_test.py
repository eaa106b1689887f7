"""Runs are grouped and named by what differs in their configs."""

import pytest

from maml_tf.comparison import remarks
from maml_tf.comparison import run_groups
from maml_tf.comparison import run_records
from tests.comparison import written_runs

_SEED = 'train_eval.seed'
_STEP = 'InnerLoop.step_size'


@pytest.fixture(name='group')
def fixture_group(tmp_path):
  """Writes runs of settings, and groups them."""

  def group(*configs):
    paths = []
    for index, (settings, bound) in enumerate(configs):
      folder = tmp_path / f'run{index}'
      paths.append(written_runs.write(folder, [1], settings, bound))
    return run_groups.group(run_records.read_all(paths))

  return group


def _names(groups):
  return [[run.name for run in group.runs] for group in groups]


def test_seeds_are_one_group(group):
  environment = {'train_eval.environment_class': '@maml_tf.AntGoal'}
  # A resumed run may change how long it trains.
  lengths = [{'train_eval.num_iterations': n} for n in (10, 20)]
  groups = group(
    (environment | {_SEED: 0} | lengths[0], ()),
    (environment | {_SEED: 1} | lengths[1], ()),
  )
  assert _names(groups) == [['run0', 'run1']]
  assert groups[0].label == 'AntGoal'
  assert groups[0].settings == {}
  assert [run.seed for run in groups[0].runs] == ['0', '1']
  assert remarks.of_groups(groups) == []


def test_labels_name_the_difference(group):
  groups = group(
    ({_STEP: 0.1, _SEED: 0}, ()),
    ({_STEP: 0.3, _SEED: 0}, ()),
    ({_STEP: 0.1, _SEED: 0}, ()),
  )
  assert _names(groups) == [['run0', 'run2'], ['run1']]
  assert [g.label for g in groups] == [f'{_STEP} = 0.1', f'{_STEP} = 0.3']
  assert groups[1].settings == {_STEP: '0.3'}
  (line,) = remarks.of_groups(groups)
  assert line.startswith('run0 and run2 have the same settings and seed 0')
  assert 'not independent draws' in line


def test_labels_of_many_differences_are_as_short_as_they_can_be(group):
  others = [f'MamlAgent.s{i}' for i in range(4)]
  groups = group(
    ({_STEP: 0.1} | dict.fromkeys(others, 1), ()),
    ({_STEP: 0.3} | dict.fromkeys(others, 1), ()),
    ({_STEP: 0.5} | dict.fromkeys(others, 2), ()),
  )
  assert [group.label for group in groups] == [
    f'{_STEP} = {value} and 4 more settings' for value in (0.1, 0.3, 0.5)
  ]


def test_labels_of_changes_of_one_config_show_the_changes(group):
  names = [f'MamlAgent.s{i}' for i in range(4)]
  base = dict.fromkeys(names, 1)
  groups = group((base, ()), *((base | {name: 2}, ()) for name in names))
  assert [group.label for group in groups] == [
    'as most others',
    *(f'{name} = 2' for name in names),
  ]


def test_a_parameter_that_a_run_lacks_has_its_default(group):
  new, schedule = 'MamlAgent.new_parameter', 'PolynomialDecay.decay_steps'
  groups = group(
    ({_STEP: 1, new: 5, schedule: 9}, (_STEP, schedule)),
    ({_STEP: 1}, (_STEP,)),
  )
  # Bound in one run, and not used in the other.
  assert [g.settings for g in groups] == [{schedule: '9'}, {schedule: None}]
  assert groups[1].label == f'{schedule} not set'


def test_macros_are_their_values(group):
  def config(seed, rate):
    macros = {'seed': seed, 'rate': '%other', 'other': rate}
    return {_SEED: '%seed', _STEP: '%rate'} | macros

  groups = group(
    (config(0, 0.1), ()), (config(1, 0.1), ()), (config(0, 0.3), ())
  )
  assert _names(groups) == [['run0', 'run1'], ['run2']]
  assert groups[1].label == f'{_STEP} = 0.3'
  assert [run.seed for run in groups[0].runs] == ['0', '1']


def test_longer_names_of_the_same_function_are_no_difference(group):
  long, owner = '@tf.keras.optimizers.Adam()', 'GradientUpdate.optimizer'
  assert len(group(({owner: long}, ()), ({owner: '@Adam()'}, ()))) == 1


def test_other_functions_of_the_same_name_are_a_difference(group):
  owner = 'GradientUpdate.optimizer'
  groups = group(({owner: '@mine.Adam()'}, ()), ({owner: '@its.Adam()'}, ()))
  assert [group.label for group in groups] == [
    f'{owner} = @mine.Adam()',
    f'{owner} = @its.Adam()',
  ]


def test_runs_without_a_config_are_groups_of_their_own(tmp_path):
  files = [tmp_path / 'a.csv', tmp_path / 'b.csv']
  for file in files:
    file.write_text('env_steps,return_step_0\n1,2\n')
  runs = run_records.read_all([*map(str, files), str(files[0])])
  assert [g.label for g in run_groups.group(runs)] == ['a', 'b']


def test_files_that_share_a_config_are_seeds(tmp_path):
  written_runs.write(tmp_path / 'run', [1], {_SEED: 0})
  text = (tmp_path / 'run' / 'metrics.csv').read_text()
  for name in ('seed0.csv', 'seed1.csv'):
    (tmp_path / 'run' / name).write_text(text)
  paths = [str(tmp_path / 'run' / f'seed{seed}.csv') for seed in (0, 1)]
  (group,) = run_groups.group(run_records.read_all(paths))
  assert [run.seed for run in group.runs] == ['', '']


def test_runs_are_named_as_shortly_as_they_can_be():
  for paths, names in (
    (['runs/a/metrics.csv', 'runs/b/metrics.csv'], ['a', 'b']),
    (['runs/a', 'runs/b/'], ['a', 'b']),
    (['results/seed0.csv', 'seed1.csv'], ['seed0', 'seed1']),
    (['x/run/metrics.csv', 'y/run'], ['x/run', 'y/run']),
    (['a/metrics.csv', 'a/metrics.csv'], ['a', 'a']),
    (['runs/v1.0', 'runs/v1.1'], ['v1.0', 'v1.1']),
    (['x/seed0', 'x/seed0.csv', 'x/a.csv'], ['seed0', 'seed0.csv', 'a']),
    (['runs/a', 'runs/a/metrics.csv'], ['a', 'a']),
    (['runs/\udcff'], [r'\xff']),
  ):
    assert run_records.run_names(paths) == names


def test_a_run_is_one_by_its_folder_and_by_its_table(tmp_path):
  path = written_runs.write(tmp_path / 'run', [1])
  paths = [path, f'{path}/metrics.csv']
  assert [run.name for run in run_records.read_all(paths)] == ['run']


def test_values_that_labels_cut_do_not_make_them_equal(group):
  groups = group(*(({_STEP: f"'{'x' * 50}{i}'"}, ()) for i in (0, 1)))
  cut = f"{_STEP} = '{'x' * 36}..., as in run"
  assert [group.label for group in groups] == [f'{cut}0', f'{cut}1']


def test_a_run_that_lost_its_first_rows_has_all_its_iterations(tmp_path):
  path = written_runs.write(tmp_path / 'run', [1])
  written_runs.write_rows(
    tmp_path / 'run', 'iteration,return_step_0\n8,1\n9,1\n'
  )
  (run,) = run_records.read_all([path])
  assert run.num_iterations == 9
