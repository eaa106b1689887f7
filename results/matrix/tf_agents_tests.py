"""A pytest plugin that runs the tests which the wheel of TF-Agents carries.

    cd results/matrix
    TESTS=$(python -c "import tf_agents as t; print(t.__path__[0])" | tail -1)
    python -m pytest -p tf_agents_tests -c /dev/null -s \\
      --import-mode=importlib $TESTS/specs/*_test.py

With MEND_TF_AGENTS=1 in the environment, maml_tf is imported first. On
TensorFlow 2.16 or newer set TF_USE_LEGACY_KERAS=1. Beside the README's packages
the tests need pygame, portpicker and psutil.
"""

import importlib
import os
import sys
import unittest
from unittest import mock

from absl import flags

# Python 3.12 removed these names, which tests alone use.
_RENAMED = {
  'assertEquals': 'assertEqual',
  'assertItemsEqual': 'assertCountEqual',
  'assertNotEquals': 'assertNotEqual',
  'assertRaisesRegexp': 'assertRaisesRegex',
}


def pytest_configure():
  """Prepares what each test's own `main` prepares."""
  for old, new in _RENAMED.items():
    if not hasattr(unittest.TestCase, old):
      setattr(unittest.TestCase, old, getattr(unittest.TestCase, new))
  if any('learner_test' in argument for argument in sys.argv):
    # Their utilities import it; they do not use it.
    sys.modules['reverb'] = mock.MagicMock()
  if os.environ.get('MEND_TF_AGENTS'):
    importlib.import_module('maml_tf')
  # It defines a flag.
  importlib.import_module('tf_agents.system.system_multiprocessing')
  if not flags.FLAGS.is_parsed():
    flags.FLAGS(['pytest'])
