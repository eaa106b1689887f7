"""The flags of maml_tf adapt, which adapts a policy to one task."""

import functools

from absl import flags

from maml_tf.commands import chosen_run
from maml_tf.commands import command_line

flags.DEFINE_string('root_dir', None, 'The run.')
flags.DEFINE_string('policy', None, chosen_run.POLICY_HELP)
flags.DEFINE_string('task', None, chosen_run.TASK_HELP)
flags.DEFINE_integer('seed', None, chosen_run.SEED_HELP)
flags.DEFINE_integer(
  'num_adaptation_steps', None, 'How many steps. Default: as in training.'
)
flags.DEFINE_integer(
  'episodes', None, 'Episodes a step. Default: as in training.'
)
flags.DEFINE_float(
  'step_size', None, "Replaces the run's own step sizes. Default: these."
)
flags.DEFINE_float(
  'max_kl',
  None,
  'The furthest a step may move the policy [nats]: a longer one is halved.'
  ' Default: no limit.',
)
flags.DEFINE_string(
  'film',
  None,
  'A .gif or .mp4 of the task before and after; maml_tf render has more'
  ' settings. Default: none.',
)
flags.DEFINE_string(
  'out',
  None,
  'An .npz file of the adapted parameters, as maml_tf export --state takes it.'
  ' Default: none.',
)
flags.DEFINE_bool('debug', False, 'Whether errors show where they were raised.')

COMMAND = command_line.Command(
  'adapt',
  (
    '--policy=cheetah_direction --task=-1',
    '--policy=cheetah_direction --task=-1 --film=backward.gif',
    '--root_dir=runs/point --task=0.3,-0.2 --out=goal.npz',
  ),
  check=chosen_run.check,
)

main = functools.partial(command_line.run, COMMAND)
