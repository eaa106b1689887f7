"""Draws learning curves of runs: python -m maml_tf.plot RUN..."""

import functools

from absl import flags

from maml_tf.commands import command_line

flags.DEFINE_string('out', 'plot.png', 'The picture, a .png or .svg.')
flags.DEFINE_string(
  'metric',
  'return',
  "What to draw: 'return', 'success', or any column of metrics.csv.",
)
flags.DEFINE_enum(
  'x',
  'env_steps',
  ['env_steps', 'iteration', 'wall_seconds'],
  'The x axis.',
)
flags.DEFINE_integer('mean_over', 20, 'Iterations of the moving mean.')
flags.DEFINE_string('title', None, 'The title.')
flags.DEFINE_bool(
  'follow',
  False,
  'Draw again and again while the runs train; end with them, or with Ctrl-C.',
)
flags.DEFINE_float('seconds', 10.0, 'Between two pictures with --follow.')
flags.DEFINE_bool('debug', False, 'Whether errors show where they were raised.')

COMMAND = command_line.Command(
  'plot',
  (
    'runs/seed0 runs/seed1 runs/seed2',
    'runs/* --metric=adaptation_delta --x=wall_seconds --out=gain.svg',
    'runs/point --follow',
  ),
  takes_words='RUN...',
  needs_tensorflow=False,
)

main = functools.partial(command_line.run, COMMAND)


if __name__ == '__main__':
  command_line.start(COMMAND)
