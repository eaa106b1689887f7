"""A Gaussian policy whose mean is linear in the observation, in any dtype."""

import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.networks import network


class LinearGaussianNetwork(network.DistributionNetwork):
  """N(o W + b, exp(log_std)), with fixed initial values."""

  def __init__(self, observation_spec, action_spec, name='LinearGaussian'):
    super().__init__(
      input_tensor_spec=observation_spec,
      state_spec=(),
      output_spec=None,
      name=name,
    )
    observation_size, action_size = (
      observation_spec.shape[0],
      action_spec.shape[0],
    )
    numbers = tf.range(observation_size * action_size, dtype=tf.float64)
    # W = [[0.3, -0.2, ...]], alternating in sign.
    signs = 1 - 2 * (numbers % 2)
    self._kernel = self._variable(
      tf.reshape(
        signs * (0.3 - 0.1 * numbers), [observation_size, action_size]
      ),
      action_spec.dtype,
      'kernel',
    )
    self._bias = self._variable(
      tf.fill([action_size], 0.1), action_spec.dtype, 'bias'
    )
    self._log_std = self._variable(
      tf.fill([action_size], -0.2), action_spec.dtype, 'log_std'
    )

  def _variable(self, value, dtype, name):
    return tf.Variable(tf.cast(value, dtype), name=name)

  def call(self, observation, step_type=None, network_state=(), training=False):
    mean = tf.matmul(observation, self._kernel) + self._bias
    distribution = tfp.distributions.MultivariateNormalDiag(
      mean, tf.exp(self._log_std) * tf.ones_like(mean)
    )
    return distribution, network_state
