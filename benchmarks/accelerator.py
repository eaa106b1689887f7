"""Measures what an accelerator gives: agreement with the CPU, speed, compiling.

  python benchmarks/accelerator.py --seconds=240 --out=results/accelerator

Runs on any machine. Without a GPU it measures the CPU and says so. Each
configuration is a process of its own, `accelerator_point.py`: TensorFlow
decides some things once a process, peak memory is a process's, and a crash
ends only that one. The most important come first, and what does not fit into
--seconds is skipped and listed. The last line is JSON; --out also gets it as
accelerator.json, with the tables in accelerator.txt.

Run it on an idle machine: all times are wall time.
"""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any
from typing import NamedTuple

import numpy as np

_POINT = 'accelerator_point.py'
_IN_GRAPH = 'graph_environments.py'
_FOLDER = pathlib.Path(__file__).parent
_CHUNKS = (1, 4, 20)
# A process imports TensorFlow, traces and compiles: with less time left, none
# begins.
_LEAST_SECONDS = 20.0


class Job(NamedTuple):
  """One configuration, measured in a process of its own.

  Attributes:
    name: The name in the results.
    kind: What `accelerator_point.py` measures; '' for another script.
    arguments: Its flags.
    on_cpu: Whether the GPU is hidden from it.
    environment: More variables.
    script: The file in this folder that measures.
  """

  name: str
  kind: str
  arguments: tuple[str, ...] = ()
  on_cpu: bool = False
  environment: tuple[tuple[str, str], ...] = ()
  script: str = _POINT


class Budget:
  """The seconds that are left."""

  def __init__(
    self, seconds: float, clock: Callable[[], float] = time.monotonic
  ):
    """Starts the clock."""
    self._clock = clock
    self._start = clock()
    self._seconds = seconds

  @property
  def spent(self) -> float:
    """Seconds since the start."""
    return self._clock() - self._start

  @property
  def left(self) -> float:
    """Seconds until the end; not positive after it."""
    return self._seconds - self.spent


def jobs(num_tasks: int, has_gpu: bool, folder: str) -> list[Job]:
  """Returns the configurations, the most important ones first.

  Args:
    num_tasks: B.
    has_gpu: Whether there is a GPU. Without one TF32 means nothing.
    folder: Where processes write.
  """
  chunks = [c for c in _CHUNKS if c < num_tasks]
  reference = _update(folder, 'cpu', 1, jit=False, gradient=True, on_cpu=True)
  whole = _update(folder, 'device', num_tasks, jit=True, gradient=True)
  plain = _update(folder, 'device', num_tasks, jit=False, gradient=True)
  with_tf32 = [
    _update(folder, 'device', num_tasks, jit, gradient=True, tf32=True)
    for jit in (True, False)
  ]
  trained = _iterations(folder, num_tasks, has_gpu)
  swept = [
    _update(folder, 'device', chunk, jit)
    for chunk in reversed(chunks)
    for jit in (True, False)
  ]
  return [
    Job('batch', 'record', (f'--batch={folder}/batch.npz',), on_cpu=True),
    reference,
    whole,
    *(with_tf32[:1] if has_gpu else ()),
    *trained,
    *_in_graph(num_tasks),
    plain,
    *(with_tf32[1:] if has_gpu else ()),
    *swept,
  ]


def _update(
  folder: str,
  where: str,
  chunk: int,
  jit: bool,
  gradient: bool = False,
  tf32: bool = False,
  on_cpu: bool = False,
) -> Job:
  """Returns the update with one setting of chunks, XLA and TF32."""
  words = [where, 'xla' if jit else 'graph', f'chunk{chunk}']
  name = '-'.join([*words, *(['tf32'] if tf32 else [])])
  return Job(
    name,
    'update',
    (
      f'--batch={folder}/batch.npz',
      f'--out={folder}/{name}.npz',
      f'--chunk={chunk}',
      '--jit' if jit else '--no-jit',
      '--tf32' if tf32 else '--no-tf32',
      '--gradient' if gradient else '--no-gradient',
    ),
    on_cpu,
  )


def _iterations(folder: str, num_tasks: int, has_gpu: bool) -> list[Job]:
  """Returns whole runs: as a user gets them on a CPU, and with XLA."""
  # MAML_TF_XLA_CACHE=1 keeps programs of GPUs, too.
  cache = {'XDG_CACHE_HOME': f'{folder}/cache', 'MAML_TF_XLA_CACHE': '1'}
  compiled = Job(
    'train-xla',
    'iterations',
    (
      f'--chunk={num_tasks}',
      '--jit',
      '--second_start',
      f'--folder={folder}/train-xla',
    ),
    environment=tuple(cache.items()),
  )
  plain = Job(
    'train-cpu', 'iterations', (f'--folder={folder}/train-cpu',), on_cpu=True
  )
  return [compiled, plain] if has_gpu else [plain, compiled]


def _in_graph(num_tasks: int) -> list[Job]:
  """Returns whole iterations of environments in the graph."""
  tasks = 10 * num_tasks
  flags = (f'--tasks={tasks}', '--optimizer_steps', '5', '--iterations=3')
  return [
    Job(name, '', (*flags, *more), script=_IN_GRAPH)
    for name, more in (
      ('graph-environments', ()),
      ('graph-environments-xla', ('--jit', f'--task_chunk_size={tasks}')),
    )
  ]


