"""Measures time and memory for several sizes of meta-iterations.

  python benchmarks/scaling.py --out=results/scaling

The sizes are tasks, episodes, horizon, width of layers and replicas. From 20
tasks of 20 episodes of 100 steps, layers of 64 units and one replica, one size
is changed at a time. `scaling_point.py` measures each point in a process of its
own. Writes scaling.csv and scaling.png. A point that cannot be measured is
reported and omitted. Run it on an idle machine: all times are wall time.
"""

import argparse
from collections.abc import Sequence
import csv
import json
import pathlib
import subprocess
import sys

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot  # noqa: E402  After the choice of backend.
from matplotlib import ticker  # noqa: E402

BASE = {
  'tasks': 20,
  'episodes': 20,
  'horizon': 100,
  'width': 64,
  'replicas': 1,
}
SWEEP = {
  'tasks': (10, 20, 40, 80, 160, 400),
  'episodes': (5, 10, 20, 40),
  'horizon': (25, 50, 100, 200),
  'width': (32, 64, 128, 256),
  'replicas': (1, 2, 4),
}
_UNITS = {
  'tasks': 'tasks',
  'episodes': 'episodes a task',
  'horizon': 'steps an episode',
  'width': 'units a layer',
  'replicas': 'replicas',
}
# The number of frames, and so the time, is proportional to these.
_NUMBERS_OF_FRAMES = ('tasks', 'episodes', 'horizon')
_TIMES = {
  'seconds': {'label': 'in all', 'color': 'black', 'marker': 'o'},
  'collect_seconds': {'label': 'collection', 'marker': '.'},
  'update_seconds': {'label': 'update', 'marker': '.'},
}
_MEMORY = {
  'peak_rss_mb': {'label': 'peak', 'color': 'black', 'marker': 'o'},
  'baseline_rss_mb': {'label': 'before iterations', 'color': 'gray'},
}
_POINT = pathlib.Path(__file__).with_name('scaling_point.py')


def measure(sizes: dict[str, int], iterations: int) -> dict[str, float] | None:
  """Runs `scaling_point.py`.

  Args:
    sizes: A value for every key of `BASE`.
    iterations: The number of timed iterations.

  Returns:
    Its last line: seconds and MB by name. None if it fails, which is reported.
  """
  command = [sys.executable, str(_POINT), f'--iterations={iterations}']
  command += [f'--{name}={value}' for name, value in sizes.items()]
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  if done.returncode == 0:
    return json.loads(done.stdout.strip().split('\n')[-1])
  last = (done.stderr.strip() or 'no output').split('\n')[-1]
  _log(f'not measured: exit code {done.returncode}, {last}')
  return None


def sweep(
  sizes: dict[str, Sequence[int]], base: dict[str, int], iterations: int
) -> list[dict]:
  """Measures every point once, even if several factors share it.

  Args:
    sizes: The values of each factor.
    base: The values of the other factors while one is changed.
    iterations: The number of timed iterations at each point.

  Returns:
    A list of rows: the factor, all sizes, and the result of `measure`.
  """
  points = [
    (factor, {**base, factor: value})
    for factor, values in sizes.items()
    for value in values
  ]
  measured, rows = {}, []
  for number, (factor, point) in enumerate(points, start=1):
    key = tuple(point.values())
    if key not in measured:
      _log(f'{number}/{len(points)} {factor} = {point[factor]}: ', end='')
      measured[key] = result = measure(point, iterations)
      if result:
        _log(
          f'{result["seconds"]:.2f} s an iteration,'
          f' {result["peak_rss_mb"]:,.0f} MB'
        )
    if measured[key]:
      rows.append({'factor': factor, **point, **measured[key]})
  return rows


def write_csv(rows: Sequence[dict], path: pathlib.Path) -> None:
  """Writes the keys of the first row as a header, then one line a row."""
  with open(path, 'w', newline='', encoding='utf-8') as file:
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)


def draw(rows: Sequence[dict], path: pathlib.Path) -> None:
  """Draws seconds and memory, with one column of panels for each factor."""
  factors = list(dict.fromkeys(row['factor'] for row in rows))
  figure, panels = pyplot.subplots(
    2,
    len(factors),
    figsize=(1.5 + 2.6 * len(factors), 6),
    sharex='col',
    sharey='row',
    squeeze=False,
    layout='constrained',
  )
  for factor, (times, memory) in zip(factors, panels.T):
    of_factor = [row for row in rows if row['factor'] == factor]
    columns = {name: [row[name] for row in of_factor] for name in rows[0]}
    values = columns[factor]
    times.set(xscale='log', yscale='log')
    for name, style in _TIMES.items():
      times.plot(values, columns[name], **style)
    if factor in _NUMBERS_OF_FRAMES:
      unit = columns['seconds'][-1] / values[-1]
      linear = [unit * value for value in values]
      times.plot(values, linear, ':', color='gray', label='linear')
    for name, style in _MEMORY.items():
      memory.plot(values, columns[name], **style)
    memory.set_xlabel(_UNITS[factor])
    memory.set_xticks(values, [str(value) for value in values])
    memory.minorticks_off()
    for axes in (times, memory):
      axes.grid(alpha=0.3)
  panels[0, 0].yaxis.set_major_formatter(ticker.StrMethodFormatter('{x:g}'))
  panels[0, 0].set_ylabel('seconds an iteration')
  panels[1, 0].set_ylabel('memory of the process, MB')
  panels[1, 0].set_ylim(bottom=0)
  for axes in panels[:, 0]:
    axes.legend(fontsize='small')
  figure.suptitle('Meta-iterations on HalfCheetah, one size changed at a time')
  figure.savefig(path, dpi=130)


def main(argv: Sequence[str] | None = None) -> None:
  """Measures, writes and draws."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--out', type=pathlib.Path, required=True)
  parser.add_argument(
    '--factors', nargs='+', choices=list(SWEEP), default=list(SWEEP)
  )
  parser.add_argument('--iterations', type=int, default=3)
  flags = parser.parse_args(argv)
  if flags.iterations < 1:
    parser.error(f'--iterations is {flags.iterations}: give 1 or more')
  flags.out.mkdir(parents=True, exist_ok=True)
  sizes = {factor: SWEEP[factor] for factor in flags.factors}
  rows = sweep(sizes, BASE, flags.iterations)
  if not rows:
    parser.exit(1, 'scaling: no point was measured, see above\n')
  write_csv(rows, flags.out / 'scaling.csv')
  draw(rows, flags.out / 'scaling.png')


def _log(text: str, end: str = '\n') -> None:
  print(text, end=end, file=sys.stderr, flush=True)


if __name__ == '__main__':
  main()
