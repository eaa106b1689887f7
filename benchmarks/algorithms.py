"""Trains every algorithm on one experiment for the same number of env steps.

  python -m benchmarks.algorithms --out=results/algorithms
  python -m benchmarks.algorithms --experiment=cheetah.gin --tasks=4 \\
    --iterations=625 --seeds=2 --jobs=2 --out=results/cheetah_algorithms

Writes the metrics.csv of each algorithm and seed, `algorithms.csv` with the
means of the last iterations, and `algorithms.png`. Finished runs are reused,
unfinished ones are resumed.
"""

import argparse
from collections.abc import Sequence
import csv
import itertools
import pathlib
import shutil

import numpy as np

from benchmarks import plot_seeds
from maml_tf.sweeping import processes
from maml_tf.sweeping import table

_ALGORITHMS = (
  'promp',
  'anil',
  'cavia',
  'dice',
  'emaml',
  'fomaml',
  'maml_trpo',
  'maml_vpg',
  'meta_sgd',
  'reptile',
  'rllib_maml',
)


def train(jobs: Sequence[processes.Job], num_at_once: int) -> None:
  """Trains the runs, and tells when one ends."""
  failed = []

  def report(index, code):
    job = jobs[index]
    print(f'{job.root_dir}: exit code {code}', flush=True)
    if code:
      failed.append(job.log)

  if processes.train(jobs, num_at_once, lambda index: None, report):
    raise SystemExit('stopped; the same command goes on')
  if failed:
    raise SystemExit(f'failed: see {", ".join(failed)}')


def main(argv: Sequence[str] | None = None) -> None:
  """Trains, prints a table and draws."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--out', type=pathlib.Path, required=True)
  parser.add_argument(
    '--runs', type=pathlib.Path, help='default: runs/EXPERIMENT_algorithms'
  )
  parser.add_argument('--experiment', default='point.gin')
  parser.add_argument('--iterations', type=int, default=60)
  parser.add_argument('--tasks', type=int, default=20)
  parser.add_argument('--seeds', type=int, default=1)
  parser.add_argument('--jobs', type=int, default=1, help='runs at once')
  parser.add_argument('--bindings', nargs='*', default=(), help='gin bindings')
  parser.add_argument('--only', nargs='*', default=_ALGORITHMS)
  flags = parser.parse_args(argv)

  flags.out.mkdir(parents=True, exist_ok=True)
  experiment = pathlib.Path(flags.experiment).stem
  runs_folder = flags.runs or pathlib.Path('runs', f'{experiment}_algorithms')

  runs = list(itertools.product(flags.only, range(flags.seeds)))
  jobs = [_job(flags, runs_folder, *run) for run in runs]
  print(f'{len(runs)} runs, {flags.jobs} at once', flush=True)
  train(jobs, flags.jobs)
  ends, paths = {}, {}
  for (name, seed), job in zip(runs, jobs, strict=True):
    paths[name, seed] = flags.out / _csv_name(name, seed, flags.seeds)
    ends[name, seed] = table.read_ends(job.root_dir)
    shutil.copyfile(f'{job.root_dir}/metrics.csv', paths[name, seed])
  _write_table(flags, ends)
  plot_seeds.main(
    [
      f'{name}=' + ','.join(str(paths[name, s]) for s in range(flags.seeds))
      for name in flags.only
    ]
    + [f'--out={flags.out / "algorithms.png"}']
    + [f'--title={experiment}: every algorithm at equal env steps']
  )


def _job(flags, runs_folder, name, seed):
  """Returns the job of an algorithm and a seed."""
  # An iteration of Reptile has three adaptation steps, so four stages.
  share = 2 if name == 'reptile' else 1
  return processes.Job(
    str(runs_folder / f'{name}-{seed}'),
    [flags.experiment, f'{name}.gin'],
    [
      f'train_eval.num_tasks = {flags.tasks}',
      f'train_eval.num_iterations = {flags.iterations // share}',
      'train_eval.export_saved_model = False',
      *flags.bindings,
      f'train_eval.seed = {seed}',
    ],
  )


def _csv_name(name, seed, num_seeds):
  return f'{name}.csv' if num_seeds == 1 else f'{name}-{seed}.csv'


def _write_table(flags, ends):
  """Writes algorithms.csv and prints it: means and each seed's return."""
  print(f'{"algorithm":<12}{"env steps":>12}{"before":>9}{"after":>9}  seeds')
  with open(flags.out / 'algorithms.csv', 'w', encoding='utf-8') as file:
    writer = csv.writer(file)
    writer.writerow(['algorithm', 'env_steps', 'return_before', 'return_after'])
    for name in flags.only:
      of_name = [ends[name, seed] for seed in range(flags.seeds)]
      mean = table.Ends(*np.mean(of_name, axis=0))
      steps, before, after = (
        mean.env_steps,
        mean.return_before,
        mean.return_after,
      )
      writer.writerow([name, int(steps), f'{before:.2f}', f'{after:.2f}'])
      seeds = ', '.join(f'{end.return_after:.1f}' for end in of_name)
      print(f'{name:<12}{steps:>12,.0f}{before:9.2f}{after:9.2f}  {seeds}')


if __name__ == '__main__':
  main()
