"""Per-task policy-gradient surrogates: tensors [T] to a scalar."""

import gin
import tensorflow as tf
from tf_agents.typing import types


def masked_mean(values: types.Tensor, mask: types.Tensor) -> types.Tensor:
  """Mean of the valid frames.

  Args:
    values: A tensor [T].
    mask: A tensor [T]: 1 where valid.

  Returns:
    A scalar; 0 if no frame is valid.
  """
  total = tf.reduce_sum(tf.where(mask > 0, values, 0.0))
  return total / tf.maximum(tf.reduce_sum(mask), 1.0)


@gin.configurable
def likelihood_ratio(
  log_prob: types.Tensor,
  behaviour_log_prob: types.Tensor,
  advantage: types.Tensor,
  mask: types.Tensor,
) -> types.Tensor:
  """Mean of pi(a|s) / behaviour(a|s) * A, to be maximised.

  The low-variance-curvature surrogate of ProMP (arXiv:1810.06784): its
  derivative is the policy gradient, and differentiating again keeps the Hessian
  term that log pi(a|s) * A loses.

  Args:
    log_prob: A tensor [T], differentiable.
    behaviour_log_prob: A tensor [T], stored when the actions were sampled.
    advantage: A tensor [T].
    mask: A tensor [T]: 1 where valid.

  Returns:
    A scalar.
  """
  ratio = _ratio(log_prob, behaviour_log_prob)
  return masked_mean(ratio * advantage, mask)


def clipped_likelihood_ratio(
  log_prob: types.Tensor,
  behaviour_log_prob: types.Tensor,
  advantage: types.Tensor,
  mask: types.Tensor,
  clip_ratio: float,
) -> types.Tensor:
  """Mean of min(r A, clip(r, 1 - c, 1 + c) A), to be maximised.

  PPO's surrogate (arXiv:1707.06347), r being the likelihood ratio.

  Args:
    log_prob: A tensor [T], differentiable.
    behaviour_log_prob: A tensor [T], stored when the actions were sampled.
    advantage: A tensor [T].
    mask: A tensor [T]: 1 where valid.
    clip_ratio: c > 0.

  Returns:
    A scalar.
  """
  ratio = _ratio(log_prob, behaviour_log_prob)
  clipped = tf.clip_by_value(ratio, 1.0 - clip_ratio, 1.0 + clip_ratio)
  return masked_mean(tf.minimum(ratio * advantage, clipped * advantage), mask)


def _ratio(log_prob, behaviour_log_prob):
  """pi / behaviour, at most exp(20).

  A ratio that overflows spoils every derivative, also one that is multiplied by
  0. What a boundary holds is no sample of its behaviour and may do so; on a
  valid frame a ratio of exp(20) means that the policy has left its data.
  """
  return tf.exp(tf.minimum(log_prob - behaviour_log_prob, 20.0))
