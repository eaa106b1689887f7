"""Draws the returns before and after adaptation of one or more runs.

python benchmarks/plot_returns.py --out=curves.png RUN/metrics.csv ...

A curve is named after the folder of its metrics.csv; a file of another name,
such as seed0.csv, gives its own. `--metric=success` draws the rates of success
instead.
"""

import argparse
from collections.abc import Sequence
import csv
import os
import pathlib

import matplotlib
import numpy as np

matplotlib.use('Agg')
from matplotlib import pyplot  # noqa: E402  After the choice of backend.


def read_metric(path: str, metric: str) -> tuple[np.ndarray, np.ndarray]:
  """Returns env steps [I] and the metric after each step [X + 1, I]."""
  with open(path, newline='', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  columns = [name for name in rows[0] if name.startswith(f'{metric}_step_')]
  env_steps = np.array([float(row['env_steps']) for row in rows])
  values = np.array([[float(row[c]) for row in rows] for c in columns])
  return env_steps, values


def run_names(paths: Sequence[str]) -> list[str]:
  """Names runs by their folders: as much of them as tells them apart."""
  parts = [
    pathlib.Path(os.path.abspath(path)).with_suffix('') for path in paths
  ]
  parts = [
    path.parts[:-1] if path.name == 'metrics' else path.parts for path in parts
  ]
  for length in range(1, max(map(len, parts)) + 1):
    names = ['/'.join(p[-length:]) for p in parts]
    if len(set(names)) == len(set(parts)):
      break
  return names


def moving_mean(values: np.ndarray, width: int) -> np.ndarray:
  """Returns means over at most `width` previous values, [I] -> [I].

  NaNs, of iterations whose collection failed, are left out.
  """
  known = np.isfinite(values)
  sums = np.cumsum(np.insert(np.where(known, values, 0.0), 0, 0.0))
  counts = np.cumsum(np.insert(known, 0, 0))
  ends = np.arange(1, len(values) + 1)
  starts = np.maximum(ends - width, 0)
  with np.errstate(invalid='ignore'):
    return (sums[ends] - sums[starts]) / (counts[ends] - counts[starts])


def main(argv: Sequence[str] | None = None) -> None:
  """Draws the curves and prints the last means."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('csv', nargs='+', help='metrics.csv of a run')
  parser.add_argument('--out', required=True, help='the image, a .png')
  parser.add_argument('--title', default='')
  parser.add_argument(
    '--metric', default='return', choices=('return', 'success')
  )
  parser.add_argument('--mean_over', type=int, default=10, help='iterations')
  parser.add_argument(
    '--reference', type=float, help='a return to draw as a line'
  )
  parser.add_argument('--reference_name', default='reference')
  flags = parser.parse_args(argv)

  decimals = 1 if flags.metric == 'return' else 3
  figure, axes = pyplot.subplots(figsize=(8, 4.5), layout='constrained')
  names = run_names(flags.csv)
  for index, (name, path) in enumerate(zip(names, flags.csv)):
    env_steps, metric = read_metric(path, flags.metric)
    for step, values in enumerate(metric):
      smooth = moving_mean(values, flags.mean_over)
      before = step == 0
      axes.plot(
        env_steps / 1e6,
        smooth,
        color=f'C{index}',
        linestyle=':' if before else '-',
        label=f'{name}, ' + ('before' if before else f'after {step} step'),
      )
      print(
        f'{name}: {flags.metric} after {step} steps, mean of the last '
        f'{flags.mean_over} iterations at {env_steps[-1]:,.0f} env steps: '
        f'{smooth[-1]:.{decimals}f}'
      )
  if flags.reference is not None:
    axes.axhline(
      flags.reference, color='grey', linewidth=1, label=flags.reference_name
    )
  axes.set_xlabel('env steps (millions)')
  axes.set_ylabel(f'{flags.metric}, mean of {flags.mean_over} iterations')
  axes.set_title(flags.title)
  axes.grid(alpha=0.3)
  axes.legend()
  figure.savefig(flags.out, dpi=150)


if __name__ == '__main__':
  main()
