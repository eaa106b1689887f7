"""Per-task policy-gradient surrogates: log-probabilities [T] to a scalar.

A surrogate matters for its derivatives, not for its value. The first derivative
of each is the policy gradient. They differ in the second derivative, which the
meta-gradient needs.
"""

import gin
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from maml_tf.core import checks
from maml_tf.core import meta_batch
from maml_tf.learning import scans


def masked_mean(values: types.Tensor, mask: types.Tensor) -> types.Tensor:
  """Computes the weighted mean over the valid frames.

  Args:
    values: A tensor [T].
    mask: A tensor [T]: a positive weight, usually 1, on valid frames; 0
      elsewhere. The values of those may be NaN.

  Returns:
    A scalar in the units of the values; 0 if no frame is valid.
  """
  valid = mask > 0
  weights = tf.reduce_sum(mask)
  total = tf.reduce_sum(tf.where(valid, values, 0.0) * mask)
  return total / tf.where(weights > 0, weights, 1.0)


def policy_gradient_mean(
  weight: types.Tensor, stage: meta_batch.Stage, exact: bool = False
) -> types.Tensor:
  """Computes the mean of weight * A over frames, or its sum over an episode.

  Args:
    weight: A differentiable tensor [T], 1 where pi is the behaviour.
    stage: One task's `Stage`, leaves [T, ...].
    exact: False: the mean over frames of weight * standardised advantage. Its
      derivatives leave out that the number of frames, the mean and the
      deviation of the advantages depend on the policy, and it has no gamma^t.
      True: the mean over episodes of sum_t gamma^t weight_t A_t, in units of
      the return. It leaves out nothing: its gradient is that of the expected
      discounted return.

  Returns:
    A scalar; 0 if no frame is valid.
  """
  if not exact:
    return masked_mean(weight * stage.advantage, stage.mask)
  is_first = tf.equal(stage.step_type, ts.StepType.FIRST)
  starts = tf.where(is_first, stage.mask, 0.0)
  # As in `masked_mean`, a mask may be a weight. All frames of an episode have
  # the same.
  num_frames, num_episodes = tf.reduce_sum(stage.mask), tf.reduce_sum(starts)
  frames_per_episode = num_frames / tf.where(
    num_episodes > 0, num_episodes, 1.0
  )
  return frames_per_episode * masked_mean(
    weight * stage.policy_gradient_weight, stage.mask
  )


@gin.configurable(denylist=['log_prob', 'stage'])
def likelihood_ratio(
  log_prob: types.Tensor, stage: meta_batch.Stage
) -> types.Tensor:
  """Computes the mean of pi(a|s) / behaviour(a|s) * A.

  This is the low-variance-curvature surrogate of ProMP (arXiv:1810.06784). Its
  derivative is the policy gradient. Its second derivative keeps the Hessian
  term that log pi(a|s) * A loses. It omits one term of the exact Hessian: the
  effect of earlier actions on the advantages of later ones. This term is noisy,
  and it is zero where the advantages are zero.

  Args:
    log_prob: A differentiable tensor [T]: log pi(a|s).
    stage: One task's `Stage`, leaves [T, ...]; A is its advantage.

  Returns:
    The surrogate to maximise, a scalar.
  """
  return policy_gradient_mean(ratio(log_prob, stage), stage)


@gin.configurable(denylist=['log_prob', 'stage'])
def log_likelihood(
  log_prob: types.Tensor, stage: meta_batch.Stage
) -> types.Tensor:
  """Computes the mean of log pi(a|s) * A.

  The code of the MAML paper (arXiv:1703.03400) differentiates this surrogate
  twice. Its Hessian is biased: it treats the distribution of the data as fixed,
  so that of the exact Hessian only E[A * Hessian of log pi] remains. With a
  perfect baseline this is 0 for a softmax table, but not for a network. Use it
  for reproduction only.

  Args:
    log_prob: A differentiable tensor [T]: log pi(a|s).
    stage: One task's `Stage`, leaves [T, ...]; A is its advantage.

  Returns:
    The surrogate to maximise, a scalar.
  """
  return masked_mean(log_prob * stage.advantage, stage.mask)


