"""Gin files: finding, parsing, recording, comparing when a run resumes."""

import os
import pathlib

import gin
import pytest

import maml_tf
from maml_tf.core import errors
from maml_tf.core import shipped_configs
from maml_tf.core import version
from maml_tf.environments import point_navigation
from maml_tf.run import config as run_config
from maml_tf.run import config_record
from maml_tf.run import experiment

LONG = tuple(range(100000, 100040))


@gin.configurable(module='run_config_test')
def settings(a=1, b=2, widths=(8,), text='', cls=None, zz=0):
  """Something to configure."""
  return a, b, widths, text, cls, zz


@gin.configurable(module='run_config_test')
def zettings(aa=1):
  """Something whose name comes after."""
  return aa


@gin.configurable(module='run_config_test')
def stepping(step_size=0.5):
  """Something with a step size."""
  return step_size


def _configure(*bindings):
  """Parses bindings and uses them all, which makes them operative."""
  gin.clear_config()
  run_config.parse([], list(bindings))
  settings()
  zettings()


def _configure_run(*bindings):
  """Does the same for `train_eval`, which stops before it builds anything."""
  gin.clear_config()
  run_config.parse(
    [],
    [
      'train_eval.environment_class = @PointNavigation',
      'train_eval.num_iterations = 5',
      'train_eval.horizon = 0',
      *bindings,
    ],
  )
  # What the run would build next to it in the alphabet.
  point_navigation.PointNavigation()
  zettings()
  with pytest.raises(errors.UsageError, match='horizon'):
    experiment.train_eval('not_written')


def _text(directory):
  return (directory / 'config.gin').read_text(encoding='utf-8')


def test_configs_are_those_of_the_checkout():
  root = pathlib.Path(run_config.__file__).parents[2]
  names = {path.name for path in (root / 'gin_configs').glob('*.gin')}
  assert run_config.shipped_configs() == sorted(names)
  assert {'cheetah.gin', 'point.gin'} <= names


