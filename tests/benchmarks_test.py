"""The benchmarks run and report correct measurements."""

import csv
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import accelerator
from benchmarks import algorithms
from benchmarks import classic_control
from benchmarks import graph_environments
from benchmarks import gymnasium_rows
from benchmarks import interval_coverage
from benchmarks import meta_gradient_cost
from benchmarks import pendulum_optimum
from benchmarks import plot_returns
from benchmarks import plot_seeds
from benchmarks import random_dynamics
from benchmarks import scaling
from benchmarks import scaling_point
from benchmarks import throughput
from benchmarks import workers

SMALL = ['--tasks=2', '--episodes=2']


def _last_line(capsys):
  return json.loads(capsys.readouterr().out.strip().split('\n')[-1])


def test_throughput(capsys):
  throughput.main([*SMALL, '--horizon=5', '--iterations=1'])
  result = _last_line(capsys)
  assert set(result) == {
    'physics_limit_steps_per_second',
    'clockless_limit_steps_per_second',
    'gymnasium_steps_per_second',
    'env_steps_per_second',
    'ratio_to_limit',
    'ratio_to_clockless_limit',
    'serial_ms_per_step',
    'peak_rss_mb',
    'seconds',
  }
  parts = {'physics', 'acting', 'adaptation', 'update', 'other'}
  assert set(result['seconds']) == parts
  assert result['ratio_to_limit'] > 0


def test_random_dynamics(capsys):
  random_dynamics.main([*SMALL, '--steps=2', '--pairs=1'])
  results = _last_line(capsys)
  assert set(results) == {'Walker2dRandomDynamics', 'HopperRandomDynamics'}
  for result in results.values():
    assert result['copies_ratio'] > 0 and result['tasks_ratio'] > 0
    assert 0.1 < result['model_megabytes'] < 1


def test_throughput_counts_cores():
  assert throughput.core_counts(1) == [1]
  assert throughput.core_counts(2) == [1, 2]
  assert throughput.core_counts(6) == [1, 2, 4, 6]
  assert throughput.core_counts(16) == [1, 2, 4, 8, 16]


def test_throughput_restricts_each_process(monkeypatch, capsys):
  available = os.sched_getaffinity(0)
  seen = []

  def run(command, **kwargs):
    seen.append((len(os.sched_getaffinity(0)), command[2:]))
    result = {
      'physics_limit_steps_per_second': 1000.0,
      'env_steps_per_second': 500.0,
      'ratio_to_limit': 0.5,
    }
    return subprocess.CompletedProcess(
      command, 0, f'speeds\n{json.dumps(result)}\n'
    )

  monkeypatch.setattr(throughput.subprocess, 'run', run)
  throughput.main(['--tasks=3', '--cores', '1'])
  assert os.sched_getaffinity(0) == available
  ((count, arguments),) = seen
  assert count == 1
  assert '--tasks=3' in arguments and not any('cores' in a for a in arguments)
  assert _last_line(capsys)['cores']['1']['ratio_to_limit'] == 0.5


def test_throughput_refuses_cores_that_are_not_there(capsys):
  with pytest.raises(SystemExit):
    throughput.main(['--cores', '0'])
  assert '--cores is 0: give numbers from 1 to' in capsys.readouterr().err


@pytest.mark.slow
def test_throughput_on_one_core(capsys):
  throughput.main([*SMALL, '--horizon=5', '--iterations=1', '--cores', '1'])
  assert _last_line(capsys)['cores']['1']['ratio_to_limit'] > 0


def _names(num_tasks, has_gpu):
  return [job.name for job in accelerator.jobs(num_tasks, has_gpu, '/tmp')]


