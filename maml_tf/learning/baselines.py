"""Baselines, which predict the return, and the loss of a value network."""

from typing import Protocol

import gin
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import checks
from maml_tf.core import meta_batch
from maml_tf.learning import surrogates


class Baseline(Protocol):
  """Predicts the return from a frame on."""

  def fit_predict(
    self,
    observation: types.NestedTensor,
    position: types.Tensor,
    returns: types.Tensor,
    mask: types.Tensor,
  ) -> types.Tensor:
    """Fits the returns of each task's valid frames and predicts every frame's.

    Args:
      observation: A nest of tensors [B, T, ...].
      position: A tensor [B, T]: steps since the episode's beginning.
      returns: A tensor [B, T]: discounted return from the frame on.
      mask: A tensor [B, T]: 1 where the frame is valid.

    Returns:
      Values, [B, T].
    """


@gin.configurable
class LinearFeatureBaseline:
  """Ridge regression on clipped observations, their squares and powers of time.

  The features of rllab, MAML and ProMP: o, o^2, t/100, (t/100)^2, (t/100)^3, 1
  with o the observation clipped to [-10, 10], refitted for every task and
  stage. It solves in float64, where the relative ridge keeps the normal
  equations positive definite for all finite data.
  """

  def __init__(self, ridge: float = 1e-5, clip: float = 10.0):
    """Sets the regression.

    Args:
      ridge: Regularisation, relative to the mean square of the features.
      clip: Observations are clipped to [-clip, clip].
    """
    self._ridge = checks.number('ridge', ridge, above=0)
    self._clip = checks.number('clip', clip, above=0)

  def fit_predict(self, observation, position, returns, mask):
    features = self._features(observation, position)
    weights = tf.cast(mask, tf.float64)[..., tf.newaxis]
    gram = tf.matmul(features * weights, features, transpose_a=True)
    moment = tf.matmul(
      features * weights,
      tf.cast(returns, tf.float64)[..., tf.newaxis],
      transpose_a=True,
    )
    size = gram.shape[-1]
    scale = self._ridge * tf.linalg.trace(gram) / size + 1e-12
    gram += scale[:, tf.newaxis, tf.newaxis] * tf.eye(size, dtype=tf.float64)
    coefficients = tf.linalg.cholesky_solve(tf.linalg.cholesky(gram), moment)
    values = tf.matmul(features, coefficients)[..., 0]
    return tf.cast(values, returns.dtype)

  def _features(self, observation, position):
    frames = tf.shape(position)
    parts = [
      tf.reshape(
        tf.cast(o, tf.float64),
        [frames[0], frames[1], o.shape[2:].num_elements()],
      )
      for o in tf.nest.flatten(observation)
    ]
    clipped = tf.clip_by_value(tf.concat(parts, -1), -self._clip, self._clip)
    time = tf.cast(position, tf.float64)[..., tf.newaxis] / 100.0
    return tf.concat(
      [clipped, clipped**2, time, time**2, time**3, tf.ones_like(time)], -1
    )


@gin.configurable
class NoBaseline:
  """Predicts zero: advantages are returns."""

  def fit_predict(self, observation, position, returns, mask):
    return tf.zeros_like(returns)


class GivenValues:
  """Predicts values that a value network gave."""

  def __init__(self, values: types.Tensor):
    """Takes the values, [B, T]."""
    self._values = values

  def fit_predict(self, observation, position, returns, mask):
    return self._values


@gin.configurable
class ValueLoss:
  """Coefficient * mean of max((V - R)^2, (V_0 + clip(V - V_0, -c, c) - R)^2).

  RLlib's and PPO's value loss, R being the value target and V_0 the value that
  the advantages were computed with.
  """

  def __init__(self, coefficient: float = 0.5, clip: float = 10.0):
    """Sets the loss.

    Args:
      coefficient: Its weight.
      clip: c, in units of the return.

    Raises:
      ValueError: A number is out of range.
    """
    self._coefficient = checks.number('coefficient', coefficient, minimum=0)
    self._clip = checks.number('clip', clip, above=0)

  def __call__(
    self, value: types.Tensor, stage: meta_batch.Stage
  ) -> types.Tensor:
    """Computes the loss of one task's stage.

    Args:
      value: A tensor [T]: V, differentiable.
      stage: A `Stage`, leaves [T, ...].

    Returns:
      A scalar.
    """
    change = tf.clip_by_value(value - stage.value, -self._clip, self._clip)
    square = (value - stage.value_target) ** 2
    clipped = (stage.value + change - stage.value_target) ** 2
    worse = tf.maximum(square, clipped)
    return self._coefficient * surrogates.masked_mean(worse, stage.mask)
