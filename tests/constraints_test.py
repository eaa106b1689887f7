"""The files in constraints/ fit what setup.py asks for."""

from importlib import metadata
import pathlib
import re

from packaging import requirements
from packaging import utils
import pytest

_FILES = sorted((pathlib.Path(__file__).parents[1] / 'constraints').glob('*'))


def _pins(path):
  """Returns the versions of a file by name."""
  lines = path.read_text(encoding='utf-8').splitlines()
  pairs = (line.split('==') for line in lines if not line.startswith('#'))
  return {utils.canonicalize_name(name): version for name, version in pairs}


@pytest.mark.parametrize('path', _FILES, ids=lambda path: path.stem)
def test_each_requirement_has_a_version_that_fits(path):
  version = re.fullmatch(r'python(3\.\d+)', path.stem)[1]
  pins = _pins(path)
  for text in metadata.requires('maml_tf'):
    requirement = requirements.Requirement(text)
    environment = {'python_version': version, 'extra': ''}
    if requirement.marker and not requirement.marker.evaluate(environment):
      continue
    pin = pins.get(utils.canonicalize_name(requirement.name))
    assert pin and requirement.specifier.contains(pin), text
  assert pins['tf-agents'] == '0.19.0'


def test_there_is_a_file_for_every_python():
  names = [f'python3.{minor}.txt' for minor in (10, 11, 12, 13)]
  assert [path.name for path in _FILES] == names