def test_accelerator_measures_the_most_important_first():
  names = _names(40, True)
  assert names[:4] == [
    'batch',
    'cpu-graph-chunk1',
    'device-xla-chunk40',
    'device-xla-chunk40-tf32',
  ]
  assert 'device-graph-chunk40-tf32' in names
  # Without a GPU there is no TF32, and a CPU is trained on first.
  assert not any('tf32' in name for name in _names(40, False))
  # Chunks of 4 are all tasks, which come before.
  assert _names(4, True)[-3:] == [
    'device-graph-chunk4-tf32',
    'device-xla-chunk1',
    'device-graph-chunk1',
  ]


def test_accelerator_compares_with_the_cpu(tmp_path):
  np.savez(tmp_path / 'cpu.npz', gradient=[3.0, 4.0], change=[0.0, 2.0])
  np.savez(tmp_path / 'gpu.npz', gradient=[3.0, 4.5], change=[0.0, 2.0])
  np.savez(tmp_path / 'gpu2.npz', change=[2.0, 2.0])
  # |(0, 0.5)| / |(3, 4)| = 0.1
  assert accelerator.agreement(str(tmp_path), 'gpu', 'cpu') == {
    'gradient': pytest.approx(0.1),
    'change': 0.0,
  }
  assert accelerator.agreement(str(tmp_path), 'gpu2', 'cpu') == {'change': 1.0}
  assert accelerator.agreement(str(tmp_path), 'absent', 'cpu') == {}


def test_accelerator_skips_what_does_not_fit(monkeypatch, tmp_path, capsys):
  clock = [0.0]
  budget = accelerator.Budget
  monkeypatch.setattr(
    accelerator, 'Budget', lambda seconds: budget(seconds, lambda: clock[0])
  )

  def run(job, sizes, limit):
    assert 0 < limit <= 100
    clock[0] += 30
    if job.kind == 'devices':
      return {'gpus': [{'name': 'H200'}]}
    if job.name == 'batch':
      return {'env_steps': 5}
    return {'error': 'out of memory'}

  monkeypatch.setattr(accelerator, 'run', run)
  accelerator.main(['--seconds=100', f'--out={tmp_path}'])
  # 30 s each: devices, the batch and one more; 10 s are too few.
  result = _last_line(capsys)
  assert list(result['results']) == ['batch', 'cpu-graph-chunk1']
  assert result['skipped'][0] == 'device-xla-chunk40'
  assert json.loads((tmp_path / 'accelerator.json').read_text()) == result
  text = (tmp_path / 'accelerator.txt').read_text()
  assert 'cpu-graph-chunk1        out of memory' in text
  assert 'skipped for time: device-xla-chunk40' in text


def test_accelerator_survives_what_fails(tmp_path, monkeypatch):
  monkeypatch.setattr(accelerator, '_FOLDER', tmp_path)
  script = tmp_path / 'point.py'
  job = accelerator.Job('name', 'kind', ('--x',), True, script='point.py')
  script.write_text(
    'import json, os, sys\n'
    'print(json.dumps([sys.argv[1:], os.environ["CUDA_VISIBLE_DEVICES"]]))'
  )
  assert accelerator.run(job, ['--tasks=2'], 60.0) == [
    ['kind', '--tasks=2', '--x'],
    '',
  ]
  script.write_text('raise MemoryError("too large")')
  assert accelerator.run(job, (), 60.0) == {'error': 'MemoryError: too large'}
  script.write_text('import os; os.abort()')
  assert accelerator.run(job, (), 60.0) == {'error': 'exit -6'}
  script.write_text('import time; time.sleep(60)')
  assert accelerator.run(job, (), 0.5) == {'error': 'not done within 0 s'}


def test_accelerator_table():
  lines = accelerator.table(
    {
      'batch': {'env_steps': 5},
      'cpu-graph-chunk1': {
        'trace_seconds': 2.0,
        'compile_seconds': 61.0,
        'seconds': 0.0143,
        'peak_mb': 900.0,
        'change': 3e-6,
      },
      'train-cpu': {'env_steps_per_second': 91234.0},
    }
  ).splitlines()
  assert lines[0].split()[:3] == ['update', 'trace', 'compile']
  assert lines[1].split() == [
    'cpu-graph-chunk1',
    *('2', '61', '0.0143', '900', '-', '3e-06'),
  ]
  assert lines[-1].split() == ['train-cpu', 'env_steps_per_second', '91,234']


