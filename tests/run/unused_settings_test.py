"""Settings that nothing reads are found before a run begins."""

import pathlib

import gin
import pytest

from maml_tf.core import errors
from maml_tf.run import config as run_config
from maml_tf.run import experiment  # noqa: F401  Registers all settings.
from maml_tf.run import unused_settings


@gin.configurable(module='maml_tf.unused_settings_test')
def whole(part=None, size=1, others=()):
  """What reads its settings at once."""
  return part, size, others


@gin.configurable(module='maml_tf.unused_settings_test')
def later(weight=1, inner=None):
  """Something that is called later."""
  return weight, inner


@gin.configurable(module='my_unused_settings_test')
def mine(weight=1):
  """A function of the user's, who may call it in a scope."""
  return weight


def _lines(*bindings, files=(), call=whole):
  """Parses and calls; returns the lines."""
  gin.clear_config()
  parsed = run_config.parse(files, bindings)
  with unused_settings.watching(parsed):
    call()
    unused_settings.check()
    return unused_settings.lines()


def _error(*bindings, files=()):
  with pytest.raises(errors.UsageError) as error:
    _lines(*bindings, files=files)
  assert '\n' not in str(error.value)
  return str(error.value)


def test_what_is_read_needs_no_line():
  assert not _lines(
    'whole.size = %n', 'n = %m', 'm = 3', 'whole.part = @a/later', 'k = 4',
    'a/later.weight = %k', 'later.weight = 2',
    'whole.others = [@b/later(), {"x": @mine}]', 'mine.weight = 4',
  )  # fmt: skip


def test_nobody_watches_a_program_that_parses_by_itself():
  run_config.parse([], ['size = 3'])
  unused_settings.check()
  assert unused_settings.lines() == []


@pytest.mark.parametrize(
  ('binding', 'line'),
  [
    ('size = 3', 'is a macro that nothing reads: did you mean whole.size?'),
    ('sise = 3', 'did you mean whole.size?'),
    ('qqq = 3', 'a setting has an owner, such as train_eval.num_iterations'),
    ('typo/whole.size = 3', 'refers to @typo/...: did you mean whole.size?'),
    ('smal/later.weight = 3', 'did you mean small/later.weight?'),
  ],
)
def test_unread_macros_and_unknown_scopes_end_the_run(binding, line):
  message = _error('whole.part = @small/later', binding)
  assert message.startswith(f"--gin_bindings='{binding}'")
  assert line in message


def test_a_line_names_the_file(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  pathlib.Path('x.gin').write_text('whole.size = 1\n\nseed = 3\n')
  assert _error(files=['x.gin']).startswith('x.gin, line 3 (seed) is a macro')
  pathlib.Path('x.gin').write_text('whole:\n  size = 1\nlater.weight = 3\n')
  (line,) = _lines(files=['x.gin'])
  assert line.startswith('x.gin, line 3 (later.weight): nothing reads it: ')


def test_what_no_setting_refers_to_is_a_line():
  (line,) = _lines('dice.causal_discount = 0.9', 'whole.size = 2')
  assert line == (
    "--gin_bindings='dice.causal_discount = 0.9': nothing reads it: no setting"
    ' that is read refers to @dice'
  )


def test_a_reference_of_what_is_not_read_does_not_count():
  lines = _lines('later.inner = @mine', 'mine.weight = 2')
  assert len(lines) == 2


def test_evaluations_that_never_come():
  (line,) = _lines('Evaluator.num_tasks = 3')
  assert line.endswith('nothing reads it: train_eval.evaluation_interval is 0')


def test_what_the_caller_gives_itself():
  (line,) = _lines('whole.size = 2', call=lambda: whole(size=3))
  assert line.endswith('nothing reads it: the run sets it')


def test_scopes_that_python_enters():
  def call():
    with gin.config_scope('test'):
      whole()

  assert not _lines('test/whole.size = 2', call=call)
  # The user's own code may enter this one later.
  (line,) = _lines('whole.size = 2', 'night/mine.weight = 2')
  assert 'night/mine.weight' in line


def test_shipped_files_and_records_may_set_what_others_replace(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  text = 'later.weight = 3\nwhole.size = 1\n'
  record = f'# Parameters for later:\n{text}'
  pathlib.Path('config.gin').write_text(record)
  assert not _lines(files=['point.gin', 'maml_trpo.gin', 'config.gin'])
  # A file of the user's may have this name, too.
  pathlib.Path('config.gin').write_text(text)
  assert _lines(files=['point.gin', 'maml_trpo.gin', 'config.gin'])


@pytest.mark.parametrize(
  ('files', 'line'),
  [
    (('point.gin', 'mine.gin'), 'mine.gin replaces settings of the experiment'),
    (('mine.gin', 'point.gin'), 'point.gin replaces settings of the exp'),
    (('promp.gin', 'point.gin'), 'the experiment point.gin replaces settings'),
    (('point.gin', 'promp.gin'), None),
    (('config.gin', 'oracle.gin'), None),
  ],
)
def test_the_order_of_files(files, line, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  pathlib.Path('mine.gin').write_text("include 'cheetah.gin'\n")
  pathlib.Path('config.gin').write_text("include 'point.gin'\n")
  found = _lines(files=files)
  assert len(found) == (line is not None)
  assert line is None or line in found[0]
