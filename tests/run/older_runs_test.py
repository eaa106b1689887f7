"""Runs from before a shipped config got a setting go on without it."""

import gin
import pytest

from maml_tf.run import config as run_config
from maml_tf.run import config_record
from maml_tf.run import older_runs
from maml_tf.run import unused_settings

OLD = 'LinearFeatureBaseline.clip = 10.0\nLinearFeatureBaseline.ridge = 1e-05\n'
# This version's record, of a run that went on without the setting.
CONTINUED = (
  '# Written by maml_tf 0.1.0\n'
  f'{OLD}LinearFeatureBaseline.zero_at_end = False\n'
  '# Bound, not a default: LinearFeatureBaseline.clip\n'
)
CHOSEN = (
  f'{CONTINUED}# Bound, not a default: LinearFeatureBaseline.zero_at_end\n'
)


CHUNK = 'MamlAgent.task_chunk_size'
# A record of an older version: None was all tasks. And one of this version.
OLDER_ALL = f'{CHUNK} = None\nMamlAgent.jit_compile = False\n'
ALL = f"MamlAgent.allow_tf32 = False\n{CHUNK} = 'all'\n"


@pytest.fixture(autouse=True)
def clear_gin():
  gin.clear_config()
  yield
  gin.clear_config()


def _is_bound():
  return 'zero_at_end = True' in gin.config_str()


@pytest.mark.parametrize(
  ('record', 'is_kept'),
  [
    (OLD, True),
    (CONTINUED, True),
    # The user chose it: the change is refused, as of any setting.
    (CHOSEN, False),
    # It has no such baseline.
    ('MamlAgent.discount = 0.99\n', False),
  ],
  ids=['old', 'continued', 'chosen', 'another baseline'],
)
def test_a_run_keeps_the_settings_that_it_began_with(
  record, is_kept, tmp_path, capfd
):
  root_dir = str(tmp_path)
  (tmp_path / 'config.gin').write_text(record, encoding='utf-8')
  run_config.parse(['point.gin', 'promp.gin'], [])
  with older_runs.without(older_runs.lacking(root_dir), root_dir):
    assert _is_bound() != is_kept
  # Another run of this process has it.
  assert _is_bound()
  told = 'was begun without LinearFeatureBaseline.zero_at_end'
  assert (told in capfd.readouterr().err) == is_kept


def test_what_the_user_binds_is_compared_as_other_settings_are(tmp_path):
  (tmp_path / 'config.gin').write_text(OLD, encoding='utf-8')
  binding = 'LinearFeatureBaseline.zero_at_end = True'
  parsed = run_config.parse(['point.gin', 'promp.gin'], [binding])
  with unused_settings.watching(parsed):
    assert not older_runs.lacking(str(tmp_path))


def test_a_new_run_has_all_settings(tmp_path):
  run_config.parse(['point.gin', 'promp.gin'], [])
  assert not older_runs.lacking(str(tmp_path / 'run'))
  assert config_record.bound(str(tmp_path / 'run')) is None


@pytest.mark.parametrize('record', [OLDER_ALL, ALL], ids=['older', 'continued'])
def test_none_stays_all_tasks_where_it_was(record, tmp_path, capfd):
  root_dir = str(tmp_path)
  (tmp_path / 'config.gin').write_text(record, encoding='utf-8')
  run_config.parse(['point.gin'], [f'{CHUNK} = None'])
  with older_runs.without(older_runs.lacking(root_dir), root_dir):
    assert gin.query_parameter(CHUNK) == 'all'
  assert gin.query_parameter(CHUNK) is None
  assert "goes on so: 'all' says that now" in capfd.readouterr().err


@pytest.mark.parametrize(
  ('record', 'bindings'),
  [
    # None is not bound: the record is compared as any other.
    (OLDER_ALL, []),
    (OLDER_ALL, [f'{CHUNK} = 2']),
    # This version's None: the device decides.
    (f'MamlAgent.allow_tf32 = False\n{CHUNK} = None\n', [f'{CHUNK} = None']),
    (f'{CHUNK} = 1\n', [f'{CHUNK} = None']),
  ],
)
def test_other_chunks_are_left_alone(record, bindings, tmp_path):
  (tmp_path / 'config.gin').write_text(record, encoding='utf-8')
  run_config.parse(['point.gin'], bindings)
  assert not older_runs.lacking(str(tmp_path))
