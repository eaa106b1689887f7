"""What Python gives to a function is written as gin would bind it."""

import functools
import sys

import gin
import numpy as np
import pytest

from maml_tf.core import errors
from maml_tf.environments import point_navigation
from maml_tf.run import config as run_config
from maml_tf.run import config_arguments
from maml_tf.run import config_record
from tests.run import module_level_tasks

_MODULE = 'tests.run.module_level_tasks'


@config_arguments.recorded('root_dir')
@gin.configurable(module='config_arguments_test', denylist=['root_dir'])
def run_something(root_dir, cls=None, number=1, parts=(), text='x'):
  """Like `train_eval`."""
  config_record.write_or_check(root_dir)
  return cls, number, parts, text


@pytest.fixture(autouse=True)
def clear_config():
  gin.clear_config()
  yield
  gin.clear_config()


@config_arguments.recorded()
@gin.configurable(module='config_arguments_test')
def given_to(value):
  """Returns what was given, by full name."""
  del value
  return config_arguments.given()


@pytest.mark.parametrize(
  ('value', 'text', 'modules'),
  [
    (5, '5', ()),
    (np.int64(5), '5', ()),
    (-0.5, '-0.5', ()),
    ('stop', "'stop'", ()),
    (None, 'None', ()),
    (False, 'False', ()),
    ((1, 2), '(1, 2)', ()),
    ((np.int64(1), [np.float32(0.5), np.True_]), '(1, [0.5, True])', ()),
    ([], '[]', ()),
    (
      point_navigation.PointNavigation,
      '@maml_tf.environments.point_navigation.PointNavigation',
      ('maml_tf.environments.point_navigation',),
    ),
    (
      module_level_tasks.create_navigation,
      f'@{_MODULE}.create_navigation',
      (_MODULE,),
    ),
    (
      [module_level_tasks.create_logger, module_level_tasks.OwnNavigation],
      f'[@{_MODULE}.create_logger, @{_MODULE}.OwnNavigation]',
      (_MODULE,),
    ),
  ],
)
def test_values_as_gin_reads_them(value, text, modules):
  assert given_to(value=value) == {'given_to.value': (text, modules)}
  assert config_arguments.given() == {}


def _local(**kwargs):
  def create(**more):
    return kwargs | more

  return create


@pytest.mark.parametrize(
  'value',
  [
    lambda **kwargs: None,
    _local(),
    functools.partial(point_navigation.PointNavigation, horizon=3),
    [_local()],
    np.zeros(3),
    float('nan'),
    object(),
  ],
)
def test_what_gin_has_no_name_for_is_refused_at_once(value, tmp_path):
  with pytest.raises(errors.UsageError) as error:
    run_something(str(tmp_path / 'run'), cls=value)
  message = str(error.value)
  assert message.startswith('cls is ')
  assert 'which the run cannot record: give a function' in message
  assert '\n' not in message
  assert not list(tmp_path.iterdir())


def test_the_record_can_be_parsed_and_gives_the_same(tmp_path):
  run_something(
    str(tmp_path), module_level_tasks.OwnNavigation, number=7, parts=(1, 2)
  )
  # Nothing stays in the caller's config.
  assert run_something.__wrapped__(str(tmp_path / 'other'))[:3] == (None, 1, ())
  gin.clear_config()
  run_config.parse([str(tmp_path / 'config.gin')], [])
  cls, number, parts, text = run_something(str(tmp_path))
  assert issubclass(cls, module_level_tasks.OwnNavigation)
  assert (number, parts, text) == (7, (1, 2), 'x')


def test_arguments_and_bindings_are_the_same_config(tmp_path):
  run_config.parse(
    [],
    [
      'run_something.cls = @PointNavigation',
      'run_something.number = 7',
    ],
  )
  run_something(str(tmp_path))
  gin.clear_config()
  cls = point_navigation.PointNavigation
  run_something(str(tmp_path), cls, 7)
  for arguments in ({'cls': cls, 'number': 8}, {'cls': None, 'number': 7}):
    with pytest.raises(errors.UsageError, match='run_something'):
      run_something(str(tmp_path), **arguments)


def test_functions_that_a_program_binds_are_recorded(tmp_path):
  gin.bind_parameter('run_something.cls', module_level_tasks.create_navigation)
  run_something(str(tmp_path))
  text = (tmp_path / 'config.gin').read_text(encoding='utf-8')
  assert f'run_something.cls = @{_MODULE}.create_navigation\n' in text
  gin.bind_parameter('run_something.cls', _local())
  with pytest.raises(errors.UsageError, match='cls is <function'):
    run_something(str(tmp_path))


def test_a_script_is_imported_as_the_program_that_it_is(monkeypatch, tmp_path):
  main = sys.modules['__main__']
  monkeypatch.setattr(main, '__spec__', None)
  monkeypatch.setattr(
    main, '__file__', '/somewhere/my_script.py', raising=False
  )
  # Its second import would run it again.
  monkeypatch.setattr(main, 'MyTasks', _in_main(), raising=False)
  run_something(str(tmp_path), cls=main.MyTasks)
  text = (tmp_path / 'config.gin').read_text(encoding='utf-8')
  assert 'import my_script\nrun_something.cls = @my_script.MyTasks\n' in text
  gin.clear_config()
  try:
    run_config.parse([str(tmp_path / 'config.gin')], [])
    assert issubclass(run_something(str(tmp_path))[0], main.MyTasks)
  finally:
    sys.modules.pop('my_script', None)
  # An interactive session has no name.
  monkeypatch.delattr(main, '__file__')
  with pytest.raises(errors.UsageError, match='which the run cannot record'):
    run_something(str(tmp_path), cls=main.MyTasks)


def _in_main():
  return type('MyTasks', (), {'__module__': '__main__'})


def test_a_function_that_gin_knows_by_another_name():
  # It is no name of its module.
  known = gin.external_configurable(
    lambda **sizes: None, name='known_tasks', module='config_arguments_test'
  )
  binding = given_to(known)['given_to.value']
  assert binding.text == '@config_arguments_test.known_tasks'
  assert gin.get_configurable(binding.text[1:]) is known


def test_a_class_of_a_notebook_is_refused(monkeypatch):
  monkeypatch.setattr(config_arguments, 'script', lambda: None)
  mine = type('Mine', (), {'__module__': '__main__'})
  with pytest.raises(errors.UsageError, match='move it into a module'):
    given_to(mine)
