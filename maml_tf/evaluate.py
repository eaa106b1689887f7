"""Tests on held-out tasks: python -m maml_tf.evaluate --root_dir=DIR."""

import functools

from absl import flags

from maml_tf.commands import chosen_run
from maml_tf.commands import command_line

flags.DEFINE_string('root_dir', None, 'The run.')
flags.DEFINE_string('policy', None, chosen_run.POLICY_HELP)
flags.DEFINE_bool(
  'protocol', True, "Evaluate runs on Meta-World by Meta-World's own protocol."
)
flags.DEFINE_integer(
  'num_tasks', 40, 'How many tasks; in the protocol, goals of each class.'
)
flags.DEFINE_integer(
  'num_adaptation_steps',
  None,
  'How many steps; may exceed those of training. Default: 3; in the protocol'
  ' 1.',
)
flags.DEFINE_integer(
  'episodes',
  None,
  'Episodes per task and step. Default: as in training, in the protocol 10.',
)
flags.DEFINE_string(
  'step_size_schedule',
  'constant',
  "'constant', or 'halve': half of the run's after the first step.",
)
flags.DEFINE_bool(
  'references',
  False,
  'Also evaluate without meta-learning, at random, and the runs in oracle and'
  ' pretrained.',
)
flags.DEFINE_string(
  'oracle',
  None,
  'A run of oracle.gin. Default: the one in root_dir, if any; of a policy in'
  ' runs/NAME.',
)
flags.DEFINE_string(
  'pretrained', None, 'A run of pretrained.gin. Default: as for --oracle.'
)
flags.DEFINE_integer('seed', None, "Default: the run's.")
flags.DEFINE_string(
  'out',
  None,
  'Where to write. Default: root_dir; of a policy the current folder.',
)
flags.DEFINE_bool('debug', False, 'Whether errors show where they were raised.')

COMMAND = command_line.Command(
  'evaluate',
  (
    '--root_dir=runs/point',
    '--root_dir=runs/point --num_tasks=100 --num_adaptation_steps=5',
    '--root_dir=runs/point --references --out=results/point',
    '--policy=point --out=results/point',
  ),
  check=chosen_run.check,
)

main = functools.partial(command_line.run, COMMAND)


if __name__ == '__main__':
  command_line.start(COMMAND)
