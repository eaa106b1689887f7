"""`maml_tf.adapt`: adapts a trained policy to the task of an environment."""

from collections.abc import Callable
from collections.abc import Sequence
import contextlib
import functools
import os
from typing import Any
from typing import NamedTuple
from typing import Protocol
from typing import cast

import gymnasium
import numpy as np
import tensorflow as tf
from tf_agents.environments import py_environment
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from maml_tf.adaptation import loaded_agents
from maml_tf.adaptation import reset_seeds
from maml_tf.collection import adapted_policy
from maml_tf.collection import compiled_actor
from maml_tf.collection import episode_sampler
from maml_tf.core import action_distributions
from maml_tf.core import checks
from maml_tf.core import random_streams
from maml_tf.environments import task_environment
from maml_tf.environments.gymnasium_bridge import gymnasium_environment
from maml_tf.learning import maml_agent

# The limit of most of Gymnasium's MuJoCo environments.
_MAX_EPISODE_STEPS = 1000
# The shortest part of a step that is tried: it is halved 10 times.
_MIN_FRACTION = 2.0**-10


class AdaptationStep(NamedTuple):
  """The result of one adaptation step.

  Attributes:
    taken: Whether the step changed the parameters.
    reason: Why it was rejected; empty if it was taken.
    kl: Mean KL(behaviour || policy after the step) over the frames that the
      step learned from, in nats; NaN if it was not computed.
    fraction: How much of the step was taken: 1, or less to stay within
      `max_kl`; 0 if it was rejected.
  """

  taken: bool
  reason: str
  kl: float
  fraction: float = 1.0


class Adaptation(NamedTuple):
  """A policy adapted to one task.

  Attributes:
    policy: Acts with the adapted parameters, its initial state.
    parameters: The adapted parameters phi, without a leading B.
    returns: A float64 array [k + 1, E]: the undiscounted returns of the
      episodes played after 0, ..., k steps; NaN where playing broke off.
    steps: k `AdaptationStep`s.
    num_discarded: An int array [k + 1]: how many episodes the environment
      discarded after 0, ..., k steps; others were played instead.
  """

  policy: adapted_policy.AdaptedPolicy
  parameters: adapted_policy.Parameters
  returns: np.ndarray
  steps: tuple[AdaptationStep, ...]
  num_discarded: np.ndarray


class HasAgent(Protocol):
  """What holds an agent, such as a `TrainedPolicy` or a `TrainedRun`."""

  @property
  def agent(self) -> maml_agent.MamlAgent: ...


def adapt(
  agent_or_root_dir: maml_agent.MamlAgent | HasAgent | str | os.PathLike,
  environment: (
    py_environment.PyEnvironment | gymnasium.Env | gymnasium.vector.VectorEnv
  ),
  num_steps: int | None = None,
  episodes_per_step: int = 20,
  step_size: float | None = None,
  max_kl: float | None = None,
  max_episode_steps: int | None = None,
  seed: int = 0,
  deterministic: bool = False,
  observers: Sequence[Callable[[int, np.ndarray], None]] = (),
) -> Adaptation:
  """Adapts a trained policy to the task that an environment plays.

  Each of k times it plays E episodes and takes the agent's adaptation step on
  them; then it plays E more, which measure the final return. A step that moves
  the policy too far is halved until it does not. One that is not finite is
  rejected: the parameters keep their bits, and the next step is tried on new
  episodes. No non-finite number is ever sent to the environment: playing breaks
  off before that.

  The same seed gives the same result if the environment can be seeded.

  Wrap a Gymnasium environment whose physics or devices may raise, hang or die
  in `supervised_environments.SupervisedVectorEnv`: an episode that is lost to
  such a failure is played again.

  Args:
    agent_or_root_dir: An agent; what has one, as from `maml_tf.load_policy`; or
      the folder of a run, loaded once, and again when the run has trained on.
    environment: A `TaskEnvironment` of one task, with E environments to play
      all episodes at once; any other `PyEnvironment`, batched or not; or a
      Gymnasium environment, single or vector. It is not closed.
    num_steps: k. None: the agent's.
    episodes_per_step: E.
    step_size: Replaces the agent's own step sizes. None: they are used.
    max_kl: The furthest a step may move the policy, in nats: the mean
      KL(behaviour || new policy) over the frames that it learned from. None: no
      bound. The step is halved up to 10 times to stay within it.
    max_episode_steps: Episodes are cut off after this many steps, as by a time
      limit. None: a `TaskEnvironment` ends its episodes itself; those of other
      environments are cut off after 1,000 steps.
    seed: Seeds the actions' noise and the environment's resets.
    deterministic: Whether the returned policy acts by the mode of its
      distribution. It explores while it adapts.
    observers: Called with the number of steps so far and the returns [E] of
      the episodes that have just been played.

  Returns:
    An `Adaptation`.

  Raises:
    ValueError: An argument is impossible, or the environment's observations or
      actions differ from those that the agent was trained on.
    errors.UsageError: The folder does not hold a run.
    RuntimeError: A `SupervisedVectorEnv` has failed too often.
  """
  _check(num_steps, episodes_per_step, step_size, max_kl, seed)
  environment = _to_py_environment(environment)
  if isinstance(agent_or_root_dir, (str, os.PathLike)):
    agent = loaded_agents.load(os.fspath(agent_or_root_dir))
  else:
    agent = getattr(agent_or_root_dir, 'agent', agent_or_root_dir)
  k = agent.num_adaptation_steps if num_steps is None else num_steps
  if max_episode_steps is None:
    max_episode_steps = _max_episode_steps(environment)
  adaptation = _TaskAdaptation(
    agent, environment, max_episode_steps, k, episodes_per_step, seed, observers
  )
  for stage in range(k):
    adaptation.take_step(stage, step_size, max_kl)
  with contextlib.suppress(FloatingPointError):
    adaptation.play(k)
  return adaptation.result(deterministic)


