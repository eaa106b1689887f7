"""After warm-up, iterations do not use more memory, files or threads."""

import pytest

from tests.survival import endurance

# These tests take a minute.
pytestmark = pytest.mark.slow


def test_memory_files_and_threads_do_not_grow():
  first, *_, last = endurance.run(300, every=100)
  assert last.files == first.files
  assert last.threads == first.threads
  # With Python 3.11 TensorFlow keeps about 45 bytes of each eager tensor: 3 MB.
  # A stage takes 0.02 MB: a leak of 200 iterations would be 8 MB.
  assert last.megabytes - first.megabytes < 6