@gin.configurable(denylist=['log_prob', 'stage'])
def dice(
  log_prob: types.Tensor,
  stage: meta_batch.Stage,
  causal_discount: float = 1.0,
  exact: bool = False,
) -> types.Tensor:
  """Computes the mean of (1 + box(c_t) - box(c_t - log pi_t)) * A_t.

  Here box(c) = exp(c - stop_gradient(c)), and
  c_t = sum_{t' <= t} w^(t - t') log pi_t' sums over the episode's past. This is
  DiCE (arXiv:1802.05098) in the form of Loaded DiCE (arXiv:1909.10549), which
  uses advantages. Where pi is the policy that collected the data, all
  derivatives with fixed advantages are exact. They have the variance of whole
  episodes. The agent standardises advantages, which is not fixed: `exact`
  removes that. Then a step ascends the expected discounted return, and its
  derivative is exact in expectation, if gae_lambda is 1 and nothing is added
  behind a time limit. With few episodes, a baseline that is fitted to them adds
  a bias, and the outer loss depends on which episodes were drawn, which
  `ExplorationObjective` credits.

  Args:
    log_prob: A differentiable tensor [T]: log pi(a|s).
    stage: One task's `Stage`, leaves [T, ...]; A is its advantage.
    causal_discount: w in [0, 1], Loaded DiCE's weight of earlier actions. 1 is
      exact; less trades bias for variance.
    exact: See `policy_gradient_mean`. The surrogate is then larger, by about
      the number of steps times the deviation of the returns, and wants a
      smaller step size.

  Returns:
    The surrogate to maximise, a scalar.

  Raises:
    ValueError: causal_discount is out of range, or exact is not a bool.
  """
  checks.boolean('exact', exact)
  checks.number('causal_discount', causal_discount, minimum=0, maximum=1)
  log_prob = tf.where(stage.mask > 0, log_prob, 0.0)
  continues = tf.not_equal(stage.step_type, ts.StepType.FIRST)
  decays = causal_discount * tf.cast(continues, log_prob.dtype)
  causes = scans.decayed_sums(log_prob, decays)
  weight = 1.0 + _magic_box(causes) - _magic_box(causes - log_prob)
  return policy_gradient_mean(weight, stage, exact)


def clipped_likelihood_ratio(
  log_prob: types.Tensor, stage: meta_batch.Stage, clip_ratio: float
) -> types.Tensor:
  """Computes the mean of min(r A, clip(r, 1 - c, 1 + c) A).

  This is PPO's surrogate (arXiv:1707.06347); r is the likelihood ratio
  pi(a|s) / behaviour(a|s).

  Args:
    log_prob: A differentiable tensor [T]: log pi(a|s).
    stage: One task's `Stage`, leaves [T, ...]; A is its advantage.
    clip_ratio: c > 0.

  Returns:
    The surrogate to maximise, a scalar.
  """
  free = ratio(log_prob, stage)
  clipped = tf.clip_by_value(free, 1.0 - clip_ratio, 1.0 + clip_ratio)
  advantage = stage.advantage
  return masked_mean(
    tf.minimum(free * advantage, clipped * advantage), stage.mask
  )


def ratio(log_prob: types.Tensor, stage: meta_batch.Stage) -> types.Tensor:
  """Returns pi(a|s) / behaviour(a|s), [T], at most exp(20).

  A ratio that overflows makes every derivative NaN, even one that the mask
  multiplies by 0. Ratios on boundaries may overflow, because the action there
  is not a sample of the behaviour. On a valid frame a ratio of exp(20) means
  that the policy is far from its data.

  Args:
    log_prob: A differentiable tensor [T]: log pi(a|s).
    stage: One task's `Stage`, leaves [T, ...].
  """
  return tf.exp(tf.minimum(log_prob - stage.behaviour_log_prob, 20.0))


def _magic_box(log_prob):
  """Returns 1, with the derivatives of a likelihood ratio."""
  return tf.exp(log_prob - tf.stop_gradient(log_prob))