def test_finds_shipped_configs_from_any_directory(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  run_config.parse(['point.gin'], [])
  assert gin.query_parameter('train_eval.environment_class') is not None


def test_a_file_of_the_user_comes_before_a_shipped_one(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  pathlib.Path('point.gin').write_text(
    'train_eval.num_iterations = 77', encoding='utf-8'
  )
  run_config.parse(['point.gin'], [])
  assert gin.query_parameter('train_eval.num_iterations') == 77
  with pytest.raises(ValueError):
    gin.query_parameter('train_eval.environment_class')


def test_a_file_of_the_user_may_include_a_shipped_one(tmp_path, capfd, caplog):
  path = tmp_path / 'mine.gin'
  path.write_text(
    "include 'point.gin'\ntrain_eval.num_iterations = 77\n", encoding='utf-8'
  )
  run_config.parse([str(path)], [])
  assert gin.query_parameter('train_eval.num_iterations') == 77
  assert gin.query_parameter('train_eval.environment_class') is not None
  # Gin logs an error for each folder without the file.
  assert not caplog.records
  assert capfd.readouterr() == ('', '')


def test_later_files_and_then_bindings_win(tmp_path):
  paths = [tmp_path / 'one.gin', tmp_path / 'two.gin']
  paths[0].write_text('settings.a = 10\nsettings.b = 10', encoding='utf-8')
  paths[1].write_text('settings.b = 20\nsettings.zz = 20', encoding='utf-8')
  run_config.parse([str(p) for p in paths], ['settings.zz = 30'])
  assert settings()[:2] == (10, 20)
  assert settings()[-1] == 30


def test_a_missing_file_is_an_error_that_lists_what_ships():
  with pytest.raises(errors.UsageError) as error:
    run_config.parse(['point.gin', 'nowhere/cheeta.gin'], [])
  assert str(error.value) == (
    'nowhere/cheeta.gin does not exist (did you mean cheetah.gin?): give a path'
    f' or {run_config.choices()}'
  )
  groups = shipped_configs.groups()
  for name in (*groups.experiments, *groups.algorithms):
    assert name in run_config.choices()


def test_a_folder_is_not_a_file(tmp_path):
  with pytest.raises(errors.UsageError, match='is a folder: give a gin'):
    run_config.parse([str(tmp_path)], [])


def test_a_trust_region_takes_no_optimizer():
  line = 'TrustRegionUpdate.optimizer = @tf.keras.optimizers.Adam()'
  with pytest.raises(errors.UsageError, match="doesn't have.*'optimizer'"):
    run_config.parse(['point.gin', 'maml_trpo.gin'], [line])


@pytest.mark.parametrize(
  ('line', 'named'),
  [
    ('MamlAgent.inner_step_sise = 0.1', 'inner_step_sise'),
    ('InnerLop.step_size = 0.1', 'InnerLop'),
    ('train_eval.root_dir = "x"', 'root_dir'),
    ('import maml_tf.nowhere', 'maml_tf.nowhere'),
    ("include 'nowhere.gin'", 'nowhere.gin'),
    # Not Python literals.
    ('InnerLoop.step_size = ', 'no value that gin reads'),
    ('InnerLoop.step_size = nan', "'nan' is not a value"),
    ('InnerLoop.step_size = 10**2', 'more follows than a value'),
    ('InnerLoop.step_size = "a', 'no value that gin reads'),
    ('InnerLoop.step_size', 'it is no setting'),
    ('InnerLoop.step_size = [1,\n  2', "this '[' is not closed: add its ']'"),
    ('InnerLoop.step_size = [\nMamlAgent.discount = 0.5', "this '['"),
    ('  InnerLoop.step_size = 1\n MamlAgent.discount = 1', 'unindent'),
  ],
)
@pytest.mark.parametrize('in_file', [False, True])
def test_a_bad_line_is_an_error_of_one_line_that_names_it(
  line, named, in_file, tmp_path, capfd, caplog
):
  lines = ['MamlAgent.discount = 0.5', line]
  path = tmp_path / 'bad.gin'
  path.write_text('\n'.join(lines), encoding='utf-8')
  with pytest.raises(errors.UsageError) as error:
    run_config.parse(*(([str(path)], []) if in_file else ([], lines)))
  message = str(error.value)
  assert '\n' not in message
  assert named in message
  if 'import' not in line:
    first = line.strip().partition('\n')[0]
    assert first in message or 'discount = 1' in message
    where = 'bad.gin, line ' if in_file else '--gin_bindings='
    assert message.startswith((str(path.parent), where))
    assert not in_file or 'bad.gin, line ' in message
  assert not caplog.records
  assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (b"include 'bad.gin'\n", r'bad.gin includes itself (bad.gin -> bad.gin)'),
    (
      b"include 'b.gin'\n",
      'bad.gin includes itself (bad.gin -> b.gin -> bad.gin): remove one',
    ),
    (b'a = 1\n# caf\xe9\n', 'bad.gin, line 2: byte 0xe9 is not UTF-8'),
    (b'\xef\xbb\xbfa = 1\n', 'bad.gin, line 1: it begins with a byte order'),
  ],
)
def test_files_that_gin_would_not_survive(
  content, message, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  pathlib.Path('bad.gin').write_bytes(content)
  pathlib.Path('b.gin').write_text("include 'bad.gin'\n", encoding='utf-8')
  with pytest.raises(errors.UsageError) as error:
    run_config.parse(['bad.gin'], [])
  assert message in str(error.value)


def test_a_file_may_be_included_twice(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  pathlib.Path('a.gin').write_text('settings.a = 7\n', encoding='utf-8')
  pathlib.Path('b.gin').write_text("include 'a.gin'\n" * 2, encoding='utf-8')
  run_config.parse(['b.gin', 'a.gin'], [])
  assert settings()[0] == 7


def test_a_binding_may_go_on_in_the_next_one():
  run_config.parse([], ['settings.a = [', '1,', '2]'])
  assert settings()[0] == [1, 2]


@pytest.mark.parametrize(
  ('line', 'said'),
  [
    ('MamlAgent.discont = 1', 'did you mean discount?'),
    ('InnerLop.step_size = 1', 'did you mean InnerLoop'),
    ('MamlAgent.meta_update = @GradientUpdat()', 'did you mean GradientUpdate'),
    ('train_eval.root_dir = "x"', 'root_dir is not a setting: give --root_dir'),
    ('train_eval.strategy = "x"', 'strategy is not a setting: give --strategy'),
    ('MamlAgent.action_spec = 1', 'action_spec from the run: it is not a set'),
    (
      'MamlAgent.meta_update = @tf.keras.optimizers.Foo()',
      'AdamW, Adamax, Ftr',
    ),
  ],
)
def test_names_that_are_nearly_right(line, said):
  with pytest.raises(errors.UsageError) as error:
    run_config.parse([], [line])
  assert said in str(error.value)


def test_a_new_run_records_what_is_used(tmp_path):
  root_dir = tmp_path / 'runs' / 'new'
  _configure('settings.a = 10')
  config_record.write_or_check(str(root_dir))
  text = _text(root_dir)
  # What the user set, and defaults that another version may change.
  assert 'settings.a = 10\n' in text
  assert 'settings.b = 2\n' in text
  assert [p.name for p in root_dir.iterdir()] == ['config.gin']


def test_the_record_can_be_parsed_and_is_the_same_config(tmp_path):
  bindings = (
    'settings.a = 0.1',
    f'settings.widths = {LONG}',
    f"settings.text = '{'long ' * 40}'",
    'settings.cls = @PointNavigation',
  )
  _configure(*bindings)
  expected = settings()
  config_record.write_or_check(str(tmp_path))
  before = _text(tmp_path)

  gin.clear_config()
  run_config.parse([str(tmp_path / 'config.gin')], [])
  assert settings()[:4] == expected[:4]
  zettings()
  config_record.write_or_check(str(tmp_path))
  assert _text(tmp_path).count('settings.a = 0.1\n') == 1
  assert before.count('settings.a = 0.1\n') == 1


@pytest.mark.parametrize(
  ('there', 'here', 'name', 'values'),
  [
    ('settings.a = 10', 'settings.a = 11', 'settings.a', ('10', '11')),
    # The last of one section and the first of another.
    ('settings.zz = 10', 'settings.zz = 11', 'settings.zz', ('10', '11')),
    ('zettings.aa = 10', 'zettings.aa = 11', 'zettings.aa', ('10', '11')),
    ('settings.b = 2', 'settings.b = 2.0', 'settings.b', ('2', '2.0')),
    (
      f"settings.text = '{'long ' * 40}'",
      "settings.text = 'a = b'",
      'settings.text',
      ('long long', "'a = b'"),
    ),
    (
      f'settings.widths = {LONG}',
      f'settings.widths = {LONG[:-1]}',
      'settings.widths',
      ('100039', '100038'),
    ),
    (
      'settings.cls = @PointNavigation',
      'settings.cls = @zettings',
      'settings.cls',
      ('@PointNavigation', '@zettings'),
    ),
  ],
)
def test_another_config_is_an_error_that_names_the_difference(
  there, here, name, values, tmp_path
):
  _configure(there)
  config_record.write_or_check(str(tmp_path))
  before = _text(tmp_path)
  _configure(here)
  with pytest.raises(errors.UsageError) as error:
    config_record.write_or_check(str(tmp_path))
  message = str(error.value)
  assert '\n' not in message
  assert f'{tmp_path} holds a run with {name} = ' in message
  old, new = message.split(', not ')
  assert values[0] in old
  assert values[1] in new
  # The error names only this parameter, and the record stays.
  assert message.count(' = ') == 1 + here.count("'a = b'")
  assert _text(tmp_path) == before
  _configure(there)
  config_record.write_or_check(str(tmp_path))


def test_the_same_config_may_be_written_in_another_way(tmp_path):
  _configure('settings.a = 1', f'settings.widths = {LONG}')
  config_record.write_or_check(str(tmp_path))
  _configure(f'settings.widths = {list(LONG)}'.replace('[', '(', 1)[:-1] + ')')
  config_record.write_or_check(str(tmp_path))


@pytest.mark.parametrize(
  'changed',
  [
    'train_eval.num_iterations = 50',
    'train_eval.checkpoint_interval = 3',
    'train_eval.evaluation_interval = 5',
    'train_eval.export_saved_model = False',
    'train_eval.loggers = [@zettings]',
  ],
)
def test_a_resumed_run_may_go_on_longer_be_saved_and_evaluated_otherwise(
  changed, tmp_path
):
  _configure_run()
  config_record.write_or_check(str(tmp_path))
  _configure_run(changed)
  config_record.write_or_check(str(tmp_path))
  # The record follows.
  assert f'{changed}\n' in _text(tmp_path)


def test_a_run_recorded_before_the_setting_existed_may_set_it(tmp_path):
  _configure_run()
  config_record.write_or_check(str(tmp_path))
  line = 'train_eval.export_saved_model = True\n'
  before = _text(tmp_path).replace(line, '')
  (tmp_path / 'config.gin').write_text(before, encoding='utf-8')
  _configure_run('train_eval.export_saved_model = False')
  config_record.write_or_check(str(tmp_path))
  assert line.replace('True', 'False') in _text(tmp_path)


def test_a_parameter_that_the_record_lacks_may_have_its_default(tmp_path):
  _configure_run()
  config_record.write_or_check(str(tmp_path))
  line = 'train_eval.observe_task = False\n'
  before = _text(tmp_path)
  assert before.count(line) == 1
  old_record = before.replace(line, '')
  (tmp_path / 'config.gin').write_text(old_record, encoding='utf-8')
  _configure_run('train_eval.observe_task = True')
  with pytest.raises(errors.UsageError, match='observe_task = None, not True'):
    config_record.write_or_check(str(tmp_path))
  assert _text(tmp_path) == old_record
  _configure_run()
  config_record.write_or_check(str(tmp_path))
  # The record follows.
  assert _text(tmp_path) == before


@pytest.mark.parametrize(
  ('name', 'old', 'new'),
  [
    ('train_eval.num_tasks', 40, 41),
    ('train_eval.seed', 0, 1),
    ('train_eval.episodes_per_task', 20, 21),
  ],
)
def test_a_resumed_run_may_not_change_the_rest(name, old, new, tmp_path):
  _configure_run()
  config_record.write_or_check(str(tmp_path))
  _configure_run(f'{name} = {new}')
  with pytest.raises(errors.UsageError) as error:
    config_record.write_or_check(str(tmp_path))
  assert f'{name} = {old}, not {new}:' in str(error.value)


def test_the_bindings_of_the_environment_follow_its_references(tmp_path):
  (tmp_path / 'config.gin').write_text(
    """
import maml_tf.somewhere
MyEnv.size = 3
Other.size = 4
families.MyTasks.make_environment = @scope/my.MyEnv
families.MyTasks.num_processes = 2
train_eval.environment_class = @families.MyTasks
train_eval.horizon = 5
train_eval.num_tasks = 6
""",
    encoding='utf-8',
  )
  assert config_record.environment_bindings(str(tmp_path)) == {
    'MyEnv.size': '3',
    'families.MyTasks.make_environment': '@scope/my.MyEnv',
    'families.MyTasks.num_processes': '2',
    'train_eval.environment_class': '@families.MyTasks',
    'train_eval.horizon': '5',
  }
  assert config_record.environment_bindings(str(tmp_path / 'nowhere')) == {}


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
  file = tmp_path / 'file'
  file.write_text('', encoding='utf-8')
  _configure()
  with pytest.raises(OSError):
    config_record.write_or_check(os.path.join(file, 'run'))
  assert file.read_text(encoding='utf-8') == ''


def _edit(directory, old, new):
  path = directory / 'config.gin'
  text = path.read_text(encoding='utf-8')
  assert old in text
  path.write_text(text.replace(old, new), encoding='utf-8')


def test_a_parameter_that_a_release_removed_matters_only_if_it_was_bound(
  tmp_path,
):
  _configure('settings.a = 10')
  config_record.write_or_check(str(tmp_path))
  _edit(tmp_path, 'settings.b = 2\n', 'settings.b = 2\nsettings.gone = 3\n')
  config_record.compare(str(tmp_path))
  bound = '# Bound, not a default: settings.'
  _edit(tmp_path, f'{bound}a\n', f'{bound}a\n{bound}gone\n')
  with pytest.raises(errors.UsageError) as error:
    config_record.compare(str(tmp_path))
  assert 'settings.gone = 3, which nothing uses now: give' in str(error.value)


def test_a_new_parameter_may_be_bound_to_its_default(tmp_path):
  _configure('settings.a = 10')
  config_record.write_or_check(str(tmp_path))
  _edit(tmp_path, 'settings.zz = 0\n', '')
  _configure('settings.a = 10', 'settings.zz = 0')
  assert not config_record.compare(str(tmp_path))
  _configure('settings.a = 10', 'settings.zz = 1')
  with pytest.raises(errors.UsageError, match='zz = None, not 1: give'):
    config_record.compare(str(tmp_path))


def test_a_default_that_a_release_changed_is_an_error(tmp_path):
  _configure()
  config_record.write_or_check(str(tmp_path))
  _edit(tmp_path, 'settings.b = 2\n', 'settings.b = 3\n')
  with pytest.raises(errors.UsageError, match='settings.b = 3, not 2:'):
    config_record.compare(str(tmp_path))
  _configure('settings.b = 3')
  assert not config_record.compare(str(tmp_path))


def test_allowed_changes_are_recorded_and_printed(tmp_path, capfd):
  _configure('settings.a = 10')
  config_record.write_or_check(str(tmp_path))
  _configure('settings.a = 11', "settings.text = 'new'")
  with pytest.raises(errors.UsageError, match='or --allow_config_change to go'):
    config_record.write_or_check(str(tmp_path))
  config_record.check(str(tmp_path), allow_changes=True)
  config_record.write_or_check(str(tmp_path), allow_changes=True, iteration=7)
  lines = [
    'after iteration 7: settings.a = 11, was 10',
    "after iteration 7: settings.text = 'new', was ''",
  ]
  assert capfd.readouterr().err.splitlines() == lines
  changes = (tmp_path / 'config_changes.txt').read_text(encoding='utf-8')
  assert [line[20:] for line in changes.splitlines()] == lines
  # From now on, that is the run's config.
  config_record.write_or_check(str(tmp_path))
  assert 'settings.a = 11\n' in _text(tmp_path)
  assert (tmp_path / 'config_changes.txt').read_text('utf-8') == changes


def test_what_follows_numbers_that_are_not_finite_may_change(tmp_path):
  _configure_run()
  config_record.write_or_check(str(tmp_path))
  _configure_run("train_eval.when_not_finite = 'skip'")
  config_record.write_or_check(str(tmp_path), iteration=3)
  changes = (tmp_path / 'config_changes.txt').read_text(encoding='utf-8')
  assert changes.endswith(
    "after iteration 3: train_eval.when_not_finite = 'skip', was 'stop'\n"
  )


@pytest.mark.parametrize('num_iterations', [3, 5, 6])
def test_the_record_of_a_run_that_ends_sooner_stays(num_iterations, tmp_path):
  _configure_run()
  config_record.write_or_check(str(tmp_path))
  path = tmp_path / 'config.gin'
  os.utime(path, (0, 0))
  before = path.read_bytes()
  _configure_run(f'train_eval.num_iterations = {num_iterations}')
  config_record.write_or_check(str(tmp_path), num_iterations=num_iterations)
  assert (path.read_bytes() == before) == (num_iterations <= 5)
  assert (path.stat().st_mtime == 0) == (num_iterations <= 5)


def test_a_config_that_no_run_wrote_is_kept_beside(tmp_path, capfd):
  path = tmp_path / 'config.gin'
  for number in (1, 2):
    path.write_text(f'# Mine, {number}.\n', encoding='utf-8')
    config_record.keep_other(str(tmp_path))
    assert not path.exists()
    kept = tmp_path / f'config.gin.{number}'
    assert kept.read_text(encoding='utf-8') == f'# Mine, {number}.\n'
    assert f'it is kept as {kept}\n' in capfd.readouterr().err
  _configure()
  config_record.write_or_check(str(tmp_path))
  config_record.keep_other(str(tmp_path))
  assert path.exists()


def test_a_config_that_is_no_text_is_an_error_of_one_line(tmp_path):
  (tmp_path / 'config.gin').write_bytes(b'settings.a = "\xe9"\n')
  _configure()
  with pytest.raises(
    errors.UsageError, match='config.gin is not text in UTF-8'
  ):
    config_record.check(str(tmp_path))


def test_another_version_is_told(tmp_path, capfd, monkeypatch):
  checkpoint = str(tmp_path / 'nothing')
  _configure()
  config_record.write_or_check(str(tmp_path))
  config_record.tell_version(str(tmp_path), checkpoint)
  assert capfd.readouterr().err == ''
  monkeypatch.setattr(version, 'VERSION', '9.9')
  config_record.tell_version(str(tmp_path), checkpoint)
  old = maml_tf.__version__
  assert capfd.readouterr().err == (
    f'{tmp_path} was trained by maml_tf {old}; this is 9.9\n'
  )
  # Versions before 0.1.1 did not record theirs.
  _edit(tmp_path, f'# Written by maml_tf {old}\n', '')
  config_record.tell_version(str(tmp_path), checkpoint)
  assert capfd.readouterr().err == ''


def test_a_smaller_step_size_is_named_if_one_is_a_number():
  _configure()
  assert config_record.smaller_step_size() == ''
  stepping()
  assert config_record.smaller_step_size() == 'stepping.step_size = 0.25'