class _TaskAdaptation:
  """An adaptation under way.

  Attributes:
    policy_state: The parameters so far, leaves [1, ...].
    returns: As in `Adaptation`, NaN where nothing has been played yet.
    steps: An `AdaptationStep` for each step so far.
    num_discarded: As in `Adaptation`.
  """

  def __init__(
    self,
    agent: maml_agent.MamlAgent,
    environment: py_environment.PyEnvironment,
    max_episode_steps: int,
    num_steps: int,
    num_episodes: int,
    seed: int,
    observers: Sequence[Callable[[int, np.ndarray], None]],
  ):
    """Begins with the meta-parameters.

    Args:
      agent: Takes the steps.
      environment: Plays the task.
      max_episode_steps: After this many steps an episode is cut off.
      num_steps: k.
      num_episodes: E.
      seed: As in `adapt`.
      observers: As in `adapt`.
    """
    policy = cast(adapted_policy.AdaptedPolicy, agent.collect_policy)
    self._agent = agent
    self._environment = environment
    compiled = _compiled(policy)
    self._sampler = episode_sampler.EpisodeSampler(
      environment, policy, max_episode_steps, compiled.actor
    )
    self._num_episodes = num_episodes
    self._seed = seed
    self._observers = observers
    self._mean_kl = compiled.mean_kl
    self.policy_state = cast(
      adapted_policy.Parameters, policy.get_initial_state(1)
    )
    self.returns = np.full((num_steps + 1, num_episodes), np.nan)
    self.steps: list[AdaptationStep] = []
    self.num_discarded = np.zeros(num_steps + 1, int)

  def play(self, stage: int) -> trajectory.Trajectory:
    """Plays the episodes that follow `stage` steps, taken or not.

    Returns:
      A `Trajectory`, leaves [1, T, ...].

    Raises:
      FloatingPointError: A number is not finite; playing broke off there.
    """
    reset_seeds.seed_resets(
      self._environment,
      random_streams.held_out_key(
        self._seed, stage, random_streams.Purpose.RESET
      ),
    )
    noise = random_streams.generator(
      random_streams.held_out_key(
        self._seed, stage, random_streams.Purpose.ACTION
      )
    )
    episodes = self._sampler.sample(
      self.policy_state, self._num_episodes, noise
    )
    self.returns[stage] = episodes.returns
    self.num_discarded[stage] = episodes.num_discarded
    for observe in self._observers:
      observe(stage, self.returns[stage].copy())
    return episodes.experience

  def result(self, deterministic: bool) -> Adaptation:
    """Returns the result so far; `deterministic` is as in `adapt`."""
    parameters = tf.nest.map_structure(lambda p: p[0], self.policy_state)
    return Adaptation(
      self._agent.adapted_policy(parameters, deterministic),
      parameters,
      self.returns,
      tuple(self.steps),
      self.num_discarded,
    )

  def take_step(
    self, stage: int, step_size: float | None, max_kl: float | None
  ) -> None:
    """Plays episodes and takes a step, as far as `max_kl` allows.

    Args:
      stage: The number of steps before this one, taken or not.
      step_size: As in `adapt`.
      max_kl: As in `adapt`.
    """
    # Learned step sizes depend on how many steps have been taken.
    index = sum(step.taken for step in self.steps)
    try:
      experience = self.play(stage)
      proposed = self._agent.adapt(
        experience, self.policy_state, index, step_size
      )
    except FloatingPointError as error:  # `NonFiniteError` is one.
      self.steps.append(AdaptationStep(False, str(error), np.nan, 0.0))
      return
    state, fraction = proposed, 1.0
    kl = float(self._mean_kl(experience, state))
    while max_kl is not None and not kl <= max_kl and fraction > _MIN_FRACTION:
      fraction /= 2
      state = _part_of_step(self.policy_state, proposed, fraction)
      kl = float(self._mean_kl(experience, state))
    self.steps.append(_accept_step(kl, max_kl, fraction))
    if self.steps[-1].taken:
      self.policy_state = state


