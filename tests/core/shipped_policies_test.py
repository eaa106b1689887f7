"""Trained policies are found by name."""

import os

import pytest

from maml_tf.core import shipped_configs
from maml_tf.core import shipped_policies

_NAMES = ['ant_goal', 'cheetah_direction', 'cheetah_velocity', 'point']


def test_they_are_runs_with_facts():
  assert shipped_policies.names() == _NAMES
  for name in _NAMES:
    folder = shipped_policies.folder(name)
    assert sorted(os.listdir(folder)) == [
      'checkpoints',
      'config.gin',
      'policy.json',
    ]
    facts = shipped_policies.facts(name)
    # Adaptation helps each of them.
    assert facts.returns[1] > facts.returns[0]
    assert facts.command.startswith('maml_tf train --gin_file=')
    config = facts.command.split('--gin_file=')[1].split()[0]
    assert config in shipped_configs.groups().experiments
    assert len(facts.commit) >= 7


def test_an_unknown_name_is_one_line_with_the_closest():
  with pytest.raises(ValueError, match='did you mean cheetah_direction[?]'):
    shipped_policies.folder('cheetah_directon')
  with pytest.raises(ValueError, match='give ant_goal or cheetah_direction or'):
    shipped_policies.facts('zzz')


def test_their_folders_are_told_from_others(tmp_path):
  folder = shipped_policies.folder('point')
  link = tmp_path / 'link'
  link.symlink_to(folder)
  assert shipped_policies.contains(folder)
  assert shipped_policies.contains(str(link / 'checkpoints'))
  assert not shipped_policies.contains(os.path.dirname(folder))
  assert not shipped_policies.contains(str(tmp_path))


def test_they_are_small():
  sizes = [
    os.path.getsize(os.path.join(folder, name))
    for folder, _, names in os.walk(
      os.path.dirname(shipped_policies.folder('point'))
    )
    for name in names
  ]
  assert sum(sizes) < 2e6
