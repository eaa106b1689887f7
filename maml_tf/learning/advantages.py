"""Advantages: returns, GAE and standardisation, task by task.

All functions work on frames [B, T], which hold episodes end to end. Nothing
crosses a boundary. Generalised advantage estimation: arXiv:1506.02438.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.typing import types

from maml_tf.core import meta_batch
from maml_tf.learning import baselines
from maml_tf.learning import scans

# Names of version 0.1.0.
Baseline = baselines.Baseline
GivenValues = baselines.GivenValues
LinearFeatureBaseline = baselines.LinearFeatureBaseline
NoBaseline = baselines.NoBaseline
ValueLoss = baselines.ValueLoss


def generalized_advantages(
  rewards: types.Tensor,
  discounts: types.Tensor,
  next_step_type: types.Tensor,
  values: types.Tensor,
  mask: types.Tensor,
  gae_lambda: float,
) -> types.Tensor:
  """Computes A_t = delta_t + gamma * lambda * A_{t+1} within each episode.

  delta_t = r_t + d_t * V(o_{t+1}) - V(o_t). At the end of a terminated episode
  d_t = 0. A truncated episode bootstraps from the value of its LAST frame,
  which holds the final observation. Baselines with `zero_at_end` have the value
  0 there.

  Args:
    rewards: A tensor [B, T]: the reward that follows the frame's action.
    discounts: A tensor [B, T]: gamma; 0 where the episode terminates.
    next_step_type: An int32 tensor [B, T].
    values: A tensor [B, T]: V of every frame, including LAST frames.
    mask: A tensor [B, T]: 1 on transitions, 0 on boundaries.
    gae_lambda: lambda in [0, 1].

  Returns:
    The advantages, a tensor [B, T] in units of the return; 0 on boundaries.
  """
  next_values = tf.concat([values[:, 1:], tf.zeros_like(values[:, :1])], 1)
  deltas = (rewards + discounts * next_values - values) * mask
  decays = _within_episode(discounts, next_step_type, mask) * gae_lambda
  return _discounted_sums(deltas, decays)


def discounted_returns(
  rewards: types.Tensor,
  discounts: types.Tensor,
  next_step_type: types.Tensor,
  mask: types.Tensor,
) -> types.Tensor:
  """Computes R_t = sum_k gamma^k r_{t+k} to the end of the episode.

  Args:
    rewards: A tensor [B, T]: the reward that follows the frame's action.
    discounts: A tensor [B, T]: gamma; 0 where the episode terminates.
    next_step_type: An int32 tensor [B, T].
    mask: A tensor [B, T]: 1 on transitions, 0 on boundaries.

  Returns:
    The returns, a tensor [B, T]; 0 on boundaries.
  """
  return _discounted_sums(
    rewards * mask, _within_episode(discounts, next_step_type, mask)
  )


def standardize(
  values: types.Tensor, mask: types.Tensor, scale: types.Tensor | None = None
) -> types.Tensor:
  """Gives each task's valid frames mean 0 and standard deviation 1.

  Valid frames that are equal up to rounding give 0. Their deviation is that of
  rounding errors: divided by it, errors would become numbers around 1.

  Args:
    values: A tensor [B, T].
    mask: A tensor [B, T]: 1 on valid frames, 0 elsewhere.
    scale: A tensor [B, T] or None: numbers of which the values are differences,
      and whose rounding errors they have. None: the values' own.

  Returns:
    The standardised values, a tensor [B, T]; 0 on frames that are not valid.
  """
  count = tf.maximum(tf.reduce_sum(mask, 1, keepdims=True), 1.0)
  mean = tf.reduce_sum(values * mask, 1, keepdims=True) / count
  centred = (values - mean) * mask
  variance = tf.reduce_sum(centred**2, 1, keepdims=True) / count
  standardized = centred / (tf.sqrt(variance) + 1e-8)
  is_constant = _is_constant(values, mask, values if scale is None else scale)
  return tf.where(is_constant, tf.zeros_like(values), standardized)


class Estimate(NamedTuple):
  """The result of `estimate`, for one stage.

  Attributes:
    advantage: A tensor [B, T], standardised per task.
    value: A tensor [B, T]: the baseline's prediction, in units of the return.
    value_target: A tensor [B, T]: value plus advantage before standardisation.
    episode_return: A tensor [B]: mean undiscounted return of the episodes.
    baseline_error: A tensor [B]: the baseline's mean squared error.
    policy_gradient_weight: A tensor [B, T]: see `Stage`.
  """

  advantage: types.Tensor
  value: types.Tensor
  value_target: types.Tensor
  episode_return: types.Tensor
  baseline_error: types.Tensor
  policy_gradient_weight: types.Tensor


def estimate(
  experience: trajectory.Trajectory,
  baseline: baselines.Baseline,
  discount: float,
  gae_lambda: float,
) -> Estimate:
  """Computes a stage's advantages.

  Args:
    experience: A `Trajectory`, leaves [B, T, ...].
    baseline: Predicts the returns; it is fitted to each task separately.
    discount: gamma in [0, 1].
    gae_lambda: lambda in [0, 1].

  Returns:
    An `Estimate`.
  """
  mask = meta_batch.valid_mask(experience, experience.reward.dtype)
  # Rewards on boundaries are undefined and may be NaN. 0 * NaN is NaN: select
  # instead of multiplying.
  rewards = tf.where(mask > 0, experience.reward, tf.zeros_like(mask))
  discounts = discount * experience.discount
  returns = discounted_returns(
    rewards, discounts, experience.next_step_type, mask
  )
  position = episode_position(experience.step_type)
  values = baseline.fit_predict(experience.observation, position, returns, mask)
  advantages = generalized_advantages(
    rewards, discounts, experience.next_step_type, values, mask, gae_lambda
  )
  starts = mask * tf.cast(experience.is_first(), mask.dtype)
  return Estimate(
    standardize(advantages, mask, scale=values + advantages),
    values,
    values + advantages,
    _ratio_of_sums(rewards * mask, starts),
    _ratio_of_sums(mask * (values - returns) ** 2, mask),
    advantages * discount ** tf.cast(position, advantages.dtype),
  )


def _is_constant(values, mask, scale):
  """Returns a tensor [B, 1]: whether valid frames differ by rounding alone.

  Two numbers that should be equal differ by a few units in the last place of
  the numbers that they were computed from.
  """
  valid = mask > 0
  top = tf.reduce_max(tf.where(valid, values, values.dtype.min), 1, True)
  bottom = tf.reduce_min(tf.where(valid, values, values.dtype.max), 1, True)
  size = tf.reduce_max(
    tf.where(valid, tf.maximum(abs(values), abs(scale)), 0.0), 1, True
  )
  ulps = 16 * np.finfo(values.dtype.as_numpy_dtype).eps
  # NaN and infinity stay: updates must notice them.
  return (top - bottom <= ulps * size) & tf.math.is_finite(size)


def _ratio_of_sums(numerator, denominator):
  return tf.reduce_sum(numerator, 1) / tf.maximum(
    tf.reduce_sum(denominator, 1), 1.0
  )


def episode_position(step_type: types.Tensor) -> types.Tensor:
  """Counts the steps since the last FIRST frame.

  Args:
    step_type: An int32 tensor [B, T].

  Returns:
    An int32 tensor [B, T]; 0 on FIRST frames.
  """
  index = tf.broadcast_to(tf.range(tf.shape(step_type)[1]), tf.shape(step_type))
  starts = tf.where(tf.equal(step_type, ts.StepType.FIRST), index, 0)
  starts = scans.scan(tf.maximum, starts)
  return tf.ensure_shape(index - starts, step_type.shape)


def _within_episode(discounts, next_step_type, mask):
  """Sets discounts to 0 where the next frame belongs to another episode."""
  continues = tf.not_equal(next_step_type, ts.StepType.LAST)
  return discounts * tf.cast(continues, discounts.dtype) * mask


def _discounted_sums(terms, decays):
  """Solves y_t = terms_t + decays_t * y_{t+1} along axis 1, in log T steps."""
  sums = scans.decayed_sums(tf.reverse(terms, [1]), tf.reverse(decays, [1]))
  return tf.reverse(sums, [1])