@pytest.mark.slow
def test_accelerator(tmp_path, capsys):
  accelerator.main(
    [*SMALL, '--horizon=5', '--seconds=250', f'--out={tmp_path}']
  )
  result = _last_line(capsys)
  updates = {
    k: v for k, v in result['results'].items() if 'compile_seconds' in v
  }
  assert {'cpu-graph-chunk1', 'device-xla-chunk2'} <= set(updates)
  for update in updates.values():
    assert update['change'] < 1e-3
    assert update['same_bits_twice']
  assert updates['device-xla-chunk2']['gradient'] < 1e-4


def test_classic_control(capsys):
  classic_control.main([*SMALL, '--steps=5', '--repeats=1'])
  result = _last_line(capsys)
  assert set(result) == {'PendulumMass', 'CartPoleMass'}
  for rates in result.values():
    # Rates are rounded to a tenth, ratios to a hundredth.
    assert rates['ratio'] == pytest.approx(
      rates['env_steps_per_second'] / rates['gymnasium_steps_per_second'],
      abs=0.01,
    )


def test_pendulum_optimum(capsys):
  pendulum_optimum.main(
    ['--masses=2', '--episodes=8', '--horizon=20', '--grid=41', '--torques=5']
  )
  means = _last_line(capsys)
  assert set(means) == {'known_mass', 'all_masses', 'mean_mass'}
  # An optimum cannot be surpassed, except by the grid's error.
  assert means['known_mass'] > max(means.values()) - 1


def test_the_pendulums_best_return_after_two_steps():
  solution = pendulum_optimum.Solution(0.5, horizon=2, size=321, num_torques=5)
  state = np.array([[0.3, -0.5], [3.0, 1.0]])
  # The second torque has no effect on either reward. So the best is 0:
  # velocity' = velocity + 0.05 * (15 * sin(angle) + 6 * torque).
  velocity = state[:, 1] + 0.05 * (15 * np.sin(state[:, 0]) - 6)
  angle = state[:, 0] + 0.05 * velocity
  first = state[:, 0] ** 2 + 0.1 * state[:, 1] ** 2 + 0.001
  np.testing.assert_allclose(
    solution.total(state, -1.0, 2),
    -first - angle**2 - 0.1 * velocity**2,
    atol=2e-3,
  )


@pytest.mark.slow
def test_meta_gradient_cost(capsys):
  meta_gradient_cost.main(SMALL)
  assert _last_line(capsys)['second_order_over_plain'] > 1


def _measured(sizes, iterations):
  """A point that takes 1 s per task and replica and fails with 3 replicas."""
  if sizes['replicas'] == 3:
    return None
  seconds = sizes['tasks'] * sizes['replicas'] / iterations
  return {
    'collect_seconds': seconds / 4,
    'update_seconds': seconds * 3 / 4,
    'seconds': seconds,
    'env_steps_per_second': 100.0,
    'peak_rss_mb': 900.0 + seconds,
    'baseline_rss_mb': 600.0,
  }


