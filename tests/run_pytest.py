"""Runs pytest on the arguments of the command line, as Bazel needs it.

Bazel runs a test as a program inside a copy of the tree.
"""

import sys

import pytest


def main():
  """Returns pytest's exit code; 0 if a file contains only slow tests."""
  code = pytest.main(['-p', 'no:cacheprovider', *sys.argv[1:]])
  return 0 if code == pytest.ExitCode.NO_TESTS_COLLECTED else int(code)


if __name__ == '__main__':
  sys.exit(main())
