"""The inner loop: a few policy-gradient steps on one task's episodes.

It is written for one task, without a batch axis; `task_map` lifts it over all
tasks. The collector, evaluation, the exported model and the meta-gradient call
the same function. Paper: MAML, arXiv:1703.03400.
"""

from collections.abc import Callable
from collections.abc import Sequence
import re
from typing import NamedTuple

import gin
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import action_distributions
from maml_tf.core import checks
from maml_tf.core import meta_batch
from maml_tf.learning import step_sizes as step_sizes_lib
from maml_tf.learning import surrogates

Parameters = tuple[types.Tensor, ...]
Surrogate = Callable[[types.Tensor, meta_batch.Stage], types.Tensor]


class Theta(NamedTuple):
  """The meta-parameters: what is meta-learned.

  Attributes:
    parameters: The networks' parameters before adaptation.
    step_sizes: What the inner loop learns of its step sizes; empty if they are
      fixed.
  """

  parameters: Parameters
  step_sizes: Parameters = ()


class EvaluatedStage(NamedTuple):
  """One task's stage and what the networks make of it.

  Attributes:
    stage: A `Stage`, leaves [T, ...].
    behaviour: The distributions that the actions were drawn from, [T].
    distribution: The distributions under some parameters, [T].
    value_loss: A scalar; 0 without a value network.
  """

  stage: meta_batch.Stage
  behaviour: types.NestedDistribution
  distribution: types.NestedDistribution
  value_loss: types.Tensor | float = 0.0


EvaluateFn = Callable[[Parameters, meta_batch.Stage], EvaluatedStage]


class InnerLoopResult(NamedTuple):
  """The path of the inner loop.

  Attributes:
    parameters: phi, the parameters after all steps.
    evaluated: For each step an `EvaluatedStage`: its stage under the parameters
      before the step, which the inner KL compares with the behaviour.
    losses: For each step a scalar: the inner loss before the step.
  """

  parameters: Parameters
  evaluated: tuple[EvaluatedStage, ...]
  losses: tuple[types.Tensor, ...]


@gin.configurable
def names_match(pattern: str) -> Callable[[tf.Variable], bool]:
  """Returns a filter of variables: their names match a regular expression.

  Args:
    pattern: Such as 'ProjectionNetwork', the head of TF-Agents' networks.

  Raises:
    ValueError: The pattern is not a regular expression.
  """
  try:
    compiled = re.compile(pattern)
  except (TypeError, re.error) as error:
    raise ValueError(
      f'pattern is {pattern!r}: give a regular expression ({error})'
    ) from None
  return lambda variable: compiled.search(variable.name) is not None


