"""`maml_tf.checks` of version 0.1.0, which held checks and errors together."""

from maml_tf.core.checks import MAX_SIZE
from maml_tf.core.checks import MAX_UNROLLED_STEPS
from maml_tf.core.checks import boolean
from maml_tf.core.checks import function
from maml_tf.core.checks import integer
from maml_tf.core.checks import number
from maml_tf.core.checks import one_of
from maml_tf.core.errors import RunError
from maml_tf.core.errors import UsageError
from maml_tf.core.errors import disk_errors
from maml_tf.core.errors import usage_errors

__all__ = [
  'MAX_SIZE',
  'MAX_UNROLLED_STEPS',
  'RunError',
  'UsageError',
  'boolean',
  'disk_errors',
  'function',
  'integer',
  'number',
  'one_of',
  'usage_errors',
]
