"""The outer loss of one task, which is computed after adaptation."""

import abc
from collections.abc import Sequence
from typing import NamedTuple

import gin
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import action_distributions
from maml_tf.core import checks
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import surrogates


class ObjectiveTerms(NamedTuple):
  """The parts of one task's outer loss, scalars unless noted.

  Attributes:
    policy_loss: The negative surrogate on the query stage.
    entropy: Mean entropy of the adapted policy on the query stage, nats.
    kl: Mean KL(behaviour || adapted policy) on the query stage, nats.
    inner_kl: A tensor [X]: mean KL(behaviour || policy after s steps) on
      support stage s, nats.
  """

  policy_loss: types.Tensor
  entropy: types.Tensor
  kl: types.Tensor
  inner_kl: types.Tensor


class MetaObjective(tf.Module):
  """A surrogate on the query, an inner KL for each stage, an entropy bonus.

  loss = -surrogate + sum_s c_s KL_s - entropy coefficient * H

  The inner KL keeps the pre-update distributions near those that collected the
  data. ProMP and RLlib take the mean of the X inner KLs in place of their sum:
  their coefficient divided by X is c_s. Each support stage has one coefficient
  c_s, which all tasks share. It follows the KL measured after the update.
  Subclasses define the surrogate.
  """

  def __init__(
    self,
    num_adaptation_steps: int,
    initial_kl_coefficient: float,
    kl_target: float | None,
    entropy_coefficient: float,
    name: str | None = None,
  ):
    """Creates the coefficients.

    Args:
      num_adaptation_steps: X.
      initial_kl_coefficient: The initial c_s.
      kl_target: The target of the inner KL, nats: c_s doubles where the KL is
        above 1.5 * target and halves where it is below target / 1.5. None: c_s
        is constant.
      entropy_coefficient: The weight of the entropy bonus.
      name: The name of the module.

    Raises:
      ValueError: A number is out of range.
    """
    super().__init__(name=name)
    checks.number('initial_kl_coefficient', initial_kl_coefficient, minimum=0)
    checks.number('entropy_coefficient', entropy_coefficient)
    if kl_target is not None:
      checks.number('kl_target', kl_target, above=0)
    self._kl_target = kl_target
    self._entropy_coefficient = entropy_coefficient
    self.kl_coefficients = tf.Variable(
      [initial_kl_coefficient] * num_adaptation_steps,
      trainable=False,
      dtype=tf.float32,
      aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
      name='kl_coefficients',
    )

  @abc.abstractmethod
  def _surrogate(
    self,
    support: Sequence[inner_loop_lib.EvaluatedStage],
    query: inner_loop_lib.EvaluatedStage,
    return_score: types.Tensor,
  ) -> types.Tensor:
    """Returns the surrogate, a scalar; the arguments are `__call__`'s."""

  def __call__(
    self,
    kl_coefficients: types.Tensor,
    support: Sequence[inner_loop_lib.EvaluatedStage],
    query: inner_loop_lib.EvaluatedStage,
    return_score: types.Tensor,
  ) -> tuple[types.Tensor, ObjectiveTerms]:
    """Computes the outer loss of one task.

    Args:
      kl_coefficients: A tensor [X]: the weights c_s of the inner KLs.
      support: X `EvaluatedStage`s, leaves [T, ...]. Each is evaluated under the
        parameters before its adaptation step.
      query: The query's `EvaluatedStage`, leaves [T, ...], under the adapted
        parameters.
      return_score: A scalar: the query's return, standardised over all tasks.

    Returns:
      The loss, a scalar, and its `ObjectiveTerms`.
    """
    surrogate = self._surrogate(support, query, return_score)
    entropy = surrogates.masked_mean(
      action_distributions.entropy(query.distribution), query.stage.mask
    )
    kl = mean_kl(query)
    inner_kl = inner_loop_lib.stack_steps(
      [mean_kl(stage) for stage in support], kl.dtype
    )
    loss = -surrogate
    if self._entropy_coefficient:
      loss -= self._entropy_coefficient * entropy
    loss += tf.reduce_sum(tf.cast(kl_coefficients, inner_kl.dtype) * inner_kl)
    terms = ObjectiveTerms(-surrogate, entropy, kl, inner_kl)
    return loss, terms

  def update_kl_coefficients(self, inner_kl: types.Tensor) -> None:
    """Adjusts the coefficients to the KL measured after the update.

    Args:
      inner_kl: A tensor [X]: `mean_kl` of each support stage under the new
        meta-parameters, averaged over all tasks, nats.
    """
    if self._kl_target is None:
      return
    inner_kl = tf.cast(inner_kl, tf.float32)
    factor = tf.where(inner_kl > 1.5 * self._kl_target, 2.0, 1.0)
    factor = tf.where(inner_kl < self._kl_target / 1.5, 0.5, factor)
    # The bounds let a coefficient recover after many halvings or doublings; a
    # coefficient of 0 stays 0.
    coefficients = tf.clip_by_value(self.kl_coefficients * factor, 1e-10, 1e10)
    self.kl_coefficients.assign(
      tf.where(self.kl_coefficients > 0, coefficients, 0.0)
    )


