"""Makes a trained policy of the package from a run that has been evaluated.

python -m benchmarks.package_policy --run=runs/velocity
    --out=maml_tf/policies/cheetah_velocity --commit=365bcf0
    --task='a half-cheetah runs at a velocity in [0, 2] m/s' --example_task=1.5
    --command='maml_tf train --gin_file=cheetah_velocity.gin'

It copies what a run needs to act, adapt, be evaluated and be exported: the
config and the newest checkpoint, about 100 KB. The returns in policy.json are
those of the run's evaluation.json, or of that in --evaluation.
"""

import argparse
from collections.abc import Sequence
import csv
import json
import os
import shutil

from maml_tf.core import errors
from maml_tf.core import files
from maml_tf.core import shipped_policies
from maml_tf.evaluation import report
from maml_tf.run import checkpoints
from maml_tf.run import config
from maml_tf.run import loggers


def main(argv: Sequence[str] | None = None) -> None:
  """Makes the policy that the arguments describe."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--run', required=True, help='the run, read only')
  parser.add_argument(
    '--out', required=True, help='a folder; an older policy there is replaced'
  )
  parser.add_argument('--evaluation', help='a folder; default: the run')
  for name in ('task', 'example_task', 'command', 'commit'):
    parser.add_argument(f'--{name}', required=True)
  arguments = parser.parse_args(argv)
  try:
    _check_out(arguments.out)
    checkpoint, facts = _read(arguments)
  except (OSError, ValueError, errors.UsageError) as error:
    parser.error(str(error))
  with files.replace_directory(arguments.out) as scratch:
    _write(scratch, arguments.run, checkpoint, facts)
  print(arguments.out, facts)


def _check_out(out):
  """Raises ValueError for a folder that is not an older policy."""
  path = os.path.join(out, shipped_policies.FACTS_FILE)
  if os.path.lexists(out) and not os.path.isfile(path):
    raise ValueError(
      f'{out} exists and is not a trained policy: give another --out'
    )


def _read(arguments):
  """Returns the path of the run's checkpoint and the policy's facts.

  Raises:
    OSError: A file of the run is missing.
    ValueError: The run lacks something, or was evaluated before its end.
    errors.UsageError: No checkpoint is intact.
  """
  checkpoint = checkpoints.newest_intact(
    os.path.join(arguments.run, checkpoints.CHECKPOINT_DIR)
  )
  if checkpoint is None:
    raise ValueError(f'{arguments.run} has no checkpoint')
  iteration = checkpoints.iteration_of(checkpoint)
  folder = arguments.evaluation or arguments.run
  with open(os.path.join(folder, report.JSON_FILE), encoding='utf-8') as file:
    evaluation = json.load(file)
  if evaluation['iteration'] != iteration:
    raise ValueError(
      f'the evaluation is of iteration {evaluation["iteration"]}, the newest'
      f' checkpoint of {iteration}: evaluate again'
    )
  facts = shipped_policies.Facts(
    task=arguments.task,
    example_task=arguments.example_task,
    command=arguments.command,
    commit=arguments.commit,
    iteration=iteration,
    env_steps=_env_steps(arguments.run, iteration),
    tasks=_describe_tasks(evaluation),
    returns=[
      round(step['mean'], 1) for step in evaluation['policies']['trained']
    ],
  )
  return checkpoint, facts


def _write(folder, run, checkpoint, facts):
  """Writes a policy into a new folder."""
  inside = os.path.join(folder, checkpoints.CHECKPOINT_DIR)
  os.makedirs(inside)
  # The sizes of shards and their number are TensorFlow's.
  for ending in ('.index', '.data-00000-of-00001'):
    name = os.path.basename(checkpoint) + ending
    shutil.copyfile(checkpoint + ending, os.path.join(inside, name))
  shutil.copyfile(
    os.path.join(run, config.CONFIG_FILE),
    os.path.join(folder, config.CONFIG_FILE),
  )
  path = os.path.join(folder, shipped_policies.FACTS_FILE)
  with open(path, 'w', encoding='utf-8') as file:
    json.dump(facts._asdict(), file, indent=2)
    file.write('\n')


def _env_steps(run, iteration):
  """Returns the number of env steps that a run had taken by an iteration."""
  path = os.path.join(run, loggers.METRICS_FILE)
  with open(path, newline='', encoding='utf-8') as file:
    for row in csv.DictReader(file):
      if row['iteration'] == str(iteration):
        return int(row['env_steps'])
  raise ValueError(f'{path} has no row of iteration {iteration}')


def _describe_tasks(evaluation):
  """Describes the tasks of an evaluation, such as '40 held-out tasks'."""
  kind = 'held-out' if evaluation['held_out'] else 'training'
  return (
    f'{len(evaluation["tasks"])} {kind} tasks, seed {evaluation["seed"]},'
    f' {evaluation["episodes_per_task"]} episodes a step'
  )


if __name__ == '__main__':
  main()
