"""Trains every algorithm on point navigation for the same number of env steps.

  python benchmarks/algorithms.py --out=results/algorithms

Writes the metrics.csv of each algorithm, `algorithms.csv` with the means of the
last ten iterations, and `algorithms.png`. Finished runs are reused.
"""

import argparse
from collections.abc import Sequence
import csv
import pathlib
import subprocess
import sys

import matplotlib
import numpy as np

matplotlib.use('Agg')
from matplotlib import pyplot  # noqa: E402  After the choice of backend.

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


def train(name: str, root_dir: pathlib.Path, bindings: Sequence[str]) -> None:
  """Runs the command line on point.gin and one algorithm."""
  command = [sys.executable, '-m', 'maml_tf.train', '--gin_file=point.gin']
  command += [f'--gin_file={name}.gin', f'--root_dir={root_dir}']
  command += [f'--gin_bindings={b}' for b in bindings]
  subprocess.run(command, check=True)


def read(path: pathlib.Path, env_steps: int) -> tuple[np.ndarray, ...]:
  """Reads metrics up to a number of env steps.

  Returns:
    Arrays [I] of env steps, returns before and returns after adaptation.
  """
  with open(path, newline='', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  last = [n for n in rows[0] if n.startswith('return_step_')][-1]
  steps, before, after = (
    np.array([float(row[c]) for row in rows])
    for c in ('env_steps', 'return_step_0', last)
  )
  within = steps <= env_steps
  return steps[within], before[within], after[within]


def main(argv: Sequence[str] | None = None) -> None:
  """Trains, prints a table and draws."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--out', type=pathlib.Path, required=True)
  parser.add_argument('--runs', type=pathlib.Path, default='runs/algorithms')
  parser.add_argument('--iterations', type=int, default=60)
  parser.add_argument('--tasks', type=int, default=20)
  parser.add_argument('--only', nargs='*', default=_ALGORITHMS)
  flags = parser.parse_args(argv)

  flags.out.mkdir(parents=True, exist_ok=True)
  # An iteration of X adaptation steps has X + 1 stages.
  env_steps = flags.iterations * flags.tasks * 20 * 100 * 2
  table, axes = [], pyplot.subplots(figsize=(9, 5), layout='constrained')[1]
  colors = pyplot.get_cmap('tab20').colors
  for name, color in zip(flags.only, colors):
    bindings = [f'train_eval.num_tasks = {flags.tasks}']
    # An iteration of Reptile has three adaptation steps, so four stages.
    share = 2 if name == 'reptile' else 1
    bindings.append(f'train_eval.num_iterations = {flags.iterations // share}')
    train(name, flags.runs / name, bindings)
    path = flags.out / f'{name}.csv'
    path.write_text((flags.runs / name / 'metrics.csv').read_text())
    steps, before, after = read(path, env_steps)
    table.append(
      (name, int(steps[-1]), before[-10:].mean(), after[-10:].mean())
    )
    is_reference = name == _ALGORITHMS[0]
    axes.plot(
      steps / 1e6,
      after,
      label=name,
      color='black' if is_reference else color,
      linewidth=2.5 if is_reference else 1.2,
    )
  with open(flags.out / 'algorithms.csv', 'w', encoding='utf-8') as file:
    writer = csv.writer(file)
    writer.writerow(['algorithm', 'env_steps', 'return_before', 'return_after'])
    writer.writerows((n, s, f'{b:.2f}', f'{a:.2f}') for n, s, b, a in table)
  print(f'{"algorithm":<12}{"env steps":>12}{"before":>9}{"after":>9}')
  for name, steps, before, after in table:
    print(f'{name:<12}{steps:>12,}{before:9.2f}{after:9.2f}')
  axes.set_xlabel('million env steps')
  axes.set_ylabel('return after adaptation')
  axes.set_ylim(bottom=-50)
  axes.set_title('Point navigation: every algorithm at equal env steps')
  axes.legend(ncol=2, fontsize='small')
  axes.figure.savefig(flags.out / 'algorithms.png', dpi=120)


if __name__ == '__main__':
  main()
