"""One call that adapts a trained policy to a task."""

import functools
import os
from typing import NamedTuple

import gymnasium
import numpy as np
import tensorflow as tf
from tf_agents.environments import py_environment
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.typing import types

from maml_tf.collection import adapted_policy
from maml_tf.collection import episode_sampler
from maml_tf.core import action_distributions
from maml_tf.core import checks
from maml_tf.core import finite_checks
from maml_tf.core import random_streams
from maml_tf.environments import task_environment
from maml_tf.environments.gymnasium_bridge import gymnasium_environment
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import maml_agent
from maml_tf.run import trained_run

# As most of Gymnasium's MuJoCo environments have it.
_MAX_EPISODE_STEPS = 1000


class AdaptationStep(NamedTuple):
  """What became of one step.

  Attributes:
    taken: Whether the parameters were changed.
    reason: Why not; empty if they were.
    kl: Mean KL(behaviour || policy after the step) over the frames that the
      step learned from, nats; NaN where it was not reached.
  """

  taken: bool
  reason: str
  kl: float


class Adaptation(NamedTuple):
  """A policy adapted to one task.

  Attributes:
    policy: Acts with the adapted parameters, its initial state.
    parameters: The adapted parameters phi, without a leading B.
    returns: A float64 array [k + 1, E]: the undiscounted returns of the
      episodes played after 0, ..., k steps; NaN where playing broke off.
    steps: k `AdaptationStep`s.
    num_discarded: An int array [k + 1]: the episodes that the environment has
      discarded after 0, ..., k steps, others were played instead.
  """

  policy: adapted_policy.AdaptedPolicy
  parameters: inner_loop_lib.Parameters
  returns: np.ndarray
  steps: tuple[AdaptationStep, ...]
  num_discarded: np.ndarray


def adapt(
  agent_or_root_dir: maml_agent.MamlAgent | str | os.PathLike,
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
) -> Adaptation:
  """Adapts a trained policy to the task that an environment plays.

  k times it plays E episodes and takes the agent's adaptation step on them;
  then it plays E more, to see what became of the return. A step that is not
  finite, or that moves the policy too far, is not taken: the parameters stay
  bit for bit as they were, and the next one is tried on new episodes. Nothing
  that is not finite is sent to the environment: playing breaks off there.

  The same seed gives the same result where the environment can be seeded.

  A Gymnasium environment whose physics or devices may raise, hang or die is
  best given as `supervised_environments.SupervisedVectorEnv`: the episode is
  lost then, and played again.

  Args:
    agent_or_root_dir: An agent, or the folder of a run; see `trained_run.load`.
    environment: A `TaskEnvironment` of one task, with E environments to play
      all episodes at once; any other `PyEnvironment`, batched or not; or a
      Gymnasium environment, single or vector. It is not closed.
    num_steps: k. None: the agent's.
    episodes_per_step: E.
    step_size: A number instead of the agent's own step sizes.
    max_kl: The most a step may move the policy, in nats: the mean KL(behaviour
      || new policy) over the frames that it learned from. None: no bound.
    max_episode_steps: An episode that goes on after so many steps is cut off,
      as by a time limit. None: a `TaskEnvironment` ends its episodes itself,
      another environment's are cut off after 1,000 steps.
    seed: Of the actions' noise and of the environment's resets.
    deterministic: Whether the policy that is returned acts by the mode of its
      distribution. While it adapts it explores.

  Returns:
    An `Adaptation`.

  Raises:
    ValueError: An argument is impossible, or the environment's observations or
      actions are not those that the agent was trained on.
    errors.UsageError: The folder holds no run.
    RuntimeError: A `SupervisedVectorEnv` has failed too often.
  """
  _check(num_steps, episodes_per_step, step_size, max_kl, seed)
  environment = _py_environment(environment)
  agent = agent_or_root_dir
  if isinstance(agent_or_root_dir, (str, os.PathLike)):
    agent = trained_run.load(os.fspath(agent_or_root_dir)).agent
  if num_steps is None:
    num_steps = agent.num_adaptation_steps
  if max_episode_steps is None:
    max_episode_steps = (
      environment.horizon
      if isinstance(environment, task_environment.TaskEnvironment)
      else _MAX_EPISODE_STEPS
    )
  sampler = episode_sampler.EpisodeSampler(
    environment, agent.collect_policy, max_episode_steps
  )
  mean_kl = tf.function(functools.partial(_mean_kl, agent), autograph=False)
  policy_state = agent.policy.get_initial_state(1)
  returns = np.full((num_steps + 1, episodes_per_step), np.nan)
  num_discarded = np.zeros(num_steps + 1, int)
  steps = []
  for stage in range(num_steps + 1):
    _seed(environment, seed, stage)
    noise = random_streams.generator(
      _key(seed, stage, random_streams.Purpose.ACTION)
    )
    problem = ''
    try:
      episodes = sampler.sample(policy_state, episodes_per_step, noise)
      returns[stage] = episodes.returns
      num_discarded[stage] = episodes.num_discarded
    except FloatingPointError as error:
      problem = str(error)
    if stage == num_steps:
      break
    if problem:
      steps.append(AdaptationStep(False, problem, np.nan))
      continue
    # Learned step sizes know the steps that were taken.
    index = sum(step.taken for step in steps)
    try:
      proposed = agent.adapt(
        episodes.experience, policy_state, index, step_size
      )
    except finite_checks.NonFiniteError as error:
      steps.append(AdaptationStep(False, str(error), np.nan))
      continue
    kl = mean_kl(episodes.experience, proposed)
    steps.append(_accept_step(float(kl), max_kl))
    if steps[-1].taken:
      policy_state = proposed
  parameters = tuple(p[0] for p in policy_state)
  policy = agent.adapted_policy(parameters, deterministic)
  return Adaptation(policy, parameters, returns, tuple(steps), num_discarded)


