"""Every environment of TF-Agents gets the form of seed that it takes."""

import os
import pathlib
import subprocess
import sys
import traceback

import numpy as np
import pytest
from tf_agents.environments import batched_py_environment
from tf_agents.environments import parallel_py_environment
from tf_agents.environments import wrappers

from maml_tf.adaptation import reset_seeds
from maml_tf.core import random_streams
from maml_tf.environments import point_navigation
from tests.adaptation import drawn_starts
from tests.adaptation import seeded_rows
from tests.environments.gymnasium_bridge import counted_episodes

KEY = (3, 0, 1, 0, 1)


def _seeds(num_rows):
  """The seeds of N rows. The first is what a single environment gets."""
  generator = random_streams.generator(KEY)
  first = generator.integers(2**31)
  return [first, *generator.integers(2**31, size=num_rows - 1)]


def test_a_single_environment_gets_an_int():
  environment = drawn_starts.DrawnStarts()
  for outer in (environment, wrappers.TimeLimit(environment, 9)):
    reset_seeds.seed_resets(outer, KEY)
  assert environment.seeds == _seeds(1) * 2
  assert type(environment.seeds[0]) is int


@pytest.mark.parametrize('is_wrapped', [False, True])
def test_the_rows_of_a_batch_without_a_seed_get_one_each(is_wrapped):
  rows = [drawn_starts.DrawnStarts() for _ in range(3)]
  environment = batched_py_environment.BatchedPyEnvironment(
    rows, multithreading=False
  )
  if is_wrapped:
    environment = wrappers.PyEnvironmentBaseWrapper(environment)
  reset_seeds.seed_resets(environment, KEY)
  assert [row.seeds for row in rows] == [[seed] for seed in _seeds(3)]
  assert len(set(_seeds(3))) == 3


def test_a_batch_with_a_seed_of_its_own_gets_an_int():
  class Batch(batched_py_environment.BatchedPyEnvironment):
    def seed(self, seed):
      self.seeds = [seed]

  environment = Batch([drawn_starts.DrawnStarts()], multithreading=False)
  reset_seeds.seed_resets(environment, KEY)
  assert environment.seeds == _seeds(1) and not environment.envs[0].seeds


def test_environments_that_cannot_be_seeded_are_left_alone():
  single = counted_episodes.CountedEpisodes((1,))
  reset_seeds.seed_resets(single, KEY)
  reset_seeds.seed_resets(
    batched_py_environment.BatchedPyEnvironment([single], multithreading=False),
    KEY,
  )


def test_a_task_environment_gets_the_key():
  seeds = []

  class Points(point_navigation.PointNavigation):
    def seed(self, seed):
      seeds.append(seed)
      super().seed(seed)

  environment = Points(1, 3)
  seeds.clear()
  reset_seeds.seed_resets(environment, KEY)
  assert seeds == [[KEY]]


class _Process:
  """A row of `ParallelPyEnvironment` that plays in this process."""

  def __init__(self, environment):
    self.environment = environment

  def call(self, name, *arguments):
    try:
      result = getattr(self.environment, name)(*arguments)
    except Exception as error:
      # A process sends the text.
      raise Exception(traceback.format_exc()) from error
    return lambda: result


class _Parallel(parallel_py_environment.ParallelPyEnvironment):
  """A `ParallelPyEnvironment` without processes."""

  def __init__(self, rows):
    self._envs = [_Process(row) for row in rows]
    self._num_envs = len(rows)


@pytest.mark.parametrize('is_wrapped', [False, True])
def test_parallel_rows_get_a_list(is_wrapped):
  rows = [drawn_starts.DrawnStarts() for _ in range(3)]
  environment = _Parallel(rows)
  if is_wrapped:
    environment = wrappers.PyEnvironmentBaseWrapper(environment)
  reset_seeds.seed_resets(environment, KEY)
  assert [row.seeds for row in rows] == [[seed] for seed in _seeds(3)]


def test_parallel_rows_without_a_seed_are_an_error():
  rows = _Parallel([counted_episodes.CountedEpisodes((1,))])
  with pytest.raises(ValueError, match='have no method seed: give them one'):
    reset_seeds.seed_resets(rows, KEY)


@pytest.mark.slow
def test_rows_in_processes_get_a_list():
  root = pathlib.Path(__file__).parents[2]
  lines = subprocess.run(
    [sys.executable, seeded_rows.__file__],
    env={**os.environ, 'PYTHONPATH': str(root)},
    check=True,
    stdout=subprocess.PIPE,
    text=True,
  ).stdout.splitlines()
  expected = []
  for stage in (0, 1):
    key = random_streams.held_out_key(0, stage, random_streams.Purpose.RESET)
    generator = random_streams.generator(key)
    for seed in (
      generator.integers(2**31),
      *generator.integers(2**31, size=1),
    ):
      # The reward of a row's episode is its start.
      start = np.random.default_rng(seed).random(2, np.float32)
      expected.append(float(start[0]))
  returns = ['returns ' + ' '.join(map(str, expected))] * 2
  assert [line for line in lines if line.startswith('returns')] == returns
  assert lines[-1] == (
    'error the environments in the ParallelPyEnvironment have no method seed:'
    ' give them one, seed(self, seed), which may do nothing'
  )
