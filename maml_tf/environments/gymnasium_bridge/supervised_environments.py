"""Gymnasium environments in supervised processes, restarted when they fail."""

import collections
from collections.abc import Callable
from collections.abc import Sequence
import contextlib
from typing import Any

import gymnasium
from gymnasium.vector import utils
import numpy as np

from maml_tf.core import checks
from maml_tf.core import random_streams
from maml_tf.environments.gymnasium_bridge import environment_process
from maml_tf.environments.gymnasium_bridge import environment_processes
from maml_tf.environments.gymnasium_bridge import returned_values

# The key of an info that marks rows whose episode was discarded.
EPISODE_DISCARDED = 'episode_discarded'


class SupervisedVectorEnv(gymnasium.vector.VectorEnv):
  """N environments, each in its own process, whose failures do not end the run.

  A process fails if its environment raises, if it does not answer in time, or
  if it dies. A failed process is killed and restarted. The episode that it
  played is truncated, with reward 0, the last received observation, and
  `info['episode_discarded']` of the row. At the next step the new process
  resets the row, as after every episode (`AutoresetMode.NEXT_STEP`). The seed
  of that reset is derived from the row's seed and its number of restarts. A
  failure does not affect the other rows. An environment that breaks Gymnasium's
  API is an error: a restart would not mend it.

  The processes end when this process ends, for whatever reason: on Linux the
  kernel kills them. Ctrl-C does not reach them.

  Attributes:
    num_discarded: The number of discarded episodes so far.
  """

  autoreset_mode = gymnasium.vector.AutoresetMode.NEXT_STEP

  def __init__(
    self,
    env_fns: Sequence[Callable[[], gymnasium.Env]],
    timeout: float = 60.0,
    start_timeout: float = 300.0,
    max_restarts: int = 10,
  ):
    """Starts the processes and creates the environments in them.

    Args:
      env_fns: N functions that create the environments of the rows. Cloudpickle
        sends them to the processes. A function must create all parts of its
        environment: a new process shares nothing with the one that it replaces.
      timeout: The longest time that a step, a reset or closing may take [s].
      start_timeout: The longest time that starting a process, creating its
        environment and the first reset may take [s]. N processes share the
        cores.
      max_restarts: The largest number of restarts, summed over all rows.

    Raises:
      ValueError: If an argument is out of range, a function cannot be sent to a
        process, or the rows' spaces differ.
      RuntimeError: If an environment cannot be created.
    """
    if not env_fns:
      raise ValueError('env_fns is empty: give a function for each row')
    self._timeout = checks.number('timeout', timeout, above=0)
    self._processes = environment_processes.EnvironmentProcesses(
      env_fns,
      checks.number('start_timeout', start_timeout, above=0),
      checks.integer('max_restarts', max_restarts, 0),
    )
    self.num_envs = len(env_fns)
    self.num_discarded = 0
    # The rows' seeds, and the number of restarts of each row since it was
    # seeded.
    self._seeds: list[int | None] = [None] * self.num_envs
    self._restarts_since = [0] * self.num_envs
    # The seeds of the rows' next resets. None continues the random stream.
    self._next_seeds: list[int | None] = [None] * self.num_envs
    self._observations: list[Any] = [None] * self.num_envs
    self._frames: list[Any] = [None] * self.num_envs
    self._ended = np.ones(self.num_envs, bool)
    # Rows whose process failed since the last step: their episode is lost.
    self._lost = np.zeros(self.num_envs, bool)
    # The methods whose values have not yet been compared with all bounds.
    self._unseen = {'reset', 'step'}
    with self._closed_by_errors():
      description = self._processes.start()
    self._interface = returned_values.Interface(
      description.class_name, description.observation_space
    )
    self.metadata = {
      **description.metadata,
      'autoreset_mode': self.autoreset_mode,
    }
    self.render_mode = description.render_mode
    self.single_observation_space = description.observation_space
    self.single_action_space = description.action_space
    self.observation_space = utils.batch_space(
      description.observation_space, self.num_envs
    )
    self.action_space = utils.batch_space(
      description.action_space, self.num_envs
    )

  @property
  def num_restarts(self) -> collections.Counter:
    """A `Counter` of restarts by cause: raised, hung, died."""
    return self._processes.num_restarts

  def reset(
    self,
    *,
    seed: int | Sequence[int | None] | None = None,
    options: dict[str, Any] | None = None,
  ) -> tuple[Any, dict[str, Any]]:
    """Begins new episodes in all rows.

    Args:
      seed: N seeds, one for each row. An int s stands for s, ..., s + N - 1.
      options: Passed to each environment's `reset`.

    Returns:
      Observations [N, ...] and infos, in the form of
      `gymnasium.vector.AsyncVectorEnv`.

    Raises:
      ValueError: If the seeds are not N non-negative integers, or an
        environment returned something that `returned_values` refuses.
      RuntimeError: If more than `max_restarts` restarts were needed. The
        environment is then closed, as after every error that occurs while
        requests are on their way.
    """
    self._check_open()
    if seed is not None:
      self._seed(seed)
    with self._closed_by_errors():
      for row in range(self.num_envs):
        self._ask_to_reset(row, options)
      answers = self._answers(
        range(self.num_envs), np.ones(self.num_envs, bool), options
      )
      is_first = self._is_first('reset')
      answers = [
        returned_values.check_reset(self._interface, answer, is_first)
        for answer in answers
      ]
    infos = {}
    for row, (observation, info) in enumerate(answers):
      self._observations[row] = observation
      infos = self._add_info(infos, info, row)
    self._ended[:] = False
    self._lost[:] = False
    return self._batched_observations(), infos

  def step(
    self, actions: Any
  ) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
    """Steps all rows, except that rows that have ended are reset.

    Args:
      actions: A value of `action_space`. Rows that have ended ignore theirs.

    Returns:
      Observations [N, ...], float64 rewards [N], bool terminations [N] and
      truncations [N], and infos, in the form of
      `gymnasium.vector.AsyncVectorEnv`.

    Raises:
      ValueError: If there are not N actions, or an environment returned
        something that `returned_values` refuses.
      RuntimeError: As in `reset`.
    """
    self._check_open()
    actions = list(utils.iterate(self.action_space, actions))
    if len(actions) != self.num_envs:
      raise ValueError(
        f'there are {len(actions)} actions for {self.num_envs} rows: give one'
        ' for each row'
      )
    starting = self._ended
    with self._closed_by_errors():
      playing = np.flatnonzero(~self._lost)
      for row, action in enumerate(actions):
        if starting[row]:
          self._ask_to_reset(row)
        elif not self._lost[row]:
          self._processes.ask(row, self._timeout, 'step', action=action)
      answers = self._answers(playing, starting)
      answers = self._check_answers(answers, starting)
    rewards = np.zeros(self.num_envs)
    terminations = np.zeros(self.num_envs, bool)
    truncations = np.zeros(self.num_envs, bool)
    infos = {}
    for row, answer in enumerate(answers):
      if answer is None:
        truncations[row] = True
        info = {EPISODE_DISCARDED: True}
        self.num_discarded += 1
      elif starting[row]:
        self._observations[row], info = answer
      else:
        self._observations[row], reward, *ends, info = answer
        rewards[row] = np.asarray(reward).item()
        terminations[row], truncations[row] = (
          np.asarray(end, bool).item() for end in ends
        )
      infos = self._add_info(infos, info, row)
    self._ended = terminations | truncations
    self._lost[:] = False
    return (
      self._batched_observations(),
      rewards,
      terminations,
      truncations,
      infos,
    )

  def render(self) -> tuple[Any, ...]:
    """Renders all rows as their environments do.

    A row whose process fails loses its episode, as in `step`. Until its next
    reset it gives its last picture, or a black one.

    Returns:
      N results of the environments' `render`: if their `render_mode` is
      'rgb_array', uint8 arrays [H, W, 3].

    Raises:
      gymnasium.error.ResetNeeded: If there has been no `reset`.
      RuntimeError: As in `reset`, or if a row failed and none has a picture.
    """
    self._check_open()
    if any(observation is None for observation in self._observations):
      raise gymnasium.error.ResetNeeded(
        'the vector environment has no state yet: call reset before render'
      )
    # A new process has nothing to show before its reset.
    rows = [r for r in range(self.num_envs) if self._processes.has_answered(r)]
    with self._closed_by_errors():
      for row in rows:
        self._processes.ask(row, self._timeout, 'render')
      answers = self._answers(rows, np.zeros(self.num_envs, bool))
      for row in rows:
        if isinstance(answers[row], environment_process.Failure):
          self._lost[row] = not self._ended[row]
        else:
          self._frames[row] = answers[row]
      shown = [f for f in self._frames if f is not None]
      for row, answer in enumerate(answers):
        if isinstance(answer, environment_process.Failure) and not shown:
          raise environment_processes.EnvironmentFailure(
            f'the environment of row {row} {answer.summary}: fix its render',
            answer,
          )
    return tuple(
      np.zeros_like(shown[0]) if f is None and shown else f
      for f in self._frames
    )

  def close_extras(self, terminate: bool = False) -> None:
    """Ends the processes.

    Args:
      terminate: Whether to kill the processes at once. Otherwise each has
        `timeout` seconds to close its environment.
    """
    self._processes.close(None if terminate else self._timeout)

  def __del__(self):
    if not self.closed and hasattr(self, '_processes'):
      self.close(terminate=True)

  def _seed(self, seed):
    seeds = list(
      seed if np.iterable(seed) else range(seed, seed + self.num_envs)
    )
    if len(seeds) != self.num_envs:
      raise ValueError(
        f'there are {len(seeds)} seeds for {self.num_envs} rows: give one int,'
        ' or one for each row'
      )
    self._seeds = [
      s if s is None else checks.integer('seed', s, 0) for s in seeds
    ]
    self._next_seeds = list(self._seeds)
    self._restarts_since = [0] * self.num_envs

  def _ask_to_reset(self, row, options=None):
    self._processes.ask(
      row,
      self._timeout,
      'reset',
      seed=self._next_seeds[row],
      options=options,
    )
    self._next_seeds[row] = None

  def _answers(self, rows, resetting, options=None):
    """Waits for the answers of rows and restarts processes that fail.

    Args:
      rows: The numbers of the rows that were asked.
      resetting: A bool array [N]: True in rows that were asked to reset. After
        a restart, such a row is asked again.
      options: The options of these resets.

    Returns:
      A list of N answers, None for rows that were not asked. The answer of a
      row that failed and was not resetting is a `Failure`.
    """
    answers: list[Any] = [None] * self.num_envs
    waiting = set(rows)
    for row in self._processes.due(waiting):
      answers[row] = self._processes.answer(row)
      if isinstance(answers[row], environment_process.Failure):
        self._restart(row, answers[row])
        if resetting[row]:
          self._ask_to_reset(row, options)
          continue
      waiting.discard(row)
    return answers

  def _check_answers(self, answers, resetting):
    """Returns the values of resets and steps, None for lost episodes."""
    is_first = self._is_first('step')
    checked: list[Any] = []
    for answer, is_reset in zip(answers, resetting):
      if isinstance(answer, environment_process.Failure):
        answer = None
      elif answer is not None:
        check = (
          returned_values.check_reset
          if is_reset
          else returned_values.check_step
        )
        answer = check(self._interface, answer, is_first)
      checked.append(answer)
    return checked

  def _is_first(self, method):
    is_first = method in self._unseen
    self._unseen.discard(method)
    return is_first

  def _restart(self, row, failure):
    """Gives a row a new process, and its next reset a seed of its own."""
    self._processes.restart(row, failure)
    self._restarts_since[row] += 1
    if self._seeds[row] is not None:
      stream = (self._seeds[row], self._restarts_since[row])
      generator = random_streams.generator(stream)
      self._next_seeds[row] = int(generator.integers(2**31))

  def _batched_observations(self):
    return utils.concatenate(
      self.single_observation_space,
      self._observations,
      utils.create_empty_array(self.single_observation_space, self.num_envs),
    )

  def _check_open(self):
    if self.closed:
      raise gymnasium.error.ClosedEnvironmentError(
        'the vector environment is closed: make a new one'
      )

  @contextlib.contextmanager
  def _closed_by_errors(self):
    """Closes the environment if an error occurs.

    No process is left behind, and no answer that a later request could receive.
    """
    try:
      yield
    except BaseException:
      self.close(terminate=True)
      raise
