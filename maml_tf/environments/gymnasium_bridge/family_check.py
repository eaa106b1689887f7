"""A trial of a user's Gymnasium family, before anything is written."""

from collections.abc import Sequence
import contextlib
import pickle
import time
from typing import Any
from typing import NamedTuple
import warnings

import gymnasium
from gymnasium import spaces
import numpy as np

from maml_tf.environments.gymnasium_bridge import environment_rows
from maml_tf.environments.gymnasium_bridge import gymnasium_spaces
from maml_tf.environments.gymnasium_bridge import returned_values
from maml_tf.environments.gymnasium_bridge import task_family

# Steps of the trial that compares two tasks and measures a step's time.
_TRIAL_STEPS = 20

_SEED = 0


class Trial(NamedTuple):
  """What the trial found.

  Attributes:
    reports_success: Whether `info` has a key 'success'.
    seconds_per_step: The time of a step, a median [s].
    time_limit: The number of steps after which the environment truncates its
      episodes itself; None if it does not say.
    warnings: What may be wrong, a line each.
  """

  reports_success: bool
  seconds_per_step: float
  time_limit: int | None
  warnings: tuple[str, ...]


def check_interface(environment: Any) -> gymnasium.Env:
  """Returns the environment if it has what a family needs.

  Raises:
    ValueError: If it is no Gymnasium environment, has no `set_task`, or a space
      has no spec.
  """
  if not isinstance(environment, gymnasium.Env):
    raise ValueError(
      f'make_environment gives a {type(environment).__name__}: give a'
      ' gymnasium.Env'
    )
  interface = returned_values.interface_of(environment)
  if not callable(task_family.find(environment, 'set_task')):
    raise ValueError(
      f'{interface.name} has no set_task: give it set_task(task)'
    )
  gymnasium_spaces.to_spec(environment.observation_space, 'observation')
  gymnasium_spaces.to_spec(environment.action_space, 'action')
  return environment


def try_family(environment: gymnasium.Env, tasks: Sequence[Any]) -> Trial:
  """Resets and steps an environment, and compares two tasks.

  The spaces' own random streams are left as they were.

  Args:
    environment: An environment that `check_interface` has passed.
    tasks: One or two different tasks.

  Raises:
    ValueError: If what it returns is not what Gymnasium and its spaces say; one
      line names the class and the fix.
  """
  rows = _Single(environment)
  name = environment_rows.name(environment)
  rng = np.random.default_rng(_SEED)
  actions = [
    _random_value(environment.action_space, rng) for _ in range(_TRIAL_STEPS)
  ]
  episodes = [rows.play(task, actions) for task in tasks[:2]]
  found = list(rows.warnings)
  if len(episodes) == 2 and _same(tasks[0], tasks[1]):
    episodes = episodes[:1]
  if len(episodes) == 2 and _same(episodes[0], episodes[1]):
    found.append(
      f'{name}: two tasks give the same rewards and observations for the same'
      f' {len(episodes[0])} actions: does set_task have an effect?'
    )
  return Trial(
    rows.reports_success,
    float(np.median(rows.seconds)),
    _time_limit(environment),
    tuple(found),
  )


class _Single:
  """Plays trial episodes with every check."""

  def __init__(self, environment):
    self._environment = environment
    self._name = environment_rows.name(environment)
    self.reports_success = False
    self.seconds: list[float] = []
    self.warnings: dict[str, None] = {}

  def play(self, task, actions):
    """Returns the observations and rewards of one episode at most."""
    environment = self._environment
    environment_rows.set_task(environment, task)
    with self._noted():
      observation, _ = returned_values.check_reset(
        environment, environment.reset(seed=_SEED)
      )
    episode = [_copy(observation)]
    for action in actions:
      start = time.perf_counter()
      returned = environment.step(action)
      self.seconds.append(time.perf_counter() - start)
      with self._noted():
        observation, reward, *ended, info = returned_values.check_step(
          environment, returned
        )
      self.reports_success |= 'success' in info
      episode.append((_copy(observation), float(reward)))
      if any(ended):
        break
    return episode

  @contextlib.contextmanager
  def _noted(self):
    """Keeps warnings, each once."""
    with warnings.catch_warnings(record=True) as caught:
      warnings.simplefilter('always')
      yield
    self.warnings.update({str(warning.message): None for warning in caught})


def check_sampler(
  sampler: task_family.TaskSampler, environment: gymnasium.Env
) -> list[str]:
  """Returns a warning if a sampler draws other tasks from the same seed."""
  first, second = (
    task_family.sample(sampler, environment, 2, np.random.default_rng(_SEED))
    for _ in range(2)
  )
  if _same(first, second):
    return []
  return [
    f'sample_tasks of {environment_rows.name(environment)} draws from a'
    ' generator of its own: a resumed run will draw other tasks; give it a'
    ' parameter rng, or let it draw from self.np_random'
  ]


def _random_value(space, rng):
  """Draws a value without touching the space's own random stream."""
  if isinstance(space, spaces.Dict):
    return {k: _random_value(part, rng) for k, part in space.spaces.items()}
  if isinstance(space, spaces.Tuple):
    return tuple(_random_value(part, rng) for part in space.spaces)
  spec = gymnasium_spaces.to_spec(space)
  low = np.maximum(np.asarray(spec.minimum, np.float64), -1e3)
  high = np.minimum(np.asarray(spec.maximum, np.float64), 1e3)
  if np.issubdtype(space.dtype, np.floating):
    value = rng.uniform(low, high, space.shape)
  else:
    value = np.floor(rng.uniform(low, high + 1, space.shape))
  value = np.asarray(value).astype(space.dtype)
  return value[()] if isinstance(space, spaces.Discrete) else value


def _time_limit(environment):
  """The number of steps after which an environment says that it truncates."""
  limits = [
    task_family.find(environment, name)
    for name in ('_max_episode_steps', 'max_path_length')
  ]
  if environment.spec is not None:
    limits.append(environment.spec.max_episode_steps)
  return min(
    (limit for limit in limits if isinstance(limit, int)), default=None
  )


def _copy(observation):
  return pickle.loads(pickle.dumps(observation))


def _same(a, b):
  try:
    return pickle.dumps(a) == pickle.dumps(b)
  except Exception:  # Only processes need to pickle them.
    return False
