"""Trains: python -m maml_tf.train --gin_file=cheetah.gin."""

import functools

from absl import flags

from maml_tf.commands import command_line

flags.DEFINE_multi_string(
  'gin_file', [], 'A path, or a config of the package, e.g. cheetah.gin.'
)
flags.DEFINE_multi_string(
  'gin_bindings', [], "A setting, e.g. 'train_eval.num_iterations = 100'."
)
flags.DEFINE_string(
  'root_dir', None, 'The run; resumed if it exists. Default: runs/NAME-TIME.'
)
flags.DEFINE_enum(
  'strategy',
  'default',
  ('default', 'mirrored', 'multi_worker', 'tpu'),
  'Divides the tasks over nothing, all GPUs, the workers of TF_CONFIG, or the'
  ' cores of a TPU.',
)
flags.DEFINE_integer(
  'num_virtual_cpus',
  None,
  'With --strategy=mirrored: how many logical CPUs to use in place of GPUs.',
)
flags.DEFINE_bool(
  'allow_config_change',
  False,
  'Whether a run that is resumed may go on with other settings. It records them'
  ' in config_changes.txt.',
)
flags.DEFINE_bool('debug', False, 'Whether errors show where they were raised.')

COMMAND = command_line.Command(
  'train',
  (
    '--gin_file=point.gin',
    '--gin_file=cheetah.gin --gin_file=maml_trpo.gin --root_dir=runs/trpo',
    "--gin_file=point.gin --gin_bindings='train_eval.seed = 1'",
    '--gin_file=point.gin --root_dir=runs/point  # Again: resumes.',
  ),
  takes_configs=True,
)

main = functools.partial(command_line.run, COMMAND)


if __name__ == '__main__':
  command_line.start(COMMAND)