@gin.configurable
class InnerLoop(tf.Module):
  """Takes one gradient step on each stage's own data.

    phi_{s+1} = phi_s - step size * grad loss(phi_s; stage s)
    loss = -surrogate - entropy coefficient * entropy + value loss

  It is differentiable in phi_0 and in the step sizes: inside an outer
  `tf.GradientTape` the steps' own derivatives are part of the gradient.
  """

  def __init__(
    self,
    num_steps: int = 1,
    step_size: float | step_sizes_lib.StepSizes = 0.1,
    surrogate: Surrogate = surrogates.likelihood_ratio,
    adapts: Callable[[tf.Variable], bool] | None = None,
    first_order: bool = False,
    max_gradient_norm: float | None = None,
    entropy_coefficient: float = 0.0,
    name: str | None = None,
  ):
    """Sets the steps.

    Args:
      num_steps: X.
      step_size: A number, or `StepSizes` that are learned.
      surrogate: What a step ascends, see `surrogates`.
      adapts: A filter of the variables that adapt: the head alone is ANIL
        (1909.09157), a context vector alone CAVIA (1810.03642). None: all.
      first_order: Whether the meta-gradient treats the inner gradients as
        constants: FOMAML.
      max_gradient_norm: The gradient of each task is scaled to at most this
        global norm. None: never.
      entropy_coefficient: Weight of the entropy bonus.
      name: The name of the module.

    Raises:
      ValueError: An argument is impossible.
    """
    super().__init__(name=name)
    checks.integer('num_steps', num_steps, 1, checks.MAX_UNROLLED_STEPS)
    checks.boolean('first_order', first_order)
    checks.number('entropy_coefficient', entropy_coefficient)
    if max_gradient_norm is not None:
      checks.number('max_gradient_norm', max_gradient_norm, above=0)
    checks.function('surrogate', surrogate, 'likelihood_ratio')
    if adapts is not None:
      checks.function('adapts', adapts, "names_match('ProjectionNetwork')")
    self._num_steps = num_steps
    self._step_sizes = step_sizes_lib.from_setting(step_size)
    self._surrogate = surrogate
    self._adapts = adapts
    self._first_order = first_order
    self._max_gradient_norm = max_gradient_norm
    self._entropy_coefficient = entropy_coefficient
    self._adapting = ()

  @property
  def num_steps(self) -> int:
    """X."""
    return self._num_steps

  @property
  def variables_tuple(self) -> tuple[tf.Variable, ...]:
    """The variables of the step sizes, if those are learned."""
    return self._step_sizes.variables_tuple

  @property
  def fixed_step_size(self) -> float | None:
    """The step size of all parameters and steps; None if they are learned."""
    if isinstance(self._step_sizes, step_sizes_lib.FixedStepSize):
      return self._step_sizes.value
    return None

  def build(self, variables: Sequence[tf.Variable]) -> None:
    """Selects the variables that adapt and creates those of the step sizes.

    Args:
      variables: All parameters of the networks.

    Raises:
      ValueError: No variable adapts.
    """
    self._adapting = tuple(
      i for i, v in enumerate(variables) if not self._adapts or self._adapts(v)
    )
    if not self._adapting:
      raise ValueError(
        'adapts selects none of the variables '
        + ', '.join(v.name for v in variables)
      )
    self._step_sizes.build(
      [variables[i] for i in self._adapting], self._num_steps
    )

  def run(
    self,
    theta: Theta,
    stages: Sequence[meta_batch.Stage],
    evaluate: EvaluateFn,
    first_step: types.Int = 0,
    step_size: types.Float | None = None,
  ) -> InnerLoopResult:
    """Adapts to one task.

    Args:
      theta: Tensors of one task: phi_0, and values like `variables_tuple`.
      stages: One `Stage` for each step, leaves [T, ...].
      evaluate: (parameters, stage) -> `EvaluatedStage`.
      first_step: The number of the first stage's adaptation step, from 0.
      step_size: A number instead of the inner loop's own step sizes.

    Returns:
      An `InnerLoopResult`.

    Raises:
      ValueError: `build` was not called.
    """
    if not self._adapting:
      raise ValueError('the inner loop knows no variables: call build first')
    parameters = list(theta.parameters)
    evaluated, losses = [], []
    for index, stage in enumerate(stages):
      adapting = [parameters[i] for i in self._adapting]
      with tf.GradientTape() as tape:
        tape.watch(adapting)
        evaluated.append(evaluate(tuple(parameters), stage))
        loss = self._loss(evaluated[-1])
      gradients = self._gradients(tape, loss, adapting)
      if step_size is None:
        sizes = self._step_sizes.at(theta.step_sizes, first_step + index)
      else:
        sizes = [step_size] * len(adapting)
      for i, gradient, size in zip(self._adapting, gradients, sizes):
        parameters[i] -= size * gradient
      losses.append(loss)
    return InnerLoopResult(tuple(parameters), tuple(evaluated), tuple(losses))

  def _loss(self, evaluated):
    stage, distribution = evaluated.stage, evaluated.distribution
    log_prob = action_distributions.log_prob(distribution, stage.action)
    loss = evaluated.value_loss - self._surrogate(log_prob, stage)
    if self._entropy_coefficient:
      entropy = action_distributions.entropy(distribution)
      loss -= self._entropy_coefficient * surrogates.masked_mean(
        entropy, stage.mask
      )
    return loss

  def _gradients(self, tape, loss, parameters):
    gradients = tape.gradient(
      loss, parameters, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    if self._max_gradient_norm is not None:
      gradients = _clip(gradients, self._max_gradient_norm)
    if self._first_order:
      gradients = [tf.stop_gradient(g) for g in gradients]
    return gradients


def _clip(gradients, max_norm):
  """Scales to at most a global norm; differentiable where all are 0, too."""
  square = tf.add_n([tf.reduce_sum(g**2) for g in gradients])
  norm = tf.sqrt(tf.maximum(square, 1e-30))
  scale = max_norm / tf.maximum(norm, max_norm)
  return [g * scale for g in gradients]
