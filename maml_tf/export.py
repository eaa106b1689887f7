"""Exports a run: python -m maml_tf.export --root_dir=DIR --export_dir=OUT."""

import functools

from absl import flags

from maml_tf.commands import chosen_run
from maml_tf.commands import command_line

flags.DEFINE_string('root_dir', None, 'The run.')
flags.DEFINE_string('policy', None, chosen_run.POLICY_HELP)
flags.DEFINE_string(
  'export_dir',
  None,
  'The SavedModel; an older one there is replaced. With --lite: the folder of'
  ' model.tflite.',
)
flags.DEFINE_string(
  'model_version',
  None,
  'Adds the SavedModel to the folder --export_dir as a numbered version, as'
  ' TensorFlow Serving reads them: next, or a number that is free.',
)
flags.DEFINE_string(
  'state',
  None,
  "One task's adapted parameters, an .npz file written by"
  ' np.savez(file, *policy_state): the SavedModel acts for that task alone.',
)
flags.DEFINE_bool(
  'deterministic', False, 'With --state: it takes the most probable action.'
)
flags.DEFINE_bool(
  'lite', False, 'Write a TFLite model for small devices, see docs/edge.md.'
)
flags.DEFINE_integer(
  'episodes',
  None,
  'With --lite: for how many episodes a step of adaptation has room. Default:'
  ' as in training.',
)
flags.DEFINE_integer(
  'horizon',
  None,
  'With --lite: how many steps an episode has at most. Default: as in'
  ' training.',
)
flags.DEFINE_bool('debug', False, 'Whether errors show where they were raised.')

COMMAND = command_line.Command(
  'export',
  (
    '--root_dir=runs/point --export_dir=models/point',
    '--root_dir=runs/point --export_dir=models/goal --state=goal.npz',
    '--policy=cheetah_direction --export_dir=models/cheetah',
    '--root_dir=runs/point --export_dir=serving/point --model_version=next',
    '--root_dir=runs/point --export_dir=models/point_lite --lite',
  ),
  check=chosen_run.check,
)

main = functools.partial(command_line.run, COMMAND)


if __name__ == '__main__':
  command_line.start(COMMAND)
