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

from maml_tf.environments import action_draws
from maml_tf.environments.gymnasium_bridge import environment_rows
from maml_tf.environments.gymnasium_bridge import gymnasium_spaces
from maml_tf.environments.gymnasium_bridge import returned_values
from maml_tf.environments.gymnasium_bridge import task_family

# Steps of the trial that compares two tasks and measures a step's time.
_TRIAL_STEPS = 20

# An episode that takes longer is not played to its end.
_LONGEST_TRIAL = 1000

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


def try_family(
  environment: gymnasium.Env, tasks: Sequence[Any], horizon: int
) -> Trial:
  """Plays a trial episode of each of two tasks, and compares them.

  The spaces' own random streams are left as they were.

  Args:
    environment: An environment that `check_interface` has passed.
    tasks: One or two different tasks.
    horizon: The longest episode.

  Raises:
    ValueError: If what it returns is not what Gymnasium and its spaces say; one
      line names the class and the fix.
  """
  rows = _TrialEpisodes(environment)
  name = returned_values.class_name(environment)
  actions = _random_actions(
    environment.action_space, min(horizon, _LONGEST_TRIAL)
  )
  episodes = [
    rows.play(task, actions[:length])
    for task, length in zip(tasks, (len(actions), _TRIAL_STEPS))
  ]
  found = list(rows.warnings)
  if len(episodes) == 2 and _same(*tasks) is False:
    first = episodes[0][: len(episodes[1])]
    if _same(first, episodes[1]):
      found.append(
        f'{name}: two tasks give the same rewards and observations for the same'
        f' {len(first) - 1} actions: does set_task have an effect?'
      )
  return Trial(
    rows.reports_success,
    float(np.median(rows.seconds)),
    _time_limit(environment),
    tuple(found),
  )


class _TrialEpisodes:
  """Plays trial episodes with every check."""

  def __init__(self, environment):
    self._environment = environment
    self._name = returned_values.class_name(environment)
    self._spaces: tuple[spaces.Space, spaces.Space] | None = None
    self.reports_success = False
    self.seconds: list[float] = []
    self.warnings: dict[str, None] = {}

  def play(self, task, actions):
    """Returns the observations and rewards of one episode at most."""
    environment = self._environment
    environment_rows.set_task(environment, task)
    self._check_spaces()
    with self._recording_warnings():
      observation, _ = returned_values.check_reset(
        environment, environment.reset(seed=_SEED)
      )
    episode = [_copy(observation)]
    for action in actions:
      start = time.perf_counter()
      returned = environment.step(action)
      self.seconds.append(time.perf_counter() - start)
      with self._recording_warnings():
        observation, reward, *ended, info = returned_values.check_step(
          environment, returned
        )
      self.reports_success |= 'success' in info
      episode.append((_copy(observation), float(reward)))
      # Some set 'success' only at the end of an episode.
      is_known = self.reports_success and len(episode) > _TRIAL_STEPS
      if any(ended) or is_known:
        break
    return episode

  def _check_spaces(self):
    spaces_now = (
      self._environment.observation_space,
      self._environment.action_space,
    )
    if self._spaces is None:
      self._spaces = spaces_now
    for now, first in zip(spaces_now, self._spaces):
      if now != first:
        raise ValueError(
          f'{self._name} has the space {now} in one task and {first} in'
          ' another: give all tasks the same spaces'
        )

  @contextlib.contextmanager
  def _recording_warnings(self):
    """Keeps warnings, each once."""
    with warnings.catch_warnings(record=True) as caught:
      warnings.simplefilter('always')
      yield
    self.warnings.update({str(warning.message): None for warning in caught})


def check_sampler(
  sampler: task_family.TaskSampler, environment: gymnasium.Env
) -> list[str]:
  """Returns a warning if a sampler draws other tasks from the same seed."""
  name = returned_values.class_name(environment)

  def draw(n, seed):
    rng = np.random.default_rng(seed)
    return task_family.sample(sampler, environment, n, rng)

  # Training draws one at a time, each from a stream of its own.
  single = [draw(1, seed)[0] for seed in range(8)]
  if _same(single[0], draw(1, 0)[0]) is False:
    return [
      f'sample_tasks of {name} draws from a generator of its own: a resumed run'
      ' will draw other tasks; give it a parameter rng, or let it draw from'
      ' self.np_random'
    ]
  if all(_same(single[0], other) for other in single[1:]):
    return [
      f'sample_tasks(1) of {name} gives the same task for each of 8 seeds: if'
      ' they are enumerated, give them as training_tasks'
    ]
  return []


def _random_actions(space, number):
  """Draws actions without touching the space's own random stream."""
  arrays = action_draws.draw(
    gymnasium_spaces.to_spec(space), [np.random.default_rng(_SEED)], number
  )
  return environment_rows.split(
    space, gymnasium_spaces.to_value(space, arrays, (number,))
  )


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
  """Whether two nests are equal; None if that cannot be said."""
  try:
    # Twice, so that both share objects in the same way.
    return pickle.dumps(_copy(a)) == pickle.dumps(_copy(b))
  except Exception:  # Only processes need to pickle them.
    return None
