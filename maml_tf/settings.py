"""Lists all settings: python -m maml_tf.settings --gin_file=point.gin."""

import functools

from absl import flags

from maml_tf.commands import command_line

flags.DEFINE_multi_string(
  'gin_file', [], 'A path, or a config of the package: what it sets is shown.'
)
flags.DEFINE_multi_string(
  'gin_bindings', [], "A setting, e.g. 'train_eval.num_iterations = 100'."
)
flags.DEFINE_bool('debug', False, 'Whether errors show where they were raised.')

COMMAND = command_line.Command(
  'settings',
  (
    '| less',
    '--gin_file=point.gin --gin_file=maml_trpo.gin | grep TrustRegion',
    '--gin_file=runs/point/config.gin',
  ),
  takes_configs=True,
)

main = functools.partial(command_line.run, COMMAND)


if __name__ == '__main__':
  command_line.start(COMMAND)
