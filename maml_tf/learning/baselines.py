"""Baselines, which predict returns, and the loss of a value network."""

import functools
import itertools
import math
from typing import NamedTuple
from typing import Protocol

import gin
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import checks
from maml_tf.core import memory
from maml_tf.core import meta_batch
from maml_tf.learning import ridge_regression
from maml_tf.learning import surrogates


class Baseline(Protocol):
  """Predicts the discounted return that follows each frame.

  A truncated episode bootstraps from the prediction for its LAST frame.
  """

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


# Up to so many features the primal is solved, however few frames there are: it
# needs 8 MB, and runs of older versions keep their bits.
_MAX_PRIMAL_FEATURES = 1024
# The dual reads so many numbers of a frame at a time, which bounds its memory.
_BLOCK = 4096


# Gin files may select it by the module that it had; so below.
@gin.configurable(module='maml_tf.learning.advantages')
class LinearFeatureBaseline:
  """Ridge regression on clipped observations, their squares and powers of time.

  The features are those of rllab, MAML and ProMP: o, o^2, t/100, (t/100)^2,
  (t/100)^3, 1, where o is the observation clipped to [-10, 10]. Pictures, of
  uint8 [H, W, C], are first divided by 255. The regression is fitted anew for
  every task and stage. It is solved in float64: there the relative ridge keeps
  the normal equations positive definite for all finite data. A TPU has no
  float64: there `ridge_regression` solves without the normal equations.

  With X the features [T, F] of the valid frames, y their returns and r the
  ridge, the values are

      X (X'X + r I)^-1 X'y = XX' (XX' + r I)^-1 y

  The left side solves F equations, the right side T equations. The right side
  is computed if there are more features than frames, as with pictures.

  The returns end at a time limit. So the fit knows nothing of rewards behind
  it, and what it predicts for a LAST frame is noise around 0. `zero_at_end`
  replaces it by 0, and truncated episodes do not bootstrap, as in rllab, MAML
  and ProMP. On point navigation with lambda 1 the signal-to-noise ratio of the
  policy gradient was 2.73 with it and 2.35 without, with lambda 0.9 it was 3.10
  and 3.04.
  """

  def __init__(
    self, ridge: float = 1e-5, clip: float = 10.0, zero_at_end: bool = False
  ):
    """Stores the settings.

    Args:
      ridge: Regularisation, relative to the mean square of the features.
      clip: Observations are clipped to [-clip, clip].
      zero_at_end: Whether the value of LAST frames is 0. False: it is the fit's
        prediction, as in older versions.

    Raises:
      ValueError: A number is not positive.
    """
    self._ridge = checks.number('ridge', ridge, above=0)
    self._clip = checks.number('clip', clip, above=0)
    self._zero_at_end = checks.boolean('zero_at_end', zero_at_end)

  def fit_predict(self, observation, position, returns, mask):
    parts = _flat_parts(observation)
    num_features = _num_features(parts)
    _check_size(num_features, position.shape[1])
    arguments = (
      parts,
      _powers_of_time(position),
      tf.cast(returns, ridge_regression.dtype())[..., tf.newaxis],
      tf.cast(mask, ridge_regression.dtype())[..., tf.newaxis],
    )
    if num_features <= _MAX_PRIMAL_FEATURES:
      values = self._primal(*arguments)
    elif position.shape[1] is not None:
      is_dual = num_features > position.shape[1]
      solve = self._dual if is_dual else self._primal
      values = solve(*arguments)
    else:
      values = tf.cond(
        num_features > tf.shape(position)[1],
        lambda: self._dual(*arguments),
        lambda: self._primal(*arguments),
      )
    values = tf.cast(values, returns.dtype)
    if self._zero_at_end:
      # The frames that are not valid are LAST frames.
      values = tf.where(mask > 0, values, tf.zeros_like(values))
    return values

  def _primal(self, parts, time, returns, weights):
    observation = tf.concat([self._clipped(part) for part in parts], -1)
    features = tf.concat([*self._features(observation), time], -1)
    values = ridge_regression.fit_predict(
      features, returns, weights, self._ridge
    )
    return values[..., 0]

  def _features(self, observation):
    """Returns the features of clipped observations, tensors [B, T, ...]."""
    return [observation, observation**2]

  def _dual(self, parts, time, returns, weights):
    kernel = tf.matmul(time, time, transpose_b=True)
    for part in parts:
      for start in range(0, part.numbers.shape[-1], _BLOCK):
        block = part.numbers[..., start : start + _BLOCK]
        block = self._clipped(part._replace(numbers=block))
        kernel += tf.matmul(block, block, transpose_b=True)
        kernel += tf.matmul(block**2, block**2, transpose_b=True)
    valid = kernel * weights * tf.linalg.matrix_transpose(weights)
    coefficients = ridge_regression.solve(
      valid, _num_features(parts), returns * weights, self._ridge
    )
    return tf.matmul(kernel, coefficients * weights)[..., 0]

  def _clipped(self, part):
    numbers = tf.cast(part.numbers, ridge_regression.dtype()) / part.unit
    return tf.clip_by_value(numbers, -self._clip, self._clip)


