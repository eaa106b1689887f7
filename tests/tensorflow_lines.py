"""Lines that TensorFlow prints in programs that import it alone."""

import re

# From 2.17 on, whatever TF_CPP_MIN_LOG_LEVEL is.
_LINE = re.compile(
  r'(WARNING: All log messages before absl::InitializeLog.*'
  r'|[IWE]\d{4} \S+ +\d+ \S+:\d+\] .*)\n'
)


def without(stderr: str) -> str:
  """Returns what else a program printed."""
  return _LINE.sub('', stderr)
