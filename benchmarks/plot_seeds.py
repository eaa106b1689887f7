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
import numpy as np
import scipy.stats

from benchmarks import plot_returns

matplotlib.use('Agg')
from matplotlib import pyplot  # noqa: E402  After the choice of backend.

_NUM_POINTS = 200
_NUM_RESAMPLES = 2000
_TRIM = 0.25
_STYLES = ('-', '--', '-.')


def interquartile_mean(values: np.ndarray) -> np.ndarray:
  """Returns the mean of the middle half of seeds, [..., S] -> [...]."""
  return scipy.stats.trim_mean(values, _TRIM, axis=-1)


def band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns the ends of the 95% bootstrap interval, [..., S] -> [...]."""
  num_seeds = values.shape[-1]
  draws = np.random.default_rng(0).integers(
    num_seeds, size=(_NUM_RESAMPLES, num_seeds)
  )
  means = interquartile_mean(values[..., draws])
  low, high = np.percentile(means, [2.5, 97.5], axis=-1)
  return low, high


def read_group(
  paths: Sequence[str], mean_over: int
) -> tuple[np.ndarray, np.ndarray]:
  """Reads the runs of a group.

  Args:
    paths: The metrics.csv of S runs.
    mean_over: The number of iterations of the moving mean.

  Returns:
    Env steps [P], as far as the shortest run goes, and returns [X + 1, P, S].
  """
  runs = [plot_returns.read_metric(path, 'return') for path in paths]
  start = max(env_steps[0] for env_steps, _ in runs)
  stop = min(env_steps[-1] for env_steps, _ in runs)
  grid = np.linspace(start, stop, _NUM_POINTS)
  curves = [
    [
      np.interp(grid, env_steps, plot_returns.moving_mean(values, mean_over))
      for values in returns
    ]
    for env_steps, returns in runs
  ]
  return grid, np.moveaxis(np.array(curves), 0, -1)


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
    env_steps, returns = read_group(paths.split(','), flags.mean_over)
    last = len(returns) - 1
    alone = len(flags.groups) == 1
    for step in range(last + 1) if alone else (last,):
      _draw(
        axes,
        env_steps / 1e6,
        returns[step],
        color=f'C{step if alone else index % 10}',
        linestyle='-' if alone else _STYLES[index // 10],
        label=_step_name(step) if alone else name,
      )
    ends = returns[:, -1]
    centres = [f'{interquartile_mean(end):.1f}' for end in ends]
    low, high = band(ends[-1])
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


def _draw(axes, env_steps, values, color, linestyle, label):
  """Draws the centre and the band of values [P, S]."""
  axes.plot(
    env_steps,
    interquartile_mean(values),
    color=color,
    linestyle=linestyle,
    label=label,
  )
  if values.shape[-1] > 1:
    axes.fill_between(
      env_steps, *band(values), color=color, alpha=0.2, linewidth=0
    )


def _step_name(step):
  if step == 0:
    return 'before adaptation'
  return f'after {step} step' + ('s' if step > 1 else '')


if __name__ == '__main__':
  main()
