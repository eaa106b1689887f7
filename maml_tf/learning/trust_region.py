"""One outer step inside a trust region: MAML with TRPO.

Conjugate gradients give the natural gradient, which a backtracking line search
follows (TRPO, arXiv:1502.05477). The loss is the one after adaptation (MAML,
arXiv:1703.03400).
"""

from collections.abc import Callable
from typing import Any

import gin
import numpy as np
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import checks
from maml_tf.core import plain_texts
from maml_tf.learning import finite_updates
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_problem
from maml_tf.learning import meta_updates
from maml_tf.learning import policy_parameters
from maml_tf.learning import repetition


@gin.configurable
class TrustRegionUpdate(tf.Module):
  """The longest step that lowers the loss and respects a bound on the KL.

      minimise loss(theta')   subject to   kl(theta') <= max_kl

  With g the gradient of the loss and H the Hessian of the KL at theta:

      x       = (H + damping I)^-1 g
      beta    = sqrt(2 max_kl / x^T (H + damping I) x)
      theta'  = theta - beta backtrack_ratio^k x

  for the smallest k at which the KL is at most `max_kl` and the loss is lower
  than at theta. If there is no such k, or if x^T H x is not positive, the
  variables keep their values.

  All candidates are computed, even after one is accepted: sums over replicas
  must not depend on a branch.

  A value network's own parameters are outside the trust region, because the KL
  does not depend on them. Loss, g and H are then those of the policy's
  parameters, without the value loss. Afterwards `value_update` follows the
  gradient of the value loss.
  """

  def __init__(
    self,
    max_kl: float = 0.01,
    num_conjugate_gradient_steps: int = 10,
    damping: float = 1e-5,
    num_backtracks: int = 15,
    backtrack_ratio: float = 0.8,
    value_update: meta_updates.MetaUpdate | None = None,
    name: str | None = None,
  ):
    """Stores the settings.

    Args:
      max_kl: The radius of the trust region, nats: the largest mean
        KL(behaviour || adapted policy) on the query stage.
      num_conjugate_gradient_steps: The number of conjugate-gradient steps. Each
        computes one Hessian-vector product.
      damping: The number added to the diagonal of H.
      num_backtracks: The number of candidates: k = 0, ..., num_backtracks - 1.
      backtrack_ratio: The length of each candidate's step relative to the one
        before, below 1.
      value_update: Changes the value network's own parameters. None:
        `GradientUpdate` with Adam(1e-3). No effect without a value network.
      name: The name of the module.

    Raises:
      ValueError: A number is out of range.
    """
    super().__init__(name=name)
    self._max_kl = checks.number('max_kl', max_kl, above=0)
    self._num_conjugate_gradient_steps = checks.integer(
      'num_conjugate_gradient_steps',
      num_conjugate_gradient_steps,
      1,
      checks.MAX_UNROLLED_STEPS,
    )
    self._damping = checks.number('damping', damping, minimum=0)
    self._num_backtracks = checks.integer(
      'num_backtracks', num_backtracks, 1, checks.MAX_UNROLLED_STEPS
    )
    self._backtrack_ratio = checks.number(
      'backtrack_ratio', backtrack_ratio, above=0
    )
    if backtrack_ratio >= 1:
      raise ValueError(
        f'backtrack_ratio is {plain_texts.of(backtrack_ratio)}: give a'
        ' number below 1'
      )
    if value_update is not None and not (
      isinstance(value_update, meta_updates.GradientUpdate)
    ):
      raise ValueError(
        f'value_update is {value_update!r}: give a GradientUpdate, or None'
      )
    # It changes a list of variables, not all of theta.
    self._value_update: Any = value_update
    self._is_of_policy = None

  @property
  def learning_rate(self) -> types.Tensor:
    """Zero: each step computes its own."""
    return tf.constant(0.0)

  @property
  def variables_tuple(self) -> tuple[tf.Variable, ...]:
    """The variables of `value_update`; empty without a value network."""
    if self._is_of_policy is None:
      return ()
    return self._value_update.variables_tuple

  def restrict_to_policy(self, is_of_policy: inner_loop_lib.Theta) -> None:
    """Restricts the trust region to the policy's parameters, before `build`.

    Args:
      is_of_policy: A `Theta` of bools. All True: there is no restriction.
    """
    flags = tf.nest.flatten(is_of_policy)
    self._is_of_policy = None if all(flags) else tuple(flags)

  def build(self, theta: inner_loop_lib.Theta) -> None:
    """Creates the variables of `value_update` if there is a value network."""
    if self._is_of_policy is None:
      return
    if self._value_update is None:
      self._value_update = meta_updates.GradientUpdate(
        tf.keras.optimizers.Adam(1e-3)
      )
    is_of_value = [not is_of_policy for is_of_policy in self._is_of_policy]
    self._value_update.build(policy_parameters.select(theta, is_of_value))

  def __call__(
    self, theta: inner_loop_lib.Theta, problem: meta_problem.MetaProblem
  ) -> meta_updates.UpdateInfo:
    """Changes the variables of theta, or none of their bits.

    Args:
      theta: The meta-parameters, variables of one float type.
      problem: The loss and the KL as functions of theta, equal on all
        replicas.

    Returns:
      An `UpdateInfo`. Metrics and gradient norm are those before the step. The
      learning rate is the factor that multiplied x; 0 if no candidate was
      accepted.
    """
    is_of_policy = self._is_of_policy
    if is_of_policy is None:
      return self._step_inside(theta, problem)
    info = self._step_inside(
      policy_parameters.select(theta, is_of_policy),
      policy_parameters.PolicyProblem(problem, theta, is_of_policy),
    )
    is_of_value = [not is_policys for is_policys in is_of_policy]
    fitted = self._value_update(
      policy_parameters.select(theta, is_of_value),
      policy_parameters.ValueProblem(problem, theta, is_of_value),
    )
    return info._replace(
      finite_tasks=finite_updates.in_all(
        [info.finite_tasks, fitted.finite_tasks]
      )
    )

  def _step_inside(self, theta, problem):
    """Changes variables, none of which only the value network has."""
    before = tf.nest.map_structure(tf.identity, theta)
    metrics, gradient, finite_tasks = problem.gradient(before)
    direction, rate = self._full_step(before, gradient, problem)
    rate = self._backtrack(before, direction, rate, problem)
    for variable, old, new in zip(
      tf.nest.flatten(theta),
      tf.nest.flatten(before),
      tf.nest.flatten(_step(before, direction, rate)),
    ):
      variable.assign(tf.where(rate > 0, new, old))
    norm = tf.linalg.global_norm(tf.nest.flatten(gradient))
    return meta_updates.UpdateInfo(metrics, norm, rate, finite_tasks)

  def _full_step(self, theta, gradient, problem):
    """Returns x and beta, or zeros if they do not define a step."""

    def damped_product(vector):
      return _step(problem.kl_hvp(theta, vector), vector, -self._damping)

    direction = conjugate_gradient(
      damped_product,
      gradient,
      self._num_conjugate_gradient_steps,
      problem.in_loop,
    )
    curvature = _dot(direction, problem.kl_hvp(theta, direction))
    rate = tf.sqrt(
      2
      * self._max_kl
      / (curvature + self._damping * _dot(direction, direction))
    )
    # NaN compares as False. An infinity or NaN in x makes the rate 0 or NaN.
    usable = (curvature > 0) & (rate > 0) & tf.math.is_finite(rate)
    # With zeros, all candidates equal theta.
    return (
      tf.nest.map_structure(
        lambda x: tf.where(usable, x, tf.zeros_like(x)), direction
      ),
      tf.where(usable, rate, tf.zeros_like(rate)),
    )

  def _backtrack(self, theta, direction, rate, problem):
    """Returns the rate of the first acceptable candidate, or 0 if none is."""
    old_loss, _ = problem.loss_and_kl(theta)
    ratios = tf.constant(
      [self._backtrack_ratio**k for k in range(self._num_backtracks)],
      rate.dtype,
    )

    def try_candidate(k, accepted):
      candidate = ratios[k] * rate
      loss, kl = problem.loss_and_kl(_step(theta, direction, candidate))
      acceptable = (
        tf.math.is_finite(loss)
        & tf.math.is_finite(kl)
        & (loss < old_loss)
        & (kl <= self._max_kl)
      )
      return tf.where(acceptable & tf.equal(accepted, 0), candidate, accepted)

    return repetition.repeat(
      try_candidate, tf.zeros_like(rate), self._num_backtracks, problem.in_loop
    )


