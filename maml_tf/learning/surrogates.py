"""Per-task policy-gradient surrogates: log-probabilities [T] to a scalar.

A surrogate's value is of no use: its derivatives are. All have the policy
gradient as the first; they differ in the second, which the meta-gradient needs.
"""

import gin
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from maml_tf.core import checks
from maml_tf.core import meta_batch
from maml_tf.learning import scans


def masked_mean(values: types.Tensor, mask: types.Tensor) -> types.Tensor:
  """Weighted mean of the valid frames.

  Args:
    values: A tensor [T].
    mask: A tensor [T]: 1, or another weight, where valid; 0 elsewhere.

  Returns:
    A scalar; 0 if no frame is valid.
  """
  valid = mask > 0
  weights = tf.reduce_sum(mask)
  total = tf.reduce_sum(tf.where(valid, values, 0.0) * mask)
  return total / tf.where(weights > 0, weights, 1.0)


@gin.configurable(denylist=['log_prob', 'stage'])
def likelihood_ratio(
  log_prob: types.Tensor, stage: meta_batch.Stage
) -> types.Tensor:
  """Mean of pi(a|s) / behaviour(a|s) * A, to be maximised.

  The low-variance-curvature surrogate of ProMP (arXiv:1810.06784): its
  derivative is the policy gradient, and differentiating again keeps the Hessian
  term that log pi(a|s) * A loses. Of the exact Hessian it leaves out how
  earlier actions change what later ones are worth: a term that is noisy, and
  zero where the advantages are.

  Args:
    log_prob: A tensor [T], differentiable.
    stage: One task's `Stage`, leaves [T, ...].

  Returns:
    A scalar.
  """
  ratio = _ratio(log_prob, stage.behaviour_log_prob)
  return masked_mean(ratio * stage.advantage, stage.mask)


@gin.configurable(denylist=['log_prob', 'stage'])
def log_likelihood(
  log_prob: types.Tensor, stage: meta_batch.Stage
) -> types.Tensor:
  """Mean of log pi(a|s) * A, to be maximised.

  What MAML's own code (arXiv:1703.03400) differentiates twice. Its Hessian is
  biased: it takes the distribution of the data as fixed, so of the exact one
  only E[A * Hessian of log pi] is left. For reproduction only.

  Args:
    log_prob: A tensor [T], differentiable.
    stage: One task's `Stage`, leaves [T, ...].

  Returns:
    A scalar.
  """
  return masked_mean(log_prob * stage.advantage, stage.mask)


@gin.configurable(denylist=['log_prob', 'stage'])
def dice(
  log_prob: types.Tensor,
  stage: meta_batch.Stage,
  causal_discount: float = 1.0,
) -> types.Tensor:
  """Mean of (1 + box(a_{<=t}) - box(a_{<t})) * A_t, to be maximised.

  box(c) = exp(c - stop_gradient(c)) of c_t = sum_{t' <= t} w^(t - t') log pi_t'
  within an episode. DiCE (arXiv:1802.05098) in the form of Loaded DiCE
  (1909.10549), which takes advantages: every derivative is exact, on the policy
  that collected the data, and has the variance of whole episodes.

  Args:
    log_prob: A tensor [T], differentiable.
    stage: One task's `Stage`, leaves [T, ...].
    causal_discount: w in [0, 1]: how far back causes are looked for, Loaded
      DiCE's weighting. 1 is exact; less trades bias for variance.

  Returns:
    A scalar.

  Raises:
    ValueError: causal_discount is out of range.
  """
  checks.number('causal_discount', causal_discount, minimum=0, maximum=1)
  log_prob = tf.where(stage.mask > 0, log_prob, 0.0)
  continues = tf.not_equal(stage.step_type, ts.StepType.FIRST)
  decays = causal_discount * tf.cast(continues, log_prob.dtype)
  causes = scans.decayed_sums(log_prob, decays)
  weight = 1.0 + _magic_box(causes) - _magic_box(causes - log_prob)
  return masked_mean(weight * stage.advantage, stage.mask)


def clipped_likelihood_ratio(
  log_prob: types.Tensor, stage: meta_batch.Stage, clip_ratio: float
) -> types.Tensor:
  """Mean of min(r A, clip(r, 1 - c, 1 + c) A), to be maximised.

  PPO's surrogate (arXiv:1707.06347), r being the likelihood ratio.

  Args:
    log_prob: A tensor [T], differentiable.
    stage: One task's `Stage`, leaves [T, ...].
    clip_ratio: c > 0.

  Returns:
    A scalar.
  """
  ratio = _ratio(log_prob, stage.behaviour_log_prob)
  clipped = tf.clip_by_value(ratio, 1.0 - clip_ratio, 1.0 + clip_ratio)
  advantage = stage.advantage
  return masked_mean(
    tf.minimum(ratio * advantage, clipped * advantage), stage.mask
  )


def _ratio(log_prob, behaviour_log_prob):
  """pi / behaviour, at most exp(20).

  A ratio that overflows spoils every derivative, also one that is multiplied by
  0. What a boundary holds is no sample of its behaviour and may do so; on a
  valid frame a ratio of exp(20) means that the policy has left its data.
  """
  return tf.exp(tf.minimum(log_prob - behaviour_log_prob, 20.0))


def _magic_box(log_prob):
  """1, with the derivatives of a likelihood ratio."""
  return tf.exp(log_prob - tf.stop_gradient(log_prob))
