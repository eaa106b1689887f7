"""Lines that TensorFlow prints in programs that import it alone."""

import re

from maml_tf.core import quiet_imports

_LINE = re.compile(f'(?:{quiet_imports.BEFORE_LEVEL}).*\n', flags=re.MULTILINE)


def without(stderr: str) -> str:
  """Returns what else a program printed."""
  return _LINE.sub('', stderr)
