"""--root_dir or --policy names the run, and where its output goes."""

import os
import pathlib

from absl import flags
from absl.testing import flagsaver
import pytest

from maml_tf.commands import chosen_run
from maml_tf.core import shipped_policies
from tests import command_lines


@pytest.fixture(name='choose')
def flags_of_render():
  command_lines.import_anew('render')
  flags.FLAGS.mark_as_parsed()
  with flagsaver.flagsaver():

    def choose(**values):
      for name, value in values.items():
        flags.FLAGS[name].value = value

    yield choose


def test_a_run_gets_its_output(choose):
  choose(root_dir='runs/point')
  assert chosen_run.root_dir() == chosen_run.output_folder() == 'runs/point'
  assert chosen_run.output_file('a.gif') == os.path.join('runs/point', 'a.gif')
  assert chosen_run.describe('runs/point') == 'runs/point'
  assert chosen_run.task() is None


def test_output_of_a_policy_goes_to_the_current_folder(
  choose, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  folder = shipped_policies.folder('point')
  choose(policy='point')
  assert chosen_run.root_dir() == folder
  assert chosen_run.output_file('a.gif') == 'a.gif'
  assert chosen_run.task() == shipped_policies.facts('point').example_task
  assert chosen_run.describe(chosen_run.output_folder()) == 'the current folder'
  # Also if its folder is given.
  choose(policy=None, root_dir=folder)
  assert chosen_run.output_file('a.gif') == 'a.gif'


def test_output_of_a_policy_replaces_that_of_no_run(
  choose, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  choose(policy='point')
  pathlib.Path('config.gin').touch()
  with pytest.raises(
    ValueError, match='holds a run, .* another place by --out'
  ):
    chosen_run.output_file('a.gif')
