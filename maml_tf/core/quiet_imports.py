"""Silences the messages that TensorFlow and TF-Agents print when imported.

It is enough to import this module before those libraries, and
`maml_tf/__init__.py` does.
"""

import os

# By default, the native code of TensorFlow 2.15 prints about ten lines during
# its import. On every machine, three of them are errors ("Unable to register
# cuDNN factory"), so only level 3 silences them. TensorFlow reads the level
# once per process. Failing operations still raise Python exceptions, and fatal
# native errors are still printed. But a GPU that fails to start is ignored
# silently: to see why, set TF_CPP_MIN_LOG_LEVEL=0. A level that is already set
# is respected.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

# TF-Agents imports gym. From this table of announcements, gym prints that
# Gymnasium supersedes it. Users of this package cannot act on that: its own
# environments use Gymnasium already.
try:
  from gym_notices import notices
except ImportError:
  pass  # This version of gym has no announcements.
else:
  notices.notices.clear()