def conjugate_gradient(
  product_fn: Callable[[types.NestedTensor], types.NestedTensor],
  b: types.NestedTensor,
  num_steps: int,
  in_loop: bool = False,
) -> types.NestedTensor:
  """Solves A x = b for a symmetric positive definite A.

  From x_0 = 0 and r_0 = p_0 = b:

      alpha_i = r_i^T r_i / p_i^T A p_i
      x_i+1   = x_i + alpha_i p_i
      r_i+1   = r_i - alpha_i A p_i
      p_i+1   = r_i+1 + (r_i+1^T r_i+1 / r_i^T r_i) p_i

  x_i is the best solution in the span of b, A b, ..., A^(i-1) b. It is exact if
  i is at least the number of different eigenvalues of A. Once the residual r is
  as small as the rounding error of b, further steps change nothing.

  Args:
    product_fn: v -> A v, for nests v like `b`.
    b: A nest of tensors of any shapes and one float type.
    num_steps: The number of steps.
    in_loop: Whether the graph contains them as a loop, see `repetition`.

  Returns:
    x, a nest like `b`.
  """
  first = tf.nest.flatten(b)
  square = _dot(first, first)
  epsilon = np.finfo(square.dtype.as_numpy_dtype).eps
  # A residual of rounding errors has no meaningful direction: if A is nearly
  # singular, a step along it could have any length.
  negligible = epsilon**2 * square

  def step(_, state):
    x, residual, p, square = state
    product = tf.nest.flatten(product_fn(tf.nest.pack_sequence_as(b, p)))
    alpha = tf.math.divide_no_nan(square, _dot(p, product))
    alpha = tf.where(square <= negligible, tf.zeros_like(alpha), alpha)
    x = _step(x, p, -alpha)
    residual = _step(residual, product, alpha)
    last_square, square = square, _dot(residual, residual)
    ratio = tf.math.divide_no_nan(square, last_square)
    p = [r + ratio * old for r, old in zip(residual, p)]
    return x, residual, p, square

  x, *_ = repetition.repeat(
    step,
    ([tf.zeros_like(r) for r in first], first, first, square),
    num_steps,
    in_loop,
  )
  return tf.nest.pack_sequence_as(b, x)


def _step(theta, direction, rate):
  """Returns theta - rate * direction, both nests of tensors."""
  return tf.nest.pack_sequence_as(
    theta,
    [
      t - rate * d
      for t, d in zip(tf.nest.flatten(theta), tf.nest.flatten(direction))
    ],
  )


def _dot(a, b):
  """Returns the inner product of two nests of tensors, a scalar."""
  return tf.add_n(
    [
      tf.reduce_sum(x * y)
      for x, y in zip(tf.nest.flatten(a), tf.nest.flatten(b))
    ]
  )
