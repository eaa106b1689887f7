"""Draws the returns of several seeds as one curve with a band.

python -m benchmarks.plot_seeds --out=returns.png 'ProMP=seed0.csv,seed1.csv'

Each argument is a group of runs that differ in their seed alone: a name and the
metrics.csv of each run. A curve is the interquartile mean over the seeds (with
fewer than four seeds: the mean) of each run's moving mean; its band is the 95%
interval of a bootstrap over the seeds (arXiv:2108.13264). With one group the
picture shows the return after every adaptation step, with several the return
after the last.
"""

import argparse
from collections.abc import Sequence

import matplotlib

from maml_tf.comparison import curves
from maml_tf.comparison import metrics_tables
from maml_tf.core import interquartile_means
from maml_tf.core import phrases

matplotlib.use('Agg')
from matplotlib import pyplot  # noqa: E402  After the choice of backend.


def main(argv: Sequence[str] | None = None) -> None:
  """Draws the curves and prints their ends."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('groups', nargs='+', metavar='NAME=CSV,CSV')
  parser.add_argument('--out', required=True, help='the image, a .png')
  parser.add_argument('--title', default='')
  parser.add_argument('--mean_over', type=int, default=20, help='iterations')
  parser.add_argument(
    '--reference',
    action='append',
    default=[],
    metavar='NAME=RETURN',
    help='a return to draw as a line',
  )
  flags = parser.parse_args(argv)

  figure, axes = pyplot.subplots(figsize=(8, 4.8), layout='constrained')
  for index, group in enumerate(flags.groups):
    name, _, paths = group.partition('=')
    tables = [metrics_tables.read(path) for path in paths.split(',')]
    env_steps, returns, _ = curves.of_tables(tables, 'return', flags.mean_over)
    last = len(returns) - 1
    alone = len(flags.groups) == 1
    for step in range(last + 1) if alone else (last,):
      curves.draw(
        axes,
        env_steps / 1e6,
        returns[step],
        label=phrases.after_steps(step) if alone else name,
        **curves.look(step if alone else index),
      )
    ends = returns[:, -1]
    summaries = [interquartile_means.summarize(end) for end in ends]
    centres = [f'{summary.iqm:.1f}' for summary in summaries]
    low, high = interquartile_means.bootstrap_band(ends[-1])
    print(
      f'{name}: {len(ends[-1])} seeds, {env_steps[-1]:,.0f} env steps, mean of'
      f' {flags.mean_over} iterations: {" -> ".join(centres)}'
      f' [{low:.1f}, {high:.1f}]; seeds'
      f' {", ".join(f"{end:.1f}" for end in ends[-1])}'
    )
  for index, reference in enumerate(flags.reference):
    name, _, value = reference.partition('=')
    axes.axhline(
      float(value),
      color='grey',
      linewidth=1,
      linestyle=('-', '--', ':', '-.')[index % 4],
      label=name,
    )
  axes.set_xlabel('env steps (millions)')
  axes.set_ylabel(f'return, mean of {flags.mean_over} iterations')
  axes.set_title(flags.title)
  axes.grid(alpha=0.3)
  if len(flags.groups) > 6:
    axes.legend(loc='center left', bbox_to_anchor=(1, 0.5))
  else:
    axes.legend()
  figure.savefig(flags.out, dpi=150)
  pyplot.close(figure)


if __name__ == '__main__':
  main()