def _check(num_steps, episodes_per_step, step_size, max_kl, seed):
  if num_steps is not None:
    checks.integer('num_steps', num_steps, 0, checks.MAX_ADAPTATION_STEPS)
  checks.integer('episodes_per_step', episodes_per_step, 1)
  if step_size is not None:
    checks.number('step_size', step_size, above=0)
  if max_kl is not None:
    checks.number('max_kl', max_kl, above=0)
  checks.integer('seed', seed, 0)


def _to_py_environment(environment):
  """Returns the environment as a `PyEnvironment`."""
  if isinstance(environment, task_environment.TaskEnvironment):
    if environment.num_tasks != 1:
      raise ValueError(
        f'the environment plays {environment.num_tasks} tasks: give one with'
        ' num_tasks=1, whose environments_per_task play the episodes'
      )
    return environment
  if isinstance(environment, py_environment.PyEnvironment):
    return environment
  if isinstance(environment, (gymnasium.Env, gymnasium.vector.VectorEnv)):
    return gymnasium_environment.GymnasiumEnvironment(environment)
  raise ValueError(
    f'environment is a {type(environment).__name__}: give a TaskEnvironment,'
    ' another PyEnvironment of TF-Agents, or an environment of Gymnasium'
  )


def _max_episode_steps(environment):
  """Returns the number of steps after which episodes are cut off."""
  if isinstance(environment, task_environment.TaskEnvironment):
    return environment.horizon
  return _MAX_EPISODE_STEPS


def _part_of_step(before, after, fraction):
  return tf.nest.map_structure(
    lambda b, a: b + fraction * (a - b), before, after
  )


def _accept_step(
  kl: float, max_kl: float | None, fraction: float
) -> AdaptationStep:
  """Accepts or rejects a part of a step with the given KL."""
  reason = ''
  part = 'the step' if fraction == 1 else f'{fraction:.3g} of the step'
  if not np.isfinite(kl):
    reason = f'the KL of {part} is {kl}'
  elif max_kl is not None and kl > max_kl:
    reason = (
      f'{part} has a KL of {kl:.3g}, above max_kl = {max_kl:g}: a smaller'
      ' step_size moves the policy less'
    )
  return AdaptationStep(not reason, reason, kl, 0.0 if reason else fraction)


class _Compiled:
  """What a policy's adaptations compile, once for all of them.

  Attributes:
    actor: The policy's compiled step.
    mean_kl: `_mean_kl`, given an experience and a policy state.
  """

  def __init__(self, policy: adapted_policy.AdaptedPolicy):
    self.actor = compiled_actor.CompiledActor(policy)
    self.mean_kl = tf.function(
      functools.partial(_mean_kl, policy), autograph=False
    )


def _compiled(policy: adapted_policy.AdaptedPolicy) -> _Compiled:
  """Returns what has been compiled for a policy, which keeps it."""
  # Not an attribute that checkpoints would follow.
  found = vars(policy).get('_adaptation')
  if found is None:
    found = vars(policy).setdefault('_adaptation', _Compiled(policy))
  return found


def _mean_kl(
  policy: adapted_policy.AdaptedPolicy,
  experience: trajectory.Trajectory,
  policy_state: adapted_policy.Parameters,
) -> tf.Tensor:
  """Mean KL(behaviour || policy with this state) over the valid frames."""
  valid = tf.logical_not(cast(tf.Tensor, experience.is_boundary()))
  frames = tf.nest.map_structure(
    lambda t: tf.boolean_mask(t, valid), experience
  )
  time_step = ts.TimeStep(
    frames.step_type, frames.reward, frames.discount, frames.observation
  )
  kl: Any = action_distributions.kl_divergence(
    policy.distributions.from_tensors(frames.policy_info),
    policy.distribution(time_step, policy_state).action,
  )
  return tf.reduce_mean(kl)
