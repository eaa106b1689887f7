"""Imports of TensorFlow and TF-Agents that print nothing when all is well.

Importing this module, before the libraries it speaks of, is all there is to do;
`maml_tf/__init__.py` does so first.
"""

import os

# Without a word from the user, the native code of TensorFlow 2.15 prints some
# ten lines while it is imported, three of them errors ("Unable to register
# cuDNN factory") on every machine, so only level 3 is quiet. The level is read
# once per process and cannot be lowered after the import. What it costs:
# operations that fail still raise Python exceptions, fatal native errors are
# still printed, but a GPU that does not start is left out without a word. To
# see why, run with TF_CPP_MIN_LOG_LEVEL=0: a level that is set is respected.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

# TF-Agents imports gym, which looks itself up in this table of announcements
# and prints that it is superseded by Gymnasium. Users of this package cannot
# act on that: its own environments are Gymnasium's.
try:
  from gym_notices import notices
except ImportError:
  pass  # A gym without announcements.
else:
  notices.notices.clear()
