"""The policy inside a SavedModel."""

from typing import NamedTuple

import tensorflow as tf
from tf_agents.policies import tf_policy
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from maml_tf.collection import adapted_policy
from maml_tf.core import action_distributions


class ServedStep(NamedTuple):
  """The result of one evaluation of the network, leaves [N, ...].

  Attributes:
    action: A nest of tensors, sampled from the distributions.
    mode: The most probable action; None if the distributions have no mode.
    info: The parameters of the distributions, if the policy emits them.
  """

  action: types.NestedTensor
  mode: types.NestedTensor | None
  info: types.NestedTensor


class ServedPolicy(tf_policy.TFPolicy):
  """An `AdaptedPolicy` that draws new noise in every process that loads it.

  A saved `tf.random.Generator` would continue from the same state in every
  process and give several actors the same noise.

  The functions of `PolicySaver` and all signatures evaluate the network in the
  same graph.
  """

  def __init__(
    self,
    policy: adapted_policy.AdaptedPolicy,
    is_fixed: bool = False,
    deterministic: bool = False,
  ):
    """Wraps a policy.

    Args:
      policy: The policy, which samples its actions.
      is_fixed: Whether it always acts with its initial parameters and has no
        state.
      deterministic: Whether it acts by the modes of the distributions.
    """
    super().__init__(
      policy.time_step_spec,
      policy.action_spec,
      policy_state_spec=() if is_fixed else policy.policy_state_spec,
      info_spec=policy.info_spec,
      clip=False,
      automatic_state_reset=False,
    )
    evaluate = _evaluate_fn(policy, self.policy_state_spec)
    # A SavedModel contains all objects that it can reach. Closures hide the
    # networks' layers: only their variables are needed.
    self._wrapped = lambda: policy
    self._evaluate = lambda *arguments: evaluate(*arguments)
    self._wrapped_variables = policy.variables()
    self._is_fixed = is_fixed
    self._deterministic = deterministic

  def step(self, time_step: ts.TimeStep, policy_state: tuple) -> ServedStep:
    """Evaluates the network once.

    Args:
      time_step: A `TimeStep`, leaves [N, ...].
      policy_state: The parameters, leaves [B, ...]; () for a fixed policy.

    Returns:
      A `ServedStep`.
    """
    # With seeds of 0, the operation chooses its own at its first run.
    seed = tf.raw_ops.RandomUniformInt(
      shape=[2],
      minval=tf.constant(0, tf.int64),
      maxval=tf.int64.max,
      seed=0,
      seed2=0,
    )
    return self._evaluate(time_step, policy_state, seed)

  def deterministic_action(
    self, time_step: ts.TimeStep, policy_state: tuple
  ) -> policy_step.PolicyStep:
    """Returns the most probable actions; the arguments are those of `step`.

    Raises:
      NotImplementedError: The distributions have no mode.
    """
    # The sample is not used: any seed will do.
    seed = tf.zeros([2], tf.int64)
    mode = self._evaluate(time_step, policy_state, seed).mode
    if mode is None:
      raise NotImplementedError('the distributions have no mode')
    return policy_step.PolicyStep(mode, policy_state)

  def _variables(self):
    return self._wrapped_variables

  def _get_initial_state(self, batch_size):
    if self._is_fixed:
      return ()
    return self._wrapped().get_initial_state(batch_size)

  def _distribution(self, time_step, policy_state):
    # Clients without TFP cannot load functions that return its distributions.
    raise NotImplementedError('the model gives parameters as policy_info')

  def _action(self, time_step, policy_state, seed=None):
    if self._deterministic:
      return self.deterministic_action(time_step, policy_state)
    if seed is None:
      step = self.step(time_step, policy_state)
    else:
      step = self._evaluate(time_step, policy_state, seed)
    return policy_step.PolicyStep(step.action, policy_state, step.info)


def _evaluate_fn(policy, policy_state_spec):
  """Traces (time step, policy state, seed) -> `ServedStep`."""

  @tf.function(
    input_signature=(
      batched(policy.time_step_spec),
      batched(policy_state_spec),
      tf.TensorSpec([2], tf.int64),
    ),
    autograph=False,
  )
  def evaluate(time_step, policy_state, seed):
    policy_state = policy_state or policy.get_initial_state(1)
    step = policy.distribution_step(time_step, policy_state)
    noise = policy.distributions.random_noise(
      tf.shape(time_step.step_type)[0], None, seed
    )
    try:
      mode = action_distributions.mode(step.action)
    except NotImplementedError:
      mode = None
    return ServedStep(
      policy.distributions.sample(step.action, noise), mode, step.info
    )

  # Saving would trace a function again unless it is concrete.
  return evaluate.get_concrete_function()


def batched(
  spec: types.NestedTensorSpec, num_axes: int = 1
) -> types.NestedTensorSpec:
  """Returns specs without names and with leading axes of unknown size."""
  return tf.nest.map_structure(
    lambda s: tf.TensorSpec([None] * num_axes + s.shape, s.dtype), spec
  )
