"""Compares two worker processes with one, each on cores of its own.

  python benchmarks/workers.py --tasks=20 --iterations=6

Trains `cheetah.gin` twice: by one process on half of the cores, then by two
under `--strategy=multi_worker`, each on its own half. Prints the env steps per
second of both and their ratio; the last line is JSON. Run it on an idle machine
of at least two cores.
"""

import argparse
from collections.abc import Sequence
import csv
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

# The first iterations compile and allocate memory.
_WARM_UP = 2


def measure(
  root_dir: pathlib.Path,
  cores: Sequence[Sequence[int]],
  num_tasks: int,
  num_iterations: int,
) -> float:
  """Trains with one worker on each set of cores.

  Args:
    root_dir: The folder of the run.
    cores: The cores of each worker.
    num_tasks: The number of tasks, which the workers share.
    num_iterations: The number of iterations to measure, besides the first two.

  Returns:
    The median env steps per second of an iteration, of all workers together.
  """
  addresses = [f'127.0.0.1:{port}' for port in _free_ports(len(cores))]
  processes = []
  for index, own_cores in enumerate(cores):
    command = [sys.executable, '-m', 'maml_tf.train', '--gin_file=cheetah.gin']
    command += [f'--root_dir={root_dir}-{index}']
    environment = dict(os.environ)
    if len(cores) > 1:
      command.append('--strategy=multi_worker')
      environment['TF_CONFIG'] = json.dumps(
        {
          'cluster': {'worker': addresses},
          'task': {'type': 'worker', 'index': index},
        }
      )
    for binding in (
      f'num_iterations = {_WARM_UP + num_iterations}',
      f'num_tasks = {num_tasks}',
      'export_saved_model = False',
    ):
      command.append(f'--gin_bindings=train_eval.{binding}')
    processes.append(
      subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        # Before any thread starts, so that all of them inherit it.
        preexec_fn=lambda own=own_cores: os.sched_setaffinity(0, own),
      )
    )
  codes = _wait(processes)
  if any(codes):
    raise RuntimeError(f'training ended with exit codes {codes}, see above')
  with open(f'{root_dir}-0/metrics.csv', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  return statistics.median(
    float(row['env_steps_per_second']) for row in rows[_WARM_UP:]
  )


def _wait(processes):
  """Returns the exit codes. One that fails ends the others."""
  while any(process.poll() is None for process in processes):
    if any(process.poll() for process in processes):
      for process in processes:
        process.terminate()
    time.sleep(0.5)
  return [process.wait() for process in processes]


def main(argv: Sequence[str] | None = None) -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--tasks', type=int, default=20)
  parser.add_argument('--iterations', type=int, default=6)
  flags = parser.parse_args(argv)
  cores = sorted(os.sched_getaffinity(0))
  if len(cores) < 2:
    parser.error('two workers need two cores, but this process may use one')
  half = len(cores) // 2
  halves = [cores[:half], cores[half : 2 * half]]
  with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    sizes = flags.tasks, flags.iterations
    one = measure(root / 'one', halves[:1], *sizes)
    print(
      f'one process on {half} cores     {one:10,.0f} env steps/s', flush=True
    )
    two = measure(root / 'two', halves, *sizes)
    print(f'two workers on {half} cores each {two:9,.0f} env steps/s')
    print(f'ratio                       {two / one:10.3f}')
  print(
    json.dumps(
      {
        'cores_per_worker': half,
        'one_process_steps_per_second': round(one, 1),
        'two_workers_steps_per_second': round(two, 1),
        'ratio': round(two / one, 4),
      }
    )
  )


def _free_ports(number: int) -> list[int]:
  """Returns ports that nothing listens on at this moment."""
  sockets = [socket.socket() for _ in range(number)]
  try:
    for free in sockets:
      free.bind(('127.0.0.1', 0))
    return [free.getsockname()[1] for free in sockets]
  finally:
    for free in sockets:
      free.close()


if __name__ == '__main__':
  main()
