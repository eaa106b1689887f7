"""Films a task before and after: python -m maml_tf.render --root_dir=DIR."""

import functools

from absl import flags

from maml_tf.commands import chosen_run
from maml_tf.commands import command_line

flags.DEFINE_string('root_dir', None, 'The run.')
flags.DEFINE_string('policy', None, chosen_run.POLICY_HELP)
flags.DEFINE_string('task', None, chosen_run.TASK_HELP)
flags.DEFINE_integer('seed', None, chosen_run.SEED_HELP)
flags.DEFINE_string(
  'out',
  None,
  'A .gif or .mp4. Default: adaptation.gif in root_dir; of a policy in the'
  ' current folder.',
)
flags.DEFINE_integer('width', 320, 'Of one picture, in pixels.')
flags.DEFINE_integer('height', 240, 'Of one picture, in pixels.')
flags.DEFINE_float('fps', 20.0, 'Frames, which are steps, per second.')
flags.DEFINE_integer(
  'num_adaptation_steps', None, 'How many steps. Default: as in training.'
)
flags.DEFINE_integer(
  'episodes', None, 'Episodes a step. Default: as in training.'
)
flags.DEFINE_bool(
  'deterministic', False, 'Whether what is filmed acts without noise.'
)
flags.DEFINE_bool('debug', False, 'Whether errors show where they were raised.')

COMMAND = command_line.Command(
  'render',
  (
    '--root_dir=runs/point',
    '--root_dir=runs/point --task=0.3,-0.2 --out=point.mp4',
    '--root_dir=runs/cheetah --task=-1 --width=480 --height=360',
    '--policy=cheetah_direction --task=-1 --out=backward.gif',
  ),
  check=chosen_run.check,
)

main = functools.partial(command_line.run, COMMAND)


if __name__ == '__main__':
  command_line.start(COMMAND)