def _check(num_steps, episodes_per_step, step_size, max_kl, seed):
  if num_steps is not None:
    checks.integer('num_steps', num_steps, 0)
  checks.integer('episodes_per_step', episodes_per_step, 1)
  if step_size is not None:
    checks.number('step_size', step_size, above=0)
  if max_kl is not None:
    checks.number('max_kl', max_kl, above=0)
  checks.integer('seed', seed, 0)


def _py_environment(environment):
  """Returns the environment as TF-Agents plays it."""
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


def _key(seed, stage, purpose):
  """Names a stream as `MetaCollector` does for its first task."""
  return random_streams.key(seed, random_streams.HELD_OUT, stage, 0, purpose)


def _seed(environment, seed, stage):
  """Seeds the resets of a stage, where the environment can be seeded."""
  key = _key(seed, stage, random_streams.Purpose.RESET)
  if isinstance(environment, task_environment.TaskEnvironment):
    environment.seed([key])
    return
  try:
    environment.seed(int(random_streams.generator(key).integers(2**31)))
  except NotImplementedError:
    pass  # What it draws is its own affair, as in a machine.


def _accept_step(kl: float, max_kl: float | None) -> AdaptationStep:
  """Decides whether a step is taken."""
  reason = ''
  if not np.isfinite(kl):
    reason = f'the KL of the step is {kl}'
  elif max_kl is not None and kl > max_kl:
    reason = (
      f'the step has a KL of {kl:.3g}, above max_kl = {max_kl:g}: a smaller'
      ' step_size moves the policy less'
    )
  return AdaptationStep(not reason, reason, kl)


def _mean_kl(
  agent: maml_agent.MamlAgent,
  experience: trajectory.Trajectory,
  policy_state: inner_loop_lib.Parameters,
) -> types.Tensor:
  """KL(behaviour || policy with this state), a mean over the valid frames."""
  valid = ~experience.is_boundary()
  frames = tf.nest.map_structure(
    lambda t: tf.boolean_mask(t, valid), experience
  )
  time_step = ts.TimeStep(
    frames.step_type, frames.reward, frames.discount, frames.observation
  )
  policy = agent.collect_policy
  return tf.reduce_mean(
    action_distributions.kl_divergence(
      policy.distributions.from_tensors(frames.policy_info),
      policy.distribution(time_step, policy_state).action,
    )
  )
