"""Compares runs: python -m maml_tf.compare RUN... --out=FOLDER."""

import functools

from absl import flags

from maml_tf.commands import command_line

flags.DEFINE_string(
  'out', 'comparison', 'The folder for comparison.html and its CSV files.'
)
flags.DEFINE_float(
  'last_share',
  0.1,
  'A final return is the mean over this share of the iterations, from the end.',
)
flags.DEFINE_string('title', None, "The page's title.")
flags.DEFINE_bool('debug', False, 'Whether errors show where they were raised.')

COMMAND = command_line.Command(
  'compare',
  (
    'runs/seed0 runs/seed1 runs/seed2',
    "runs/* --out=results/step_sizes --title='Step sizes'",
    'results/cheetah/seed*.csv --last_share=0.05',
  ),
  takes_words='RUN...',
  needs_tensorflow=False,
)

main = functools.partial(command_line.run, COMMAND)


if __name__ == '__main__':
  command_line.start(COMMAND)
