"""A sweep's folder takes more runs, but no other plan."""

import json

import pytest

from maml_tf.core import errors
from maml_tf.sweeping import axes
from maml_tf.sweeping import plan
from maml_tf.sweeping import record


def _plan(
  values='1,2',
  seeds=1,
  bindings=('f.z = 1',),
  files=('point.gin',),
  settings=None,
):
  points = plan.grid([axes.parse(f'f.x={values}')])
  runs = plan.runs(points, range(seeds))
  return plan.Plan(files, bindings, runs, settings or {'f.y': '1'})


@pytest.fixture(name='root_dir')
def write_record(tmp_path):
  record.check(str(tmp_path), _plan())
  record.write(str(tmp_path), _plan())
  return str(tmp_path)


def test_the_same_plan_and_more_go_on(root_dir):
  for more in (
    _plan(),
    _plan('1,2,3'),
    _plan(seeds=3),
    # A resumed run may train for longer.
    _plan(bindings=('f.z = 1', 'train_eval.num_iterations = 9')),
    _plan(settings={'f.y': '1', 'train_eval.num_iterations': '9'}),
    _plan(settings={'f.y': '1', 'train_eval.loggers': '[@L]', 'L.name': "'a'"}),
  ):
    record.check(root_dir, more)
  record.write(root_dir, _plan('1,2,3'))
  with pytest.raises(
    errors.UsageError, match='x=3,seed=0, which this one lacks'
  ):
    record.check(root_dir, _plan())


@pytest.mark.parametrize(
  ('other', 'part'),
  [
    (_plan('1'), 'the run x=2,seed=0, which this one lacks'),
    (_plan(bindings=()), "--gin_bindings='f.z = 1' is in one of them only"),
    (_plan(bindings=('f.z = 2',)), "--gin_bindings='f.z = 1'"),
    (_plan(files=('point.gin', 'promp.gin')), "--gin_file='promp.gin'"),
    # An edited gin file.
    (_plan(settings={'f.y': '2'}), '(f.y = 2 is in one of them only)'),
    (_plan(settings={'f.y': '1', 'g.w': '0'}), '(g.w = 0 is in one'),
    (_plan(settings={'g.w': '0'}), '(f.y = 1 is in one'),
  ],
)
def test_another_plan_is_refused(root_dir, other, part):
  with pytest.raises(errors.UsageError) as error:
    record.check(root_dir, other)
  assert part in str(error.value)
  assert 'another --root_dir' in str(error.value)


def test_a_record_without_settings_goes_on(root_dir, tmp_path):
  path = tmp_path / record.RECORD_FILE
  content = json.loads(path.read_text())
  del content['settings']
  path.write_text(json.dumps(content))
  record.check(root_dir, _plan(settings={'f.y': '2'}))


def test_the_order_of_files_counts(root_dir):
  record.write(root_dir, _plan(files=('a.gin', 'b.gin')))
  with pytest.raises(errors.UsageError, match='--gin_file in another order'):
    record.check(root_dir, _plan(files=('b.gin', 'a.gin')))


def test_a_point_of_the_same_name_is_refused(root_dir):
  record.write(root_dir, _plan("'a b'"))
  with pytest.raises(errors.UsageError, match='another run named x=a_b,seed=0'):
    record.check(root_dir, _plan("'a_b'"))


@pytest.mark.parametrize(
  'text', ['', '[]', '{}', '{"runs": 1}', '{"runs": {}}']
)
def test_a_broken_record_is_refused(root_dir, text, tmp_path):
  (tmp_path / record.RECORD_FILE).write_text(text)
  with pytest.raises(errors.UsageError, match='is not the record of a sweep'):
    record.check(root_dir, _plan())


def test_a_run_is_no_sweep(tmp_path):
  (tmp_path / 'checkpoints').mkdir()
  (tmp_path / 'checkpoints' / 'ckpt-3.index').write_text('')
  with pytest.raises(errors.UsageError, match='holds a run'):
    record.check(str(tmp_path), _plan())
