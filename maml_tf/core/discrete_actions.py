"""A Categorical over the integers of a spec, whose bounds may be any."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.distributions import shifted_categorical
from tf_agents.typing import types

tfd = tfp.distributions

# The logit of a padded choice. Its probability is exactly 0, so it has no part
# in entropies, divergences and gradients, and all of them stay finite.
_IMPOSSIBLE = -1e9


class BoundedCategorical(tfd.Categorical):
  """Integers between bounds, which may differ from dimension to dimension.

      P(a) = softmax(logits)[a - minimum],  minimum <= a <= maximum

  A dimension with fewer choices than the largest one ignores its last logits.
  Values outside the bounds count as the nearest bound: frames on boundaries
  hold zeros.
  """

  def __init__(
    self,
    logits: types.Tensor,
    minimum: np.ndarray,
    maximum: np.ndarray,
    dtype: tf.DType = tf.int32,
    validate_args: bool = False,
    allow_nan_stats: bool = True,
    name: str = 'BoundedCategorical',
  ):
    """Creates the distribution.

    Args:
      logits: A tensor [..., A, K], or [..., K] for a single integer. K is the
        largest number of choices of a dimension.
      minimum: An integer array [A], or []: the smallest values.
      maximum: An integer array like `minimum`: the largest values.
      dtype: The type of the values, an integer type.
      validate_args: As in `tfd.Categorical`.
      allow_nan_stats: As in `tfd.Categorical`.
      name: The name of the distribution.
    """
    parameters = {
      'logits': logits,
      'minimum': minimum,
      'maximum': maximum,
      'dtype': dtype,
      'validate_args': validate_args,
      'allow_nan_stats': allow_nan_stats,
      'name': name,
    }
    self._first = np.asarray(minimum, np.int64)
    self._last_index = np.asarray(maximum, np.int64) - self._first
    super().__init__(
      logits=logits,
      dtype=dtype,
      validate_args=validate_args,
      allow_nan_stats=allow_nan_stats,
      name=name,
    )
    self._parameters = self._no_dependency(parameters)
    self._choices = tfd.Categorical(
      logits=_without_padding(self.logits, self._last_index), dtype=tf.int64
    )

  @classmethod
  def _parameter_properties(cls, dtype, num_classes=None):
    return {'logits': tfp.util.ParameterProperties(event_ndims=1)}

  def value_of(self, index: types.Tensor) -> types.Tensor:
    """Returns the values of choices, which count from 0 in each dimension."""
    return tf.cast(tf.cast(index, tf.int64) + self._first, self.dtype)

  def _logits_parameter_no_checks(self):
    return self._choices.logits

  def _probs_parameter_no_checks(self):
    return self._choices.probs_parameter()

  def _log_prob(self, value):
    index = tf.clip_by_value(self._index(value), 0, self._last_index)
    return self._choices.log_prob(index)

  def _cdf(self, value):
    return self._choices.cdf(self._index(value))

  def _entropy(self):
    return self._choices.entropy()

  def _mode(self):
    return self.value_of(self._choices.mode())

  def _sample_n(self, n, seed=None):
    return self.value_of(self._choices.sample(n, seed=seed))

  def _index(self, value):
    return tf.cast(value, tf.int64) - self._first


def sample(distribution: tfd.Categorical, noise: types.Tensor) -> types.Tensor:
  """Samples integers from Gumbel noise.

  Args:
    distribution: A Categorical of any kind, batch shape [...].
    noise: A tensor [..., K], where K is the number of logits.

  Returns:
    A tensor [...] of the distribution's type.
  """
  logits = distribution.logits_parameter()
  noisy = logits + tf.cast(noise, logits.dtype)
  if isinstance(distribution, BoundedCategorical):
    return distribution.value_of(tf.argmax(noisy, -1))
  index = tf.argmax(noisy, -1, distribution.dtype)
  if isinstance(distribution, shifted_categorical.ShiftedCategorical):
    return index + tf.cast(distribution.shift, index.dtype)
  return index


def log_prob(
  distribution: tfd.Distribution, value: types.Tensor
) -> types.Tensor:
  """Returns log-probabilities, finite on boundaries, whose actions are zeros.

  Args:
    distribution: A distribution of any family, batch shape [...].
    value: A tensor [...].

  Returns:
    A tensor [...].
  """
  if isinstance(distribution, shifted_categorical.ShiftedCategorical):
    last_index = distribution.logits_parameter().shape[-1] - 1
    first = tf.cast(distribution.shift, value.dtype)
    value = tf.clip_by_value(value, first, first + last_index)
  return distribution.log_prob(value)


def _without_padding(logits, last_index):
  """Makes the choices impossible that a dimension does not have."""
  choices = np.arange(logits.shape[-1])
  has_choice = choices <= last_index[..., np.newaxis]
  if has_choice.all():
    return logits
  return tf.where(has_choice, logits, tf.constant(_IMPOSSIBLE, logits.dtype))
