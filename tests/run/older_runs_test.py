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
