"""Draws the returns before and after adaptation of one or more runs.

python benchmarks/plot_returns.py --out=curves.png RUN/metrics.csv ...

A curve is named after the folder of its metrics.csv; a file of another name,
such as seed0.csv, gives its own. `--metric=success` draws the rates of success
instead.
"""

import argparse
from collections.abc import Sequence

import matplotlib

from maml_tf.comparison import metrics_tables
from maml_tf.comparison import run_records

matplotlib.use('Agg')
from matplotlib import pyplot  # noqa: E402  After the choice of backend.


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
  names = run_records.run_names(flags.csv)
  for index, (name, path) in enumerate(zip(names, flags.csv)):
    table = metrics_tables.read(path)
    env_steps = table['env_steps']
    for step, column in enumerate(metrics_tables.steps_of(table, flags.metric)):
      smooth = metrics_tables.moving_mean(table[column], flags.mean_over)
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
