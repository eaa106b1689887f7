"""Runs pytest on what the command line names, as a program that Bazel starts.

Bazel runs a test as a program that stands in a copy of the tree.
"""

import sys

import pytest


def main():
  """Returns pytest's exit code, 0 where every test of a file is a slow one."""
  code = pytest.main(['-p', 'no:cacheprovider', *sys.argv[1:]])
  return 0 if code == pytest.ExitCode.NO_TESTS_COLLECTED else int(code)


if __name__ == '__main__':
  sys.exit(main())
