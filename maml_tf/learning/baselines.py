"""Baselines, which predict returns, and the loss of a value network."""

import functools
import itertools
from typing import Protocol

import gin
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import checks
from maml_tf.core import meta_batch
from maml_tf.learning import surrogates


class Baseline(Protocol):
  """Predicts the discounted return that follows each frame."""

  def fit_predict(
    self,
    observation: types.NestedTensor,
    position: types.Tensor,
    returns: types.Tensor,
    mask: types.Tensor,
  ) -> types.Tensor:
    """Fits each task's returns on its valid frames, then predicts all frames.

    Args:
      observation: A nest of tensors [B, T, ...].
      position: An int32 tensor [B, T]: steps since the start of the episode.
      returns: A tensor [B, T]: the discounted return that follows the frame.
      mask: A tensor [B, T]: 1 on valid frames, 0 elsewhere.

    Returns:
      The predicted returns, a tensor [B, T].
    """


# Gin files may select it by the module that it had; so below.
@gin.configurable(module='maml_tf.learning.advantages')
class LinearFeatureBaseline:
  """Ridge regression on clipped observations, their squares and powers of time.

  The features are those of rllab, MAML and ProMP: o, o^2, t/100, (t/100)^2,
  (t/100)^3, 1, where o is the observation clipped to [-10, 10]. The regression
  is fitted anew for every task and stage. It is solved in float64: there the
  relative ridge keeps the normal equations positive definite for all finite
  data.
  """

  def __init__(self, ridge: float = 1e-5, clip: float = 10.0):
    """Stores the settings.

    Args:
      ridge: Regularisation, relative to the mean square of the features.
      clip: Observations are clipped to [-clip, clip].

    Raises:
      ValueError: A number is not positive.
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
    clipped = self._clipped(observation, position)
    return self._with_time([clipped, clipped**2], position)

  def _clipped(self, observation, position):
    """Returns the parts of the observation, joined, float64 [B, T, O]."""
    frames = tf.shape(position)
    parts = [
      tf.reshape(
        tf.cast(o, tf.float64),
        [frames[0], frames[1], o.shape[2:].num_elements()],
      )
      for o in tf.nest.flatten(observation)
    ]
    return tf.clip_by_value(tf.concat(parts, -1), -self._clip, self._clip)

  def _with_time(self, features, position):
    time = tf.cast(position, tf.float64)[..., tf.newaxis] / 100.0
    return tf.concat(
      [*features, time, time**2, time**3, tf.ones_like(time)], -1
    )


@gin.configurable
class PolynomialFeatureBaseline(LinearFeatureBaseline):
  """Ridge regression on all monomials of the observation, and powers of time.

  The features are those of `LinearFeatureBaseline`, and products of different
  parts of the observation: o_1 o_2, o_1^2 o_2, and so on. They suit small
  observations, of a few numbers. There are (O + d)! / (O! d!) - 1 monomials up
  to degree d, which should be far fewer than a task's frames.
  """

  def __init__(self, degree: int = 4, ridge: float = 1e-5, clip: float = 10.0):
    """Stores the settings.

    Args:
      degree: d, the largest degree.
      ridge: See `LinearFeatureBaseline`.
      clip: See `LinearFeatureBaseline`.

    Raises:
      ValueError: A number is out of range.
    """
    super().__init__(ridge, clip)
    self._degree = checks.integer('degree', degree, 1, 10)

  def _features(self, observation, position):
    parts = tf.unstack(self._clipped(observation, position), axis=-1)
    monomials = [
      functools.reduce(tf.multiply, factors)
      for d in range(1, self._degree + 1)
      for factors in itertools.combinations_with_replacement(parts, d)
    ]
    return self._with_time([tf.stack(monomials, axis=-1)], position)


@gin.configurable(module='maml_tf.learning.advantages')
class NoBaseline:
  """Predicts zero: the advantages are the returns."""

  def fit_predict(self, observation, position, returns, mask):
    return tf.zeros_like(returns)


class GivenValues:
  """Predicts the given values, which a value network has computed."""

  def __init__(self, values: types.Tensor):
    """Stores the values, a tensor [B, T]."""
    self._values = values

  def fit_predict(self, observation, position, returns, mask):
    return self._values


@gin.configurable(module='maml_tf.learning.advantages')
class ValueLoss:
  """Coefficient * mean of max((V - R)^2, (V_0 + clip(V - V_0, -c, c) - R)^2).

  This is the value loss of RLlib and PPO. R is the value target, and V_0 is the
  value that the advantages were computed from.
  """

  def __init__(self, coefficient: float = 0.5, clip: float = 10.0):
    """Stores the settings.

    Args:
      coefficient: The weight of the loss.
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
      value: A differentiable tensor [T]: V, in units of the return.
      stage: A `Stage`, leaves [T, ...].

    Returns:
      The loss, a scalar.
    """
    change = tf.clip_by_value(value - stage.value, -self._clip, self._clip)
    square = (value - stage.value_target) ** 2
    clipped = (stage.value + change - stage.value_target) ** 2
    worse = tf.maximum(square, clipped)
    return self._coefficient * surrogates.masked_mean(worse, stage.mask)