def run(job: Job, sizes: Sequence[str], limit: float) -> dict[str, Any]:
  """Runs one job.

  Args:
    job: The job.
    sizes: Flags that all jobs get.
    limit: The most seconds that it may take.

  Returns:
    Its last line; or {'error': its last line of stderr}.
  """
  environment = os.environ | dict(job.environment)
  if job.on_cpu:
    environment['CUDA_VISIBLE_DEVICES'] = ''
  command = [sys.executable, str(_FOLDER / job.script)]
  command += [*([job.kind] if job.kind else []), *sizes, *job.arguments]
  process = subprocess.Popen(
    command,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    errors='replace',
    env=environment,
    # It may start others, which must not outlive it.
    start_new_session=True,
  )
  try:
    out, err = process.communicate(timeout=limit)
  except subprocess.TimeoutExpired:
    return {'error': f'not done within {limit:.0f} s'}
  finally:
    with contextlib.suppress(ProcessLookupError):
      os.killpg(process.pid, signal.SIGKILL)
    process.wait()
  lines = [line for line in out.splitlines() if line.strip()]
  if process.returncode == 0 and lines:
    return json.loads(lines[-1])
  reasons = err.strip().splitlines() or [f'exit {process.returncode}']
  return {'error': reasons[-1][:300]}


def relative_difference(value: np.ndarray, reference: np.ndarray) -> float:
  """Returns |value - reference| / |reference|, Euclidean lengths."""
  return float(np.linalg.norm(value - reference) / np.linalg.norm(reference))


def agreement(folder: str, name: str, reference: str) -> dict[str, float]:
  """Compares what two updates saved.

  Returns:
    The relative differences of the meta-gradient and of theta's change after
    all optimizer steps, as far as both saved them.
  """
  paths = [pathlib.Path(folder) / f'{n}.npz' for n in (name, reference)]
  if not all(path.exists() for path in paths):
    return {}
  ours, theirs = (np.load(path) for path in paths)
  return {
    key: relative_difference(ours[key], theirs[key])
    for key in ('gradient', 'change')
    if key in ours and key in theirs
  }


def measure(flags: argparse.Namespace, folder: str) -> dict[str, Any]:
  """Runs all jobs that fit into the time; prints each."""
  budget = Budget(flags.seconds)
  devices = run(Job('devices', 'devices'), (), max(budget.left, 1.0))
  report(f'{budget.spent:6.0f} s  devices: {json.dumps(devices)}')
  has_gpu = bool(devices.get('gpus'))
  if not has_gpu:
    report('          no GPU: "device" below is the CPU')
  sizes = [
    f'--{n}={getattr(flags, n)}' for n in ('tasks', 'episodes', 'horizon')
  ]
  results, skipped, longest = {}, [], {}
  planned = jobs(flags.tasks, has_gpu, folder)
  reference = planned[1].name
  for job in planned:
    # One of its kind took so long before.
    needed = longest.get(job.kind, min(_LEAST_SECONDS, flags.seconds / 2))
    if budget.left < needed:
      skipped.append(job.name)
      continue
    start = budget.spent
    report(f'{budget.spent:6.0f} s  {job.name} ...')
    result = run(job, sizes, budget.left)
    if job.kind == 'update':
      result |= agreement(folder, job.name, reference)
    results[job.name] = result
    longest[job.kind] = max(longest.get(job.kind, 0.0), budget.spent - start)
    report(f'{budget.spent:6.0f} s  {job.name}: {_short(result)}')
  return {'devices': devices, 'results': results, 'skipped': skipped}


def table(results: dict[str, dict[str, Any]]) -> str:
  """Returns the results as text: updates, then runs, then what failed.

  Trace and compile are seconds before the first update, gradient and change the
  relative differences to the first row: of the meta-gradient, and of what all
  optimizer steps change.
  """
  columns = {
    'trace': 'trace_seconds',
    'compile': 'compile_seconds',
    'update s': 'seconds',
    'MB': 'peak_mb',
    'gradient': 'gradient',
    'change': 'change',
  }
  lines = [f'{"update":<24}' + ''.join(f'{name:>10}' for name in columns)]
  for name, result in results.items():
    if 'trace_seconds' in result:
      cells = [_cell(result.get(key)) for key in columns.values()]
      lines.append(f'{name:<24}' + ''.join(f'{c:>10}' for c in cells))
  lines += ['', 'whole runs']
  for name, result in results.items():
    if 'env_steps_per_second' in result or 'iterations' in result:
      lines.append(f'{name:<24}{_short(result)}')
  failed = [(n, r['error']) for n, r in results.items() if 'error' in r]
  if failed:
    lines += ['', 'failed', *(f'{name:<24}{error}' for name, error in failed)]
  return '\n'.join(lines)


def _short(result: dict[str, Any]) -> str:
  return ', '.join(f'{k} {_cell(v)}' for k, v in result.items())


def _cell(value: Any) -> str:
  if value is None:
    return '-'
  if isinstance(value, float):
    return f'{value:.4g}' if abs(value) < 1e4 else f'{value:,.0f}'
  return str(value)


def report(line: str) -> None:
  """Prints at once, for who watches."""
  print(line, flush=True)


def main(argv: Sequence[str] | None = None) -> None:
  """Measures, prints and writes."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--tasks', type=int, default=40)
  parser.add_argument('--episodes', type=int, default=20)
  parser.add_argument('--horizon', type=int, default=100)
  parser.add_argument('--seconds', type=float, default=240.0, help='In all.')
  parser.add_argument('--out', help='A folder for the results.')
  flags = parser.parse_args(argv)
  with tempfile.TemporaryDirectory() as folder:
    result = measure(flags, folder)
  text = table(result['results'])
  if result['skipped']:
    text += f'\n\nskipped for time: {", ".join(result["skipped"])}'
  report(f'\n{text}\n')
  last = json.dumps(result)
  if flags.out:
    out = pathlib.Path(flags.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / 'accelerator.txt').write_text(f'{text}\n', encoding='utf-8')
    (out / 'accelerator.json').write_text(f'{last}\n', encoding='utf-8')
  report(last)


if __name__ == '__main__':
  main()
