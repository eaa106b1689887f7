"""Kills a HalfCheetah run with SIGKILL repeatedly, and resumes it each time.

  python -m tests.survival.kills --kills=30

Prints the phase of each kill, if py-spy is installed. Then compares the result
with that of an uninterrupted run.
"""

import maml_tf  # noqa: F401  # isort: skip  Before TensorFlow, which it quiets.

import argparse
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

from tests.survival import trained_process

# The phases of a run, with their patterns in the stack of the main thread.
_PHASES = (
  ('checkpoint writing', r'save \(.*run/checkpoints'),
  ('checkpoint reading', r'(restore|newest_intact) \(.*run/checkpoints'),
  ('export', r'save_adaptive'),
  ('collection', r'collect \(.*meta_collector'),
  ('update', r'(run|trace) \(.*meta_learner'),
  ('recording', r'(write|__init__) \(.*run/loggers'),
)


def _phase(pid):
  """Returns the phase of a stopped process."""
  if not shutil.which('py-spy'):
    return 'unknown'
  stack = subprocess.run(
    ['py-spy', 'dump', '--nonblocking', '--pid', str(pid)],
    capture_output=True,
    text=True,
    check=False,
  ).stdout
  for phase, pattern in _PHASES:
    if re.search(pattern, stack):
      return phase
  return 'start' if stack else 'unknown'


def _kill(process, wanted=None):
  """Stops a process, determines its phase, and kills it.

  With a wanted phase, the process continues until a stop hits that phase, for
  at most 50 stops.
  """
  for _ in range(50 if wanted else 1):
    process.send_signal(signal.SIGSTOP)
    phase = _phase(process.pid)
    if phase in (wanted, 'unknown'):
      break
    if wanted:
      process.send_signal(signal.SIGCONT)
      time.sleep(random.uniform(0.01, 0.1))
  process.kill()
  process.communicate()
  return phase


def _wait_for_folder(process, root_dir, pattern, seconds=60):
  """Waits until the run's folder has an entry that matches the pattern."""
  end = time.monotonic() + seconds
  while process.poll() is None and time.monotonic() < end:
    if next(pathlib.Path(root_dir).glob(pattern), None):
      return
    time.sleep(0.0005)


def run_with_kills(root_dir, num_kills, num_iterations, rng, log=print):
  """Trains to the end through `num_kills` kills.

  Most kills happen at a random moment soon after a random iteration. Every
  fourth waits for the writing of a checkpoint, every fifth for an update. Every
  sixth hits the start, and the last fifth of all kills the export.
  """
  for number in range(1, num_kills + 1):
    process = trained_process.start(
      root_dir, trained_process.SMALL_CHEETAH, num_iterations
    )
    is_last_fifth = number > 0.8 * num_kills
    if is_last_fifth:
      # After the last iteration, the export takes a few seconds.
      lines = trained_process.wait_for(
        process,
        f'iteration {num_iterations}/'
        if not _is_done(root_dir, num_iterations)
        else 'The run is in',
      )
      time.sleep(rng.uniform(0.0, 5.0))
    elif number % 6 == 0:
      lines = []
      time.sleep(rng.uniform(0.5, 8.0))
    else:
      lines = []
      for _ in range(rng.randint(1, 6)):
        lines += trained_process.wait_for(process, 'iteration ')
      if number % 4 == 0:
        _wait_for_folder(process, root_dir, 'checkpoints/.writing/*')
      else:
        time.sleep(rng.uniform(0.0, 0.3))
    if process.poll() is not None:
      code, rest = trained_process.finish(process)
      assert code == 0, rest
      log(f'kill {number}: too late, the run was done')
      continue
    waits_for_update = number % 5 == 0 and lines and not is_last_fifth
    phase = _kill(process, 'update' if waits_for_update else None)
    damage = ''.join(f' {line}' for line in lines if 'damaged' in line)
    log(f'kill {number}: in {phase}, with {_state(root_dir)}{damage}')
  code, lines = trained_process.finish(
    trained_process.start(
      root_dir, trained_process.SMALL_CHEETAH, num_iterations
    )
  )
  assert code == 0, lines
  log(f'at last: {lines[-1]}')


def _is_done(root_dir, num_iterations):
  return os.path.exists(f'{root_dir}/checkpoints/ckpt-{num_iterations}.index')


def _state(root_dir):
  """Describes the progress of the run's files."""
  metrics = pathlib.Path(root_dir, 'metrics.csv')
  lines = metrics.read_text('utf-8').splitlines() if metrics.exists() else []
  names = [p.stem for p in pathlib.Path(root_dir).glob('checkpoints/*.index')]
  iterations = sorted(int(name.removeprefix('ckpt-')) for name in names)
  return f'{max(len(lines) - 1, 0)} rows and checkpoints {iterations}'


def main():
  """Kills, prints, compares."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--kills', type=int, default=30)
  parser.add_argument('--iterations', type=int, default=120)
  parser.add_argument('--seed', type=int, default=0)
  flags = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    killed, whole = f'{folder}/killed', f'{folder}/whole'
    start = time.monotonic()
    run_with_kills(
      killed, flags.kills, flags.iterations, random.Random(flags.seed)
    )
    code, lines = trained_process.finish(
      trained_process.start(
        whole, trained_process.SMALL_CHEETAH, flags.iterations
      )
    )
    assert code == 0, lines
    trained_process.assert_same(killed, whole)
    print(
      f'{flags.kills} kills in {time.monotonic() - start:.0f} s:'
      f' {len(trained_process.rows(killed))} rows and all'
      f' {len(trained_process.variables(killed))} variables of the last'
      ' checkpoint are bit-identical to those of a run that was never killed'
    )


if __name__ == '__main__':
  main()
