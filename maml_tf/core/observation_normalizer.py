"""Observations normalised to mean 0 and deviation 1 by running statistics."""

import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import checks
from maml_tf.core import devices
from maml_tf.core import exact_sums
from maml_tf.core import replicas

_MAX_ABSOLUTE = 10.0
_EPSILON = 1e-6
# The weight of the initial statistics, in frames.
_INITIAL_COUNT = 1e-8


class ObservationNormalizer(tf.Module):
  """Normalises observations by the mean and variance of all seen so far.

      normalized = clip((o - mean) / sqrt(variance + 1e-6), -10, 10)

  This is RLlib's `MeanStdFilter`. The statistics start at mean 0 and variance
  1. They change only in `update`, after the agent has learned from a
  meta-batch. So all stages of a meta-batch are collected and learned from with
  the same statistics. Parts of integer types, such as pictures and choices, are
  not normalised: networks scale them by their bounds.
  """

  def __init__(
    self, observation_spec: types.NestedTensorSpec, name: str | None = None
  ):
    """Creates the statistics.

    Args:
      observation_spec: A nest of `TensorSpec` without a batch axis.
      name: The name of the module.
    """
    super().__init__(name=name)
    self._spec = observation_spec
    self._count = _variable(_INITIAL_COUNT, 'count')
    self._mean = [_variable(tf.zeros(s.shape), 'mean') for s in self._floats]
    self._variance = [
      _variable(tf.ones(s.shape), 'variance') for s in self._floats
    ]

  @property
  def _floats(self):
    return [s for s in tf.nest.flatten(self._spec) if s.dtype.is_floating]

  @property
  def variables_tuple(self) -> tuple[tf.Variable, ...]:
    """The statistics' variables."""
    return (self._count, *self._mean, *self._variance)

  def statistics(self) -> tuple[tuple[types.Tensor, types.Tensor], ...]:
    """Returns the mean and the variance of every floating-point observation."""
    return tuple(
      (tf.convert_to_tensor(mean), tf.convert_to_tensor(variance))
      for mean, variance in zip(self._mean, self._variance)
    )

  def normalize(
    self,
    observation: types.NestedTensor,
    statistics: tuple[tuple[types.Tensor, types.Tensor], ...] | None = None,
  ) -> types.NestedTensor:
    """Normalises observations.

    Args:
      observation: A nest of tensors with any outer axes.
      statistics: A result of `statistics`; by default the current statistics.
        Functions that XLA compiles for several replicas must pass them, since
        they cannot read variables.

    Returns:
      A nest like `observation`.
    """
    remaining = iter(statistics or self.statistics())

    def leaf(tensor):
      if not tensor.dtype.is_floating:
        return tensor
      mean, variance = (tf.cast(s, tensor.dtype) for s in next(remaining))
      normalized = (tensor - mean) * tf.math.rsqrt(variance + _EPSILON)
      return tf.clip_by_value(normalized, -_MAX_ABSOLUTE, _MAX_ABSOLUTE)

    return tf.nest.map_structure(leaf, observation)

  def update(self, observation: types.NestedTensor, mask: types.Tensor) -> None:
    """Adds the observations of all replicas to the statistics.

    Args:
      observation: A nest of tensors [B, T, ...] before normalisation.
      mask: A tensor [B, T]: 1 on frames to add, 0 on others.
    """
    floats = [o for o in tf.nest.flatten(observation) if o.dtype.is_floating]
    if not devices.has_float64():
      self._update_in_float32(floats, mask)
      return
    # In float64, the division of tasks over replicas does not affect the
    # result.
    mask = tf.cast(mask, tf.float64)
    sums = tuple(
      _sums(tf.cast(o, tf.float64) - tf.cast(mean, tf.float64), mask)
      for o, mean in zip(floats, self._mean)
    )
    count, sums = replicas.total((tf.reduce_sum(mask), sums))
    before = tf.cast(self._count, tf.float64)
    total = before + count
    for mean, variance, (first, second) in zip(
      self._mean, self._variance, sums
    ):
      shift = first / total
      mean_square = (before * tf.cast(variance, tf.float64) + second) / total
      variance.assign(
        tf.cast(tf.maximum(mean_square - shift**2, 0.0), tf.float32)
      )
      mean.assign_add(tf.cast(shift, tf.float32))
    self._count.assign(tf.cast(total, tf.float32))

  def _update_in_float32(self, floats, mask):
    """Does what `update` does, in two passes: no square sums are subtracted.

    With n frames before and m new ones, whose mean lies d from the old mean and
    whose squared deviations from their own mean add up to s, the new variance
    is (n * variance + s + d^2 * n m / (n + m)) / (n + m).
    """
    mask = tf.cast(mask, tf.float32)
    count = replicas.total(exact_sums.total(mask, 2))
    before = tf.identity(self._count)
    total = before + count
    for observation, mean, variance in zip(floats, self._mean, self._variance):
      weights = mask[(..., *[tf.newaxis] * mean.shape.rank)]
      deviation = tf.cast(observation, tf.float32) - mean
      deviation = tf.where(weights > 0, deviation, tf.zeros_like(deviation))
      first = replicas.total(exact_sums.total(deviation, 2))
      shift = first / tf.maximum(count, 1.0)
      second = replicas.total(
        exact_sums.total(weights * (deviation - shift) ** 2, 2)
      )
      between = shift**2 * (before / total) * count
      variance.assign((before * variance + second + between) / total)
      mean.assign_add(shift * (count / total))
    self._count.assign(total)


def create(
  observation_spec: types.NestedTensorSpec, normalize_observations: bool
) -> ObservationNormalizer | None:
  """Returns a normaliser; None if an agent does not normalise observations.

  Raises:
    ValueError: `normalize_observations` is not a bool.
  """
  checks.boolean('normalize_observations', normalize_observations)
  if not normalize_observations:
    return None
  return ObservationNormalizer(observation_spec)


def _variable(value, name):
  return tf.Variable(
    value,
    trainable=False,
    aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    name=name,
  )


def _sums(deviation, mask):
  """Sums a tensor [B, T, ...] and its squares over the frames of a mask."""
  mask = mask[(..., *[tf.newaxis] * (deviation.shape.rank - 2))]
  deviation = tf.where(mask > 0, deviation, tf.zeros_like(deviation))
  return tf.reduce_sum(deviation, [0, 1]), tf.reduce_sum(deviation**2, [0, 1])
