"""The lists of tests name files that are there."""

import pathlib

import pytest

from tests import rings

_TESTS = pathlib.Path(rings.__file__).parent


@pytest.mark.skipif(
  not (_TESTS / 'train_test.py').exists(), reason='Bazel copies one test file'
)
@pytest.mark.parametrize('name', rings.NAMES)
def test_what_is_listed_exists(name):
  assert (_TESTS / name).exists()


@pytest.mark.parametrize(
  ('expression', 'expected'),
  [
    ('', False),
    ('not slow', False),
    ('unit', False),
    ('slow', True),
    ('slow and not fuzz', True),
  ],
)
def test_expressions_that_select_slow_tests(expression, expected):
  assert rings.selects_slow(expression) == expected


def test_which_files_are_units():
  assert rings.is_unit(_TESTS / 'core' / 'checks_test.py')
  assert not rings.is_unit(_TESTS / 'core' / 'quiet_imports_test.py')
  assert not rings.is_unit(_TESTS / 'train_test.py')
