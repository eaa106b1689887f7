"""A policy as a SavedModel holds it."""

import tensorflow as tf
from tf_agents.policies import tf_policy

from maml_tf.collection import adapted_policy


class ServedPolicy(tf_policy.TFPolicy):
  """An `AdaptedPolicy` whose noise is new in every process that loads it.

  A saved `tf.random.Generator` would go on from the same state wherever the
  model is loaded, and give several actors the same noise.
  """

  def __init__(
    self, policy: adapted_policy.AdaptedPolicy, is_fixed: bool = False
  ):
    """Wraps a policy.

    Args:
      policy: The policy.
      is_fixed: Whether it always acts with its initial parameters, and so has
        no state.
    """
    super().__init__(
      policy.time_step_spec,
      policy.action_spec,
      policy_state_spec=() if is_fixed else policy.policy_state_spec,
      info_spec=policy.info_spec,
      clip=False,
      automatic_state_reset=False,
    )
    # A model saves what it can reach: the networks' layers are hidden in a
    # function, of them the variables are enough.
    self._wrapped = lambda: policy
    self._wrapped_variables = policy.variables()
    self._is_fixed = is_fixed

  def _variables(self):
    return self._wrapped_variables

  def _get_initial_state(self, batch_size):
    if self._is_fixed:
      return ()
    return self._wrapped().get_initial_state(batch_size)

  def _distribution(self, time_step, policy_state):
    # TensorFlow alone cannot load functions that return TFP's distributions.
    raise NotImplementedError('the model gives parameters as policy_info')

  def _action(self, time_step, policy_state, seed=None):
    if seed is None:
      # Seeds of 0: the operation takes its own when it is first run.
      seed = tf.raw_ops.RandomUniformInt(
        shape=[2],
        minval=tf.constant(0, tf.int64),
        maxval=tf.int64.max,
        seed=0,
        seed2=0,
      )
    step = self._wrapped().action(time_step, policy_state, seed)
    return step._replace(state=policy_state)
