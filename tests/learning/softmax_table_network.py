"""A policy whose logits are a table: one row a state, one column an action."""

import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.networks import network


class SoftmaxTableNetwork(network.DistributionNetwork):
  """A softmax over the row of the state that a one-hot observation names."""

  def __init__(self, observation_spec, table):
    """The table holds the initial logits, an array [S, A]."""
    super().__init__(
      input_tensor_spec=observation_spec,
      state_spec=(),
      output_spec=None,
      name='SoftmaxTable',
    )
    self._table = tf.Variable(table, dtype=observation_spec.dtype, name='table')

  def call(self, observation, step_type=None, network_state=(), training=False):
    logits = tf.matmul(observation, self._table)
    return tfp.distributions.Categorical(logits=logits), network_state
