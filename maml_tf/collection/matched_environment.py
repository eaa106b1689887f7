"""Any environment in the shapes and types of a policy, for a rollout."""

import numpy as np
import tensorflow as tf
from tf_agents.environments import py_environment
from tf_agents.policies import tf_policy
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from maml_tf.collection import environment_specs
from maml_tf.environments import task_environment


class MatchedEnvironment:
  """Resets and steps an environment as a policy expects it.

  Time steps get a batch axis and the policy's observation structure and types.
  Actions get the structure and types of the environment's spec, and are clipped
  to its bounds unless the environment clips them itself.

  Non-finite numbers pass in neither direction: a `FloatingPointError` names the
  quantity and the step, before the environment is stepped with them. In an
  episode that is not kept they are allowed, and the policy sees 0 instead.

  Attributes:
    faults: What was not finite in rows beyond those that count, by row.
  """

  def __init__(
    self,
    environment: py_environment.PyEnvironment,
    policy: tf_policy.TFPolicy,
  ):
    """Compares the specs.

    Args:
      environment: Batched or not.
      policy: Its `time_step_spec` has the observations to give.

    Raises:
      ValueError: The specs of environment and policy do not match.
    """
    environment_specs.check_match(environment, policy)
    self._environment = environment
    self._observation_spec = policy.time_step_spec.observation
    # A task environment clips actions itself, after it has priced them.
    self._clips = not isinstance(environment, task_environment.TaskEnvironment)
    self._step_number = 0
    self._counts = np.ones(self.num_rows, bool)
    self._may_be_broken = ~self._counts
    self.faults: dict[int, str] = {}

  @property
  def num_rows(self) -> int:
    """N; 1 for an environment without a batch axis."""
    return self._environment.batch_size or 1

  @property
  def discarded(self) -> np.ndarray:
    """A bool array [N]: whether the environment discards a row's episode.

    `GymnasiumEnvironment` says so at the step that ends the episode.
    """
    discarded = getattr(self._environment, 'discarded', False)
    return np.broadcast_to(discarded, self.num_rows)

  def count(self, num_episodes: int) -> None:
    """Says how many of the next episodes count, those of the first rows.

    The others are surplus, unless the environment discards one that counts.
    """
    self._counts = np.arange(self.num_rows) < num_episodes

  def reset(self) -> ts.TimeStep:
    """Starts an episode in every row.

    Returns:
      A `TimeStep` of arrays [N, ...].

    Raises:
      FloatingPointError: An observation is not finite.
    """
    self._step_number = 0
    self._may_be_broken = ~self._counts
    self.faults = {}
    time_step = self._to_policy(self._environment.reset())
    observation = self._finite('observation', time_step.observation)
    return time_step._replace(observation=observation)

  def step(self, action: types.NestedArray) -> ts.TimeStep:
    """Advances every row.

    Args:
      action: A nest of arrays [N, ...], as the policy sampled it.

    Returns:
      A `TimeStep` of arrays [N, ...].

    Raises:
      FloatingPointError: The action, an observation or a reward is not finite.
    """
    self._step_number += 1
    action = self._finite('action', action)
    time_step = self._to_policy(
      self._environment.step(self._to_environment(action))
    )
    self._may_be_broken = self._may_be_broken | self.discarded
    time_step = time_step._replace(
      observation=self._finite('observation', time_step.observation),
      reward=self._finite('reward', time_step.reward),
    )
    # From now on such a row waits for the others.
    self._may_be_broken = self._may_be_broken | time_step.is_last()
    return time_step

  def _to_policy(self, time_step):
    """Adds a batch axis where it is missing, and converts the types."""
    if not self._environment.batched:
      time_step = tf.nest.map_structure(
        lambda a: np.asarray(a)[np.newaxis], time_step
      )
    observation = [
      np.asarray(o, s.dtype.as_numpy_dtype)
      for o, s in zip(
        tf.nest.flatten(time_step.observation),
        tf.nest.flatten(self._observation_spec),
      )
    ]
    return ts.TimeStep(
      np.asarray(time_step.step_type, np.int32),
      np.asarray(time_step.reward, np.float32),
      np.asarray(time_step.discount, np.float32),
      tf.nest.pack_sequence_as(self._observation_spec, observation),
    )

  def _to_environment(self, action):
    """Clips actions, and gives them the types of the environment's spec."""
    spec = self._environment.action_spec()
    parts = []
    for part, s in zip(tf.nest.flatten(action), tf.nest.flatten(spec)):
      if self._clips and isinstance(s, array_spec.BoundedArraySpec):
        part = np.clip(part, s.minimum, s.maximum)
      part = part.astype(s.dtype)
      parts.append(part if self._environment.batched else part[0])
    return tf.nest.pack_sequence_as(spec, parts)

  def _finite(self, name, arrays):
    """Returns arrays whose numbers are finite in all rows.

    Raises:
      FloatingPointError: A number of a row that counts is not finite.
    """
    flat = tf.nest.flatten(arrays)
    broken = np.zeros(self.num_rows, bool)
    for array in flat:
      if np.issubdtype(array.dtype, np.floating):
        finite = np.isfinite(array)
        if not finite.all():
          broken |= ~finite.reshape(self.num_rows, -1).all(axis=1)
    if not broken.any():
      return arrays
    fault = (
      f'the {name} of step {self._step_number} of an episode is not finite'
    )
    if (broken & ~self._may_be_broken).any():
      raise FloatingPointError(fault)
    for row in np.flatnonzero(broken & ~self._counts).tolist():
      self.faults.setdefault(row, fault)
    flat = [
      np.where(np.isfinite(a), a, np.zeros_like(a))
      if np.issubdtype(a.dtype, np.floating)
      else a
      for a in flat
    ]
    return tf.nest.pack_sequence_as(arrays, flat)
