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
from concurrent import futures
import csv
import itertools
import pathlib
import subprocess
import sys

import numpy as np

from benchmarks import plot_seeds

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
# The means are over this share of the iterations, at the end.
_LAST_SHARE = 0.1


def train(
  experiment: str,
  name: str,
  seed: int,
  root_dir: pathlib.Path,
  bindings: Sequence[str],
) -> None:
  """Runs the command line on an experiment and one algorithm."""
  command = [sys.executable, '-m', 'maml_tf.train']
  command += [f'--gin_file={experiment}', f'--gin_file={name}.gin']
  command += [f'--root_dir={root_dir}']
  command += [f'--gin_bindings={b}' for b in bindings]
  command += [f'--gin_bindings=train_eval.seed = {seed}']
  log = root_dir.with_suffix('.log')
  log.parent.mkdir(parents=True, exist_ok=True)
  with open(log, 'wb') as file:
    ended = subprocess.run(command, stdout=file, stderr=file)
  if ended.returncode:
    raise SystemExit(f'{name}, seed {seed}, failed: see {log}')


def read_ends(path: pathlib.Path) -> tuple[int, float, float]:
  """Returns env steps and the last mean returns before and after adaptation."""
  with open(path, newline='', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  last = [n for n in rows[0] if n.startswith('return_step_')][-1]
  rows_at_end = rows[-max(1, int(_LAST_SHARE * len(rows))) :]
  before, after = (
    float(np.nanmean([float(row[c]) for row in rows_at_end]))
    for c in ('return_step_0', last)
  )
  return int(float(rows[-1]['env_steps'])), before, after


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

  def run(name, seed):
    # An iteration of Reptile has three adaptation steps, so four stages.
    share = 2 if name == 'reptile' else 1
    bindings = [
      f'train_eval.num_tasks = {flags.tasks}',
      f'train_eval.num_iterations = {flags.iterations // share}',
      'train_eval.export_saved_model = False',
      *flags.bindings,
    ]
    root_dir = runs_folder / f'{name}-{seed}'
    train(flags.experiment, name, seed, root_dir, bindings)
    path = flags.out / _csv_name(name, seed, flags.seeds)
    path.write_text((root_dir / 'metrics.csv').read_text())
    return path

  runs = list(itertools.product(flags.only, range(flags.seeds)))
  print(f'{len(runs)} runs, {flags.jobs} at once', flush=True)
  with futures.ThreadPoolExecutor(flags.jobs) as pool:
    paths = dict(zip(runs, pool.map(lambda r: run(*r), runs), strict=True))
  _write_table(flags, paths)
  plot_seeds.main(
    [
      f'{name}=' + ','.join(str(paths[name, s]) for s in range(flags.seeds))
      for name in flags.only
    ]
    + [f'--out={flags.out / "algorithms.png"}']
    + [f'--title={experiment}: every algorithm at equal env steps']
  )


def _csv_name(name, seed, num_seeds):
  return f'{name}.csv' if num_seeds == 1 else f'{name}-{seed}.csv'


def _write_table(flags, paths):
  """Writes algorithms.csv and prints it: means and each seed's return."""
  print(f'{"algorithm":<12}{"env steps":>12}{"before":>9}{"after":>9}  seeds')
  with open(flags.out / 'algorithms.csv', 'w', encoding='utf-8') as file:
    writer = csv.writer(file)
    writer.writerow(['algorithm', 'env_steps', 'return_before', 'return_after'])
    for name in flags.only:
      ends = [read_ends(paths[name, seed]) for seed in range(flags.seeds)]
      steps, before, after = np.mean(ends, axis=0)
      writer.writerow([name, int(steps), f'{before:.2f}', f'{after:.2f}'])
      seeds = ', '.join(f'{end[2]:.1f}' for end in ends)
      print(f'{name:<12}{steps:>12,.0f}{before:9.2f}{after:9.2f}  {seeds}')


if __name__ == '__main__':
  main()
