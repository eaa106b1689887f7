"""Lists what there is to train and to try: python -m maml_tf.list."""

import functools

from absl import flags

from maml_tf.commands import command_line

flags.DEFINE_bool('debug', False, 'Whether errors show where they were raised.')

COMMAND = command_line.Command(
  'list', ('', '| grep cheetah'), needs_tensorflow=False
)

main = functools.partial(command_line.run, COMMAND)


if __name__ == '__main__':
  command_line.start(COMMAND)
