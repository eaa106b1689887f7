"""Compares the speed of GymnasiumTasks with that of bare Gymnasium loops.

  python benchmarks/gymnasium_rows.py --rounds=7 counter cheetah meta_world

- counter: a step costs nothing, 400 rows in this process, against a Python loop
  over as many environments.
- cheetah: HalfCheetah-v5, 200 rows in worker processes, against one process and
  a loop.
- meta_world: 40 rows of reach-v3, likewise, but the loop plays one environment.
  It needs the extra `metaworld`.

Each round measures all of them in turn, so that other load on the machine hits
them alike. The figures are medians of env steps per wall second, and medians of
the rounds' ratios. The last line is JSON.
"""

import maml_tf  # noqa: F401  # isort: skip  Before TensorFlow, which it quiets.

import argparse
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import json
import time

import gymnasium
from gymnasium import spaces
import numpy as np

from maml_tf.core import cpu
from maml_tf.environments import meta_world
from maml_tf.environments.gymnasium_bridge import gymnasium_tasks

# Plays some env steps, and returns how many.
_Player = Callable[[], int]

_HORIZON = 500


class Counter(gymnasium.Env):
  """Counts its steps: a step costs next to nothing."""

  observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
  action_space = spaces.Box(-1, 1, (1,), np.float32)

  def __init__(self):
    """Starts at zero."""
    self._task = 0.0
    self._count = 0

  def sample_tasks(self, n, rng):
    return list(rng.uniform(-1, 1, n))

  def set_task(self, task):
    self._task = task

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self._count = 0
    return np.zeros(2, np.float32), {}

  def step(self, action):
    self._count += 1
    observation = np.array([self._count, action[0]], np.float32)
    return observation, self._task * action[0], False, False, {}


class Cheetah(gymnasium.Wrapper):
  """HalfCheetah-v5 as a family; its task has no effect on the speed."""

  def __init__(self):
    """Makes the environment."""
    super().__init__(gymnasium.make('HalfCheetah-v5'))
    self._direction = 1.0

  def sample_tasks(self, n, rng):
    return list(rng.choice([-1.0, 1.0], n))

  def set_task(self, task):
    self._direction = task

  def step(self, action):
    observation, reward, *others = self.env.step(action)
    return observation, self._direction * reward, *others


def play_rows(
  environment: gymnasium_tasks.GymnasiumTasks, num_steps: int
) -> _Player:
  """Returns a player of all rows of a family, which starts its processes."""
  rng = np.random.default_rng(0)
  spec = environment.action_spec()
  actions = rng.uniform(-1, 1, (environment.batch_size, *spec.shape))
  actions = actions.astype(spec.dtype)
  environment.seed(0)
  environment.reset()
  taken = 0

  def play():
    nonlocal taken
    for _ in range(num_steps):
      if taken % environment.horizon == 0:
        environment.reset()
      environment.step(actions)
      taken += 1
    return num_steps * environment.batch_size

  return play


def play_bare(
  environments: Sequence[gymnasium.Env], num_steps: int, horizon: int
) -> _Player:
  """Returns a player of a Python loop over environments."""
  rng = np.random.default_rng(0)
  actions = rng.uniform(-1, 1, (len(environments), *_shape(environments[0])))
  actions = list(actions.astype(np.float32))
  taken = 0

  def play():
    nonlocal taken
    for _ in range(num_steps):
      if taken % horizon == 0:
        for environment in environments:
          environment.reset(seed=0)
      for environment, action in zip(environments, actions):
        environment.step(action)
      taken += 1
    return num_steps * len(environments)

  return play


def _shape(environment):
  return environment.action_space.shape


def _with_task(environment: gymnasium.Env, task) -> gymnasium.Env:
  environment.get_wrapper_attr('set_task')(task)
  return environment


@contextlib.contextmanager
def counter(scale: float) -> Iterator[dict[str, _Player]]:
  """Players of the counter, 400 rows."""
  num_rows, num_steps = 400, max(int(200 * scale), 1)
  bare = [_with_task(Counter(), 0.5) for _ in range(num_rows)]
  with contextlib.closing(
    gymnasium_tasks.GymnasiumTasks(
      20, num_rows // 20, _HORIZON, Counter, num_processes=1
    )
  ) as environment:
    yield {
      'loop': play_bare(bare, num_steps, _HORIZON),
      'rows': play_rows(environment, num_steps),
    }


