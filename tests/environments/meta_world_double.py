"""A stand-in for the package `metaworld`: its interface with trivial physics.

Tests put it in place of the package, so that they need neither the package nor
its seconds. A hand moves by the action and must come within 0.1 of the goal.
"""

import contextlib
import pickle
import sys
import types as types_lib
from typing import NamedTuple
from unittest import mock

import gymnasium
from gymnasium import spaces
import numpy as np

from maml_tf.environments import meta_world

NUM_GOALS = 6


class Task(NamedTuple):
  """As Meta-World's."""

  env_name: str
  data: bytes


class Hand(gymnasium.Env):
  """A class of environments; the classes differ in the sign of the motion."""

  action_space = spaces.Box(-1, 1, (4,), np.float32)
  observation_space = spaces.Box(-np.inf, np.inf, (39,), np.float64)
  max_path_length = 500
  sign = 1.0
  num_alive = 0

  def __init__(self, render_mode=None, reward_function_version='v2'):
    assert reward_function_version in ('v1', 'v2')
    self.render_mode = render_mode
    self._goal = 0.0
    self._hand = 0.0
    self._elapsed = 0
    Hand.num_alive += 1

  def set_task(self, task):
    data = pickle.loads(task.data)
    assert data['class'] == type(self).__name__
    self._goal = data['goal']

  def reset(self, *, seed=None, options=None):
    super().reset()  # Like Meta-World's, it ignores the seed.
    self._hand = 0.0
    self._elapsed = 0
    return self._observation(), {}

  def step(self, action):
    self._elapsed += 1
    self._hand += 0.2 * self.sign * float(action[0])
    distance = abs(self._hand - self._goal)
    info = {'success': float(distance < 0.1)}
    truncated = self._elapsed == self.max_path_length
    return self._observation(), 10 - distance, False, truncated, info

  def render(self):
    picture = np.zeros((24, 32, 3), np.uint8)
    picture[:, :, 0] = 100
    return picture

  def close(self):
    Hand.num_alive -= 1

  def _observation(self):
    observation = np.zeros(39)
    observation[0] = self._hand
    return observation


class Reach(Hand):
  """Trained on."""


class Push(Hand):
  """Trained on; the hand moves the other way."""

  sign = -1.0


class Door(Hand):
  """Held out."""


class Drawer(Hand):
  """Held out; the hand moves the other way."""

  sign = -1.0


class Lever(Hand):
  """Held out."""


ALL_V3_ENVIRONMENTS = {
  'reach-v3': Reach,
  'push-v3': Push,
  'door-v3': Door,
  'drawer-v3': Drawer,
  'lever-v3': Lever,
}


class _Benchmark:
  """Goals are drawn class by class, training first."""

  def __init__(self, train, test, seeds):
    self.train_classes = {name: ALL_V3_ENVIRONMENTS[name] for name in train}
    self.test_classes = {name: ALL_V3_ENVIRONMENTS[name] for name in test}
    self.train_tasks = _draw_tasks(train, seeds[0])
    self.test_tasks = _draw_tasks(test, seeds[1])


class ML1(_Benchmark):
  """Other goals of one class."""

  ENV_NAMES = tuple(ALL_V3_ENVIRONMENTS)

  def __init__(self, name, seed=None):
    super().__init__([name], [name], (seed, seed + 1))


class ML10(_Benchmark):
  """Two classes in training, three in evaluation."""

  def __init__(self, seed=None):
    super().__init__(
      ['reach-v3', 'push-v3'],
      ['door-v3', 'drawer-v3', 'lever-v3'],
      (seed, seed),
    )


def _draw_tasks(names, seed):
  rng = np.random.default_rng(seed)
  return [
    Task(
      name,
      pickle.dumps(
        {
          'class': ALL_V3_ENVIRONMENTS[name].__name__,
          'goal': rng.uniform(-1, 1),
        }
      ),
    )
    for name in names
    for _ in range(NUM_GOALS)
  ]


@contextlib.contextmanager
def installed():
  """Puts this module in the place of `metaworld`."""
  types_module = types_lib.ModuleType('metaworld.types')
  types_module.Task = Task
  modules = {
    'metaworld': sys.modules[__name__],
    'metaworld.types': types_module,
  }
  meta_world.load_benchmark.cache_clear()
  with mock.patch.dict(sys.modules, modules):
    yield
  meta_world.load_benchmark.cache_clear()
