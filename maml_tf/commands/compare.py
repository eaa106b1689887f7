"""Compares runs, as the flags of `maml_tf.compare` say."""

from collections.abc import Sequence

from absl import flags

from maml_tf.comparison import report
from maml_tf.comparison import run_records
from maml_tf.core import checks
from maml_tf.core import errors
from maml_tf.core import paths
from maml_tf.core import terminal

_FLAGS = flags.FLAGS


def main(argv: Sequence[str]) -> int:
  """Compares, and returns the exit code: 0, or 2 for bad input."""
  directory = _FLAGS.out
  try:
    with errors.usage_errors():
      paths.check_output_folder('--out', directory, report.FILES)
      checks.number('--last_share', _FLAGS.last_share, above=0, maximum=1)
    runs = run_records.read_begun(argv[1:], terminal.log)
    text = report.write(runs, directory, _FLAGS.last_share, _FLAGS.title)
  except (errors.UsageError, OSError) as error:
    return terminal.print_error('compare', error, debug=_FLAGS.debug)
  terminal.show(text)
  terminal.log(f'compare: wrote {", ".join(report.FILES)} to {directory}')
  return 0