def test_scaling_measures_a_shared_point_once(monkeypatch, tmp_path):
  calls = []

  def measure(sizes, iterations):
    calls.append(sizes)
    return _measured(sizes, iterations)

  monkeypatch.setattr(scaling, 'measure', measure)
  base = {**scaling.BASE, 'tasks': 4}
  sizes = {'tasks': (2, 4), 'replicas': (1, 2, 3)}
  rows = scaling.sweep(sizes, base, iterations=2)
  # Four tasks and one replica belong to both factors; three replicas fail.
  assert len(calls) == 4
  assert [
    (r['factor'], r['tasks'], r['replicas'], r['seconds']) for r in rows
  ] == [
    ('tasks', 2, 1, 1.0),
    ('tasks', 4, 1, 2.0),
    ('replicas', 4, 1, 2.0),
    ('replicas', 4, 2, 4.0),
  ]
  scaling.draw(rows, tmp_path / 'scaling.png')
  assert (tmp_path / 'scaling.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.slow
def test_scaling_point(capsys):
  scaling_point.main([*SMALL, '--horizon=5', '--width=8', '--iterations=1'])
  result = _last_line(capsys)
  assert set(result) == set(_measured(scaling.BASE, 1))
  assert result['seconds'] >= result['collect_seconds'] > 0
  # 2 stages of 2 * 2 episodes of 5 steps.
  steps = result['env_steps_per_second'] * result['seconds']
  assert steps == pytest.approx(40, rel=0.05)
  assert result['peak_rss_mb'] >= result['baseline_rss_mb'] > 100


@pytest.mark.slow
def test_scaling_writes_the_points_that_succeeded(
  monkeypatch, tmp_path, capsys
):
  small = {'tasks': 3, 'episodes': 2, 'horizon': 5, 'width': 8, 'replicas': 1}
  monkeypatch.setattr(scaling, 'BASE', small)
  monkeypatch.setitem(scaling.SWEEP, 'replicas', (1, 2, 3))
  scaling.main([f'--out={tmp_path}', '--factors=replicas', '--iterations=1'])
  # Two replicas cannot share three tasks.
  assert 'give a multiple of 2' in capsys.readouterr().err
  with open(tmp_path / 'scaling.csv', newline='', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  assert [row['replicas'] for row in rows] == ['1', '3']
  assert all(float(row['seconds']) > 0 for row in rows)
  assert (tmp_path / 'scaling.png').exists()


@pytest.mark.parametrize(
  'family', ['counter', pytest.param('cheetah', marks=pytest.mark.slow)]
)
def test_gymnasium_rows(family, capsys):
  gymnasium_rows.main([family, '--rounds=1', '--scale=0.01'])
  measured = _last_line(capsys)[family]
  assert measured['loop']['of_loop'] == 1
  assert all(
    value['env_steps_per_second'] > 0
    for value in measured.values()
    if isinstance(value, dict)
  )


def test_plots_rates_of_success(tmp_path, capsys):
  metrics = tmp_path / 'metrics.csv'
  metrics.write_text(
    'env_steps,return_step_0,success_step_0,success_step_1\n'
    '100,5,0.25,0.5\n'
    '200,6,0.75,1\n'
  )
  out = tmp_path / 'success.png'
  plot_returns.main([str(metrics), f'--out={out}', '--metric=success'])
  before, after = capsys.readouterr().out.splitlines()
  assert before.startswith(f'{tmp_path.name}: success after 0 steps')
  assert before.endswith('0.500')  # The mean of 0.25 and 0.75.
  assert after.endswith('0.750')
  assert out.stat().st_size > 0


def test_seeds_become_one_curve_with_a_band(tmp_path, capsys):
  paths = []
  for seed, last in enumerate((10.0, 20.0, 60.0)):
    paths.append(tmp_path / f'seed{seed}.csv')
    paths[-1].write_text(
      'env_steps,return_step_0,return_step_1\n'
      f'100,1,2\n200,3,{last}\n' + ('300,9,99\n' if seed == 2 else ''),
      # A run that went further is cut where the others end.
      encoding='utf-8',
    )
  out = tmp_path / 'returns.png'
  group = 'three=' + ','.join(map(str, paths))
  plot_seeds.main([group, f'--out={out}', '--mean_over=1', '--reference=R=5'])
  # The mean of 10, 20 and 60, between the lowest and the highest seed.
  assert capsys.readouterr().out == (
    'three: 3 seeds, 200 env steps, mean of 1 iterations: 3.0 -> 30.0'
    ' [10.0, 60.0]; seeds 10.0, 20.0, 60.0\n'
  )
  assert out.stat().st_size > 0


@pytest.mark.parametrize('name', ['algorithms', 'plot_seeds'])
def test_scripts_that_share_code_start_as_modules(name):
  ended = subprocess.run(
    [sys.executable, '-m', f'benchmarks.{name}', '--help'],
    cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
    capture_output=True,
    text=True,
  )
  assert ended.returncode == 0 and '--out' in ended.stdout, ended.stderr


def test_every_algorithm_trains_with_every_seed(tmp_path, monkeypatch, capsys):
  trained = []

  def train(jobs, num_at_once):
    assert num_at_once == 1
    for job in jobs:
      assert job.gin_files[0] == 'cheetah.gin'
      seed = int(job.gin_bindings[-1].removeprefix('train_eval.seed = '))
      name = job.gin_files[1].removesuffix('.gin')
      trained.append((name, seed, job.gin_bindings[1]))
      os.makedirs(job.root_dir)
      pathlib.Path(job.root_dir, 'metrics.csv').write_text(
        'iteration,env_steps,wall_seconds,return_step_0,return_step_1\n'
        f'1,100,1,1,2\n2,200,2,3,{10 * (seed + 1)}\n'
      )

  monkeypatch.setattr(algorithms, 'train', train)
  algorithms.main(
    [
      f'--out={tmp_path / "out"}',
      f'--runs={tmp_path / "runs"}',
      '--experiment=cheetah.gin',
      '--seeds=2',
      '--iterations=8',
      '--only',
      'promp',
      'reptile',
    ]
  )
  # Reptile has twice the stages of the others, so half of the iterations.
  assert sorted(trained) == [
    ('promp', 0, 'train_eval.num_iterations = 8'),
    ('promp', 1, 'train_eval.num_iterations = 8'),
    ('reptile', 0, 'train_eval.num_iterations = 4'),
    ('reptile', 1, 'train_eval.num_iterations = 4'),
  ]
  with open(tmp_path / 'out' / 'algorithms.csv', newline='') as file:
    rows = list(csv.reader(file))
  # The last iteration alone: a tenth of two.
  assert rows[1] == ['promp', '200', '3.00', '15.00']
  assert (tmp_path / 'out' / 'algorithms.png').stat().st_size > 0
  assert '10.0, 20.0' in capsys.readouterr().out


def test_interval_coverage(capsys):
  interval_coverage.main(['--draws=20', '--tasks', '3', '--resamples=50'])
  shares = _last_line(capsys)
  assert set(shares) >= {'normal', 'uniform'}
  for by_tasks in shares.values():
    assert all(0 < share <= 1 for share in by_tasks['3'])


def test_two_workers_share_the_cores(monkeypatch, capsys):
  measured = []

  def measure(root_dir, cores, num_tasks, num_iterations):
    del root_dir
    measured.append((cores, num_tasks, num_iterations))
    return 1000.0 * len(cores) ** 0.5

  monkeypatch.setattr(workers, 'measure', measure)
  monkeypatch.setattr(workers.os, 'sched_getaffinity', lambda pid: {0, 1, 4})
  workers.main(['--tasks=6', '--iterations=2'])
  assert measured == [([[0]], 6, 2), ([[0], [1]], 6, 2)]
  assert _last_line(capsys)['ratio'] == pytest.approx(2**0.5, abs=1e-4)


def test_graph_environments(capsys):
  # Acting 1, adaptation 1.5, three meta-gradients of 6, the inner KL 0.5.
  assert graph_environments.multiply_adds(100, 3) == 100 * (3 + 18)
  graph_environments.main(
    [
      *SMALL,
      '--horizon=5',
      '--iterations=1',
      '--width=4',
      '--optimizer_steps=1',
    ]
  )
  result = _last_line(capsys)
  (iteration,) = result['iterations']
  assert iteration['env_steps_per_second'] > 0
  assert result['multiply_adds_per_second'] > 0
