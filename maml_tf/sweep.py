"""Sweeps: python -m maml_tf.sweep --gin_file=cheetah.gin --set 'X.y=1,2'."""

import functools

from absl import flags

from maml_tf.commands import command_line

flags.DEFINE_multi_string(
  'gin_file', [], 'A path, or a config of the package, e.g. cheetah.gin.'
)
flags.DEFINE_multi_string(
  'gin_bindings', [], "A setting of all runs, e.g. 'train_eval.num_tasks = 20'."
)
flags.DEFINE_multi_string(
  'set',
  [],
  "A setting and its values, e.g. 'InnerLoop.step_size=0.1,0.3', or with"
  " --random a range: 'Adam.learning_rate=log(1e-4,1e-2)', uniform(0.8,1.0),"
  ' integer(1,5).',
)
flags.DEFINE_integer(
  'seeds', 1, "How many seeds: the config's train_eval.seed and those after it."
)
flags.DEFINE_integer(
  'random',
  None,
  'How many combinations of values to draw at random. Default: all of them.',
)
flags.DEFINE_integer(
  'jobs', 1, 'How many runs at a time; they divide the CPU cores.'
)
flags.DEFINE_string(
  'root_dir',
  None,
  'Where the runs are; those of an earlier start go on. Default:'
  ' runs/NAME-sweep-TIME.',
)
flags.DEFINE_bool('debug', False, 'Whether errors show where they were raised.')

COMMAND = command_line.Command(
  'sweep',
  (
    "--gin_file=point.gin --set 'InnerLoop.step_size=0.1,0.3' --seeds=3",
    "--gin_file=cheetah.gin --set 'Adam.learning_rate=log(1e-4,1e-2)'"
    ' --random=20 --jobs=2',
    "--gin_file=point.gin --set 'create_actor_network.fc_layer_params=(32,),"
    "(64,64)' --root_dir=runs/sizes  # Again: goes on.",
  ),
  takes_configs=True,
)

main = functools.partial(command_line.run, COMMAND)


if __name__ == '__main__':
  command_line.start(COMMAND)