@contextlib.contextmanager
def cheetah(scale: float) -> Iterator[dict[str, _Player]]:
  """Players of HalfCheetah-v5, 200 rows; the loop plays as many."""
  num_rows, num_steps = 200, max(int(20 * scale), 1)

  def make(num_processes):
    return gymnasium_tasks.GymnasiumTasks(
      20, num_rows // 20, _HORIZON, Cheetah, num_processes=num_processes
    )

  bare = [_with_task(Cheetah(), 1.0) for _ in range(num_rows)]
  with _families(make) as players:
    yield {
      'loop': play_bare(bare, num_steps, _HORIZON),
      **players(num_steps),
    }


@contextlib.contextmanager
def meta_world_reach(scale: float) -> Iterator[dict[str, _Player]]:
  """Players of reach-v3, 40 rows; the loop plays one bare environment."""
  num_steps = max(int(50 * scale), 1)

  def make(num_processes):
    return meta_world.MetaWorldTasks(
      4, 10, _HORIZON, num_processes=num_processes
    )

  with _families(make) as players:
    metaworld = meta_world.import_meta_world()
    task = meta_world.load_benchmark('ML1', 'reach-v3', 0).tasks.training[0]
    bare = _with_task(metaworld.ALL_V3_ENVIRONMENTS['reach-v3'](), task)
    yield {
      'loop': play_bare([bare], 40 * num_steps, _HORIZON),
      **players(num_steps),
    }


@contextlib.contextmanager
def _families(make):
  """Families in one process and in one for each core, as a function."""
  with contextlib.ExitStack() as stack:
    families = {
      f'rows, {n} process{"es" * (n != 1)}': stack.enter_context(
        contextlib.closing(make(n))
      )
      for n in sorted({1, cpu.count()})
    }
    yield lambda num_steps: {
      name: play_rows(family, num_steps) for name, family in families.items()
    }


_FAMILIES = {
  'counter': counter,
  'cheetah': cheetah,
  'meta_world': meta_world_reach,
}


def measure(players: dict[str, _Player], rounds: int) -> dict[str, np.ndarray]:
  """Returns each player's env steps per second, an array [rounds].

  The players play in turn. A first round, which is not measured, warms up.
  """
  speeds: dict[str, list[float]] = {name: [] for name in players}
  for _ in range(rounds + 1):
    for name, play in players.items():
      start = time.perf_counter()
      num_steps = play()
      speeds[name].append(num_steps / (time.perf_counter() - start))
  return {name: np.array(values[1:]) for name, values in speeds.items()}


def main(argv: Sequence[str] | None = None) -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('families', nargs='+', choices=_FAMILIES)
  parser.add_argument('--rounds', type=int, default=7)
  parser.add_argument('--scale', type=float, default=1.0, help='of the steps')
  flags = parser.parse_args(argv)

  results = {'cores': cpu.count()}
  for family in flags.families:
    with _FAMILIES[family](flags.scale) as players:
      speeds = measure(players, flags.rounds)
    first = next(iter(speeds.values()))
    results[family] = {}
    for name, values in speeds.items():
      speed, ratio = np.median(values), np.median(values / first)
      print(f'{family}, {name}: {speed:,.0f} env steps/s, {ratio:.2f} of loop')
      results[family][name] = {
        'env_steps_per_second': round(float(speed), 1),
        'of_loop': round(float(ratio), 3),
      }
    names = list(speeds)
    if len(names) > 2:
      _, one, all_cores = names
      ratio = np.median(speeds[all_cores] / (cpu.count() * speeds[one]))
      print(f'{family}: {all_cores} reach {ratio:.2f} of cores x {one}')
      results[family]['of_cores_times_one_process'] = round(float(ratio), 3)
  print(json.dumps(results))


if __name__ == '__main__':
  main()