class _Part(NamedTuple):
  """A part of the observations.

  Attributes:
    numbers: A tensor [B, T, numbers] of any type.
    unit: The number that becomes 1.
  """

  numbers: types.Tensor
  unit: float


def _flat_parts(observation):
  """Returns the `_Part`s of observations [B, T, ...]."""
  parts = []
  for part in tf.nest.flatten(observation):
    frames = tf.shape(part)
    size = part.shape[2:].num_elements()
    is_picture = part.dtype == tf.uint8 and part.shape.rank == 5
    parts.append(
      _Part(
        tf.reshape(part, [frames[0], frames[1], size]),
        255.0 if is_picture else 1.0,
      )
    )
  return parts


def _check_size(num_features, num_frames):
  """Raises ValueError if there are too many equations; T may be None."""
  equations = min(num_features, num_frames or 0)
  memory.check(
    f'the equations of LinearFeatureBaseline, with {num_features} features and'
    f' {num_frames} frames a task,',
    # Two float64 matrices.
    16 * equations**2,
    'give fewer frames (episodes_per_task * horizon), or another baseline, such'
    ' as NoBaseline, or a value network',
  )


def _num_features(parts):
  return 2 * sum(part.numbers.shape[-1] for part in parts) + 4


def _powers_of_time(position):
  """Returns the features [B, T, 4] that do not depend on the observation."""
  time = tf.cast(position, ridge_regression.dtype())[..., tf.newaxis] / 100.0
  return tf.concat([time, time**2, time**3, tf.ones_like(time)], -1)


@gin.configurable
class PolynomialFeatureBaseline(LinearFeatureBaseline):
  """Ridge regression on all monomials of the observation, and powers of time.

  The features are those of `LinearFeatureBaseline`, and products of different
  parts of the observation: o_1 o_2, o_1^2 o_2, and so on. They suit small
  observations, of a few numbers. There are (O + d)! / (O! d!) - 1 monomials up
  to degree d, which should be far fewer than a task's frames.
  """

  def __init__(
    self,
    degree: int = 4,
    ridge: float = 1e-5,
    clip: float = 10.0,
    zero_at_end: bool = False,
  ):
    """Stores the settings.

    Args:
      degree: d, the largest degree.
      ridge: See `LinearFeatureBaseline`.
      clip: See `LinearFeatureBaseline`.
      zero_at_end: See `LinearFeatureBaseline`.

    Raises:
      ValueError: A number is out of range.
    """
    super().__init__(ridge, clip, zero_at_end)
    self._degree = checks.integer('degree', degree, 1, 10)

  def fit_predict(self, observation, position, returns, mask):
    size = sum(p.shape[2:].num_elements() for p in tf.nest.flatten(observation))
    num_monomials = math.comb(size + self._degree, self._degree) - 1
    if num_monomials > _MAX_PRIMAL_FEATURES:
      raise ValueError(
        f'PolynomialFeatureBaseline has {num_monomials} features for an'
        f' observation of {size} numbers: lower its degree of {self._degree},'
        ' or use LinearFeatureBaseline'
      )
    return super().fit_predict(observation, position, returns, mask)

  def _features(self, observation):
    parts = tf.unstack(observation, axis=-1)
    monomials = [
      functools.reduce(tf.multiply, factors)
      for d in range(1, self._degree + 1)
      for factors in itertools.combinations_with_replacement(parts, d)
    ]
    return [tf.stack(monomials, axis=-1)]


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
