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

from maml_tf.core import shipped_policies
from maml_tf.evaluation import report
from maml_tf.run import checkpoints
from maml_tf.run import config
from maml_tf.run import loggers


def main(argv: Sequence[str] | None = None) -> None:
  """Makes the policy that the arguments describe."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--run', required=True, help='the run, read only')
  parser.add_argument('--out', required=True, help='a folder; replaced')
  parser.add_argument('--evaluation', help='a folder; default: the run')
  for name in ('task', 'example_task', 'command', 'commit'):
    parser.add_argument(f'--{name}', required=True)
  arguments = parser.parse_args(argv)
  checkpoint = checkpoints.newest_intact(
    os.path.join(arguments.run, checkpoints.CHECKPOINT_DIR)
  )
  if checkpoint is None:
    parser.error(f'{arguments.run} has no checkpoint')
  iteration = checkpoints.iteration_of(checkpoint)
  evaluation = _evaluation(arguments.evaluation or arguments.run)
  if evaluation['iteration'] != iteration:
    parser.error(
      f'the evaluation is of iteration {evaluation["iteration"]}, the newest'
      f' checkpoint of {iteration}: evaluate again'
    )
  shutil.rmtree(arguments.out, ignore_errors=True)
  folder = os.path.join(arguments.out, checkpoints.CHECKPOINT_DIR)
  os.makedirs(folder)
  # The sizes of shards and their number are TensorFlow's.
  for ending in ('.index', '.data-00000-of-00001'):
    shutil.copyfile(
      checkpoint + ending,
      os.path.join(folder, os.path.basename(checkpoint) + ending),
    )
  shutil.copyfile(
    os.path.join(arguments.run, config.CONFIG_FILE),
    os.path.join(arguments.out, config.CONFIG_FILE),
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
  path = os.path.join(arguments.out, shipped_policies.FACTS_FILE)
  with open(path, 'w', encoding='utf-8') as file:
    json.dump(facts._asdict(), file, indent=2)
    file.write('\n')
  print(arguments.out, facts)


def _evaluation(folder):
  with open(os.path.join(folder, report.JSON_FILE), encoding='utf-8') as file:
    return json.load(file)


def _env_steps(run, iteration):
  """Returns the number of env steps that a run had taken by an iteration."""
  path = os.path.join(run, loggers.METRICS_FILE)
  with open(path, newline='', encoding='utf-8') as file:
    steps = {row['iteration']: row['env_steps'] for row in csv.DictReader(file)}
  return int(steps[str(iteration)])


def _describe_tasks(evaluation):
  """Describes the tasks of an evaluation, such as '40 held-out tasks'."""
  kind = 'held-out' if evaluation['held_out'] else 'training'
  return (
    f'{len(evaluation["tasks"])} {kind} tasks, seed {evaluation["seed"]},'
    f' {evaluation["episodes_per_task"]} episodes a step'
  )


if __name__ == '__main__':
  main()