@gin.configurable(denylist=['num_adaptation_steps'])
class ProximalObjective(MetaObjective):
  """PPO's clipped surrogate on the query plus an inner KL for each stage.

  ProMP (arXiv:1810.06784) and RLlib's MAML use this objective.
  """

  def __init__(
    self,
    num_adaptation_steps: int,
    clip_ratio: float = 0.3,
    initial_kl_coefficient: float = 5e-4,
    kl_target: float | None = 0.01,
    entropy_coefficient: float = 0.0,
    name: str | None = None,
  ):
    """Creates the coefficients.

    Args:
      num_adaptation_steps: X.
      clip_ratio: The likelihood ratio is clipped to
        [1 - clip_ratio, 1 + clip_ratio].
      initial_kl_coefficient: See `MetaObjective`.
      kl_target: See `MetaObjective`.
      entropy_coefficient: Weight of the entropy bonus.
      name: The name of the module.

    Raises:
      ValueError: A number is out of range.
    """
    checks.number('clip_ratio', clip_ratio, above=0)
    super().__init__(
      num_adaptation_steps,
      initial_kl_coefficient,
      kl_target,
      entropy_coefficient,
      name,
    )
    self._clip_ratio = clip_ratio

  def _surrogate(self, support, query, return_score):
    return surrogates.clipped_likelihood_ratio(
      _log_prob(query), query.stage, self._clip_ratio
    )


@gin.configurable(denylist=['num_adaptation_steps'])
class PolicyGradientObjective(MetaObjective):
  """The plain likelihood ratio on the query: MAML-VPG and MAML-TRPO.

  It is exact only at the first optimizer step. Use it with one step per
  meta-iteration or with a trust region.
  """

  def __init__(
    self,
    num_adaptation_steps: int,
    entropy_coefficient: float = 0.0,
    name: str | None = None,
    exact: bool = False,
  ):
    """Stores the settings.

    Args:
      num_adaptation_steps: X.
      entropy_coefficient: Weight of the entropy bonus.
      name: The name of the module.
      exact: Whether the gradient is that of the expected discounted return; see
        `surrogates.policy_gradient_mean`.

    Raises:
      ValueError: A number is out of range, or exact is not a bool.
    """
    super().__init__(num_adaptation_steps, 0.0, None, entropy_coefficient, name)
    self._exact = checks.boolean('exact', exact)

  def _surrogate(self, support, query, return_score):
    ratio = surrogates.ratio(_log_prob(query), query.stage)
    return surrogates.policy_gradient_mean(ratio, query.stage, self._exact)


@gin.configurable(denylist=['num_adaptation_steps'])
class ExplorationObjective(PolicyGradientObjective):
  """The policy gradient plus E-MAML's exploration term (arXiv:1803.01118).

  surrogate = policy gradient's + c * R * sum_s mean pi / behaviour (support s)

  R is the return after adaptation, standardised over all tasks. The term
  credits the episodes of the support stages with the return that they lead to.
  ProMP's code credits those of the first stage only, and R is the mean of the
  query's standardised rewards there.

  With c = E, the number of episodes, and with a return that is not
  standardised, the term is the part of the gradient that `log_likelihood` as
  inner surrogate leaves out. To first order in the step size,
  `likelihood_ratio` contains some of it and `dice` all of it. A smaller c
  trades bias for variance.
  """

  def __init__(
    self,
    num_adaptation_steps: int,
    exploration_coefficient: float = 1.0,
    entropy_coefficient: float = 0.0,
    name: str | None = None,
  ):
    """Stores the settings.

    Args:
      num_adaptation_steps: X.
      exploration_coefficient: c, at least 0.
      entropy_coefficient: Weight of the entropy bonus.
      name: The name of the module.

    Raises:
      ValueError: A number is out of range.
    """
    # Returns that are standardised weigh the other term.
    super().__init__(
      num_adaptation_steps, entropy_coefficient, name, exact=False
    )
    self._exploration_coefficient = checks.number(
      'exploration_coefficient', exploration_coefficient, minimum=0
    )

  def _surrogate(self, support, query, return_score):
    surrogate = super()._surrogate(support, query, return_score)
    credit = self._exploration_coefficient * return_score
    for evaluated in support:
      stage = evaluated.stage
      credited = stage._replace(advantage=tf.ones_like(stage.advantage))
      surrogate += credit * surrogates.likelihood_ratio(
        _log_prob(evaluated), credited
      )
    return surrogate


def mean_kl(evaluated: inner_loop_lib.EvaluatedStage) -> types.Tensor:
  """Computes the mean KL(behaviour || distribution) over valid frames.

  Args:
    evaluated: One task's `EvaluatedStage`, leaves [T, ...].

  Returns:
    A scalar, nats.
  """
  return surrogates.masked_mean(
    action_distributions.kl_divergence(
      evaluated.behaviour, evaluated.distribution
    ),
    evaluated.stage.mask,
  )


def _log_prob(evaluated):
  return action_distributions.log_prob(
    evaluated.distribution, evaluated.stage.action
  )
