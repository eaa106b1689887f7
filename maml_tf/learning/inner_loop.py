"""The inner loop: a few policy-gradient steps on one task's episodes.

It is written for one task, without a batch axis; `task_map` vectorises it over
all tasks. The collector, evaluation, the exported model and the meta-gradient
call the same function. Paper: MAML, arXiv:1703.03400.
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
from maml_tf.core import parameters as parameters_lib
from maml_tf.learning import step_sizes as step_sizes_lib
from maml_tf.learning import surrogates

Parameters = parameters_lib.Parameters
Surrogate = Callable[[types.Tensor, meta_batch.Stage], types.Tensor]


class Theta(NamedTuple):
  """The meta-parameters.

  Attributes:
    parameters: The networks' parameters before adaptation, phi_0.
    step_sizes: The learned numbers from which `StepSizes.at` computes the step
      sizes; empty if the step sizes are fixed.
  """

  parameters: Parameters
  step_sizes: Parameters = ()


class EvaluatedStage(NamedTuple):
  """One task's stage and the outputs of the networks on its frames.

  Attributes:
    stage: A `Stage`, leaves [T, ...].
    behaviour: The distributions that the actions were drawn from, a nest of
      distributions with batch shape [T].
    distribution: The policy's distributions under the parameters of the
      evaluation, like `behaviour`.
    value_loss: A scalar: the loss of the value network; 0 if there is none.
  """

  stage: meta_batch.Stage
  behaviour: types.NestedDistribution
  distribution: types.NestedDistribution
  value_loss: types.Tensor | float = 0.0


EvaluateFn = Callable[[Parameters, meta_batch.Stage], EvaluatedStage]


class InnerLoopResult(NamedTuple):
  """The result of the inner loop, and its intermediate values.

  Attributes:
    parameters: phi, the parameters after all steps, without a batch axis.
    evaluated: One `EvaluatedStage` for each step: the step's stage under the
      parameters before the step. The inner KL compares these distributions with
      the behaviour.
    losses: One scalar for each step: the inner loss before the step.
  """

  parameters: Parameters
  evaluated: tuple[EvaluatedStage, ...]
  losses: tuple[types.Tensor, ...]


# Gin files may select it by the module that it had; so below.
@gin.configurable(module='maml_tf.learning.adaptation')
def names_match(pattern: str) -> Callable[[tf.Variable], bool]:
  """Returns a filter that selects variables by a regular expression.

  Args:
    pattern: The expression, which is searched for in the variable's name. For
      example, 'ProjectionNetwork' selects the head of TF-Agents' networks.

  Returns:
    A function of a variable: whether its name matches.

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


@gin.configurable(module='maml_tf.learning.adaptation')
class InnerLoop(tf.Module):
  """Takes one gradient step on each stage's own data.

      phi_{s+1} = phi_s - step size * grad loss(phi_s; stage s)
    loss = -surrogate - entropy coefficient * entropy + value loss

  The result is differentiable with respect to phi_0 and the step sizes: an
  outer `tf.GradientTape` differentiates through the steps.
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
    """Stores the settings.

    Args:
      num_steps: X, the number of adaptation steps in training. 0: the agent
        learns without adaptation, by plain policy gradients on its tasks; it
        can still adapt afterwards.
      step_size: A number, or `StepSizes` that are learned.
      surrogate: The function that a step increases, see `surrogates`.
      adapts: A filter that selects the variables to adapt. The head alone gives
        ANIL (arXiv:1909.09157), a context vector alone CAVIA
        (arXiv:1810.03642). None: all variables.
      first_order: Whether the meta-gradient treats the inner gradients as
        constants, as in FOMAML.
      max_gradient_norm: The largest global norm of a task's gradient; a larger
        gradient is scaled down to it. None: no limit.
      entropy_coefficient: The weight of the entropy bonus.
      name: The name of the module.

    Raises:
      ValueError: An argument is out of range or of the wrong type.
    """
    super().__init__(name=name)
    checks.integer('num_steps', num_steps, 0, checks.MAX_UNROLLED_STEPS)
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
    """X, the number of adaptation steps."""
    return self._num_steps

  @property
  def adapting(self) -> tuple[int, ...]:
    """The indices of the variables that adapt; empty before `build`."""
    return self._adapting

  @property
  def variables_tuple(self) -> tuple[tf.Variable, ...]:
    """The variables of the step sizes; empty if the step sizes are fixed."""
    return self._step_sizes.variables_tuple

  @property
  def fixed_step_size(self) -> float | None:
    """The step size of all parameters and steps; None if it is learned."""
    if isinstance(self._step_sizes, step_sizes_lib.FixedStepSize):
      return self._step_sizes.value
    return None

  def build(self, variables: Sequence[tf.Variable]) -> None:
    """Selects the variables that adapt; creates those of the step sizes.

    Args:
      variables: All variables of the networks.

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
    """Adapts to one task, with one step for each stage.

    Args:
      theta: A `Theta` of tensors without a batch axis: phi_0, and tensors like
        `variables_tuple`.
      stages: One `Stage` for each step, leaves [T, ...].
      evaluate: (parameters, stage) -> `EvaluatedStage`.
      first_step: The index of the first stage's adaptation step, from 0.
      step_size: A scalar that replaces the inner loop's step sizes. None: no
        replacement.

    Returns:
      An `InnerLoopResult`.

    Raises:
      ValueError: `build` was not called.
    """
    if not self._adapting:
      raise ValueError('the inner loop has no variables yet: call build first')
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


def stack_steps(
  scalars: Sequence[types.Tensor], dtype: tf.DType
) -> types.Tensor:
  """Stacks one scalar for each of X adaptation steps; X may be 0.

  Args:
    scalars: X scalars.
    dtype: Their type.

  Returns:
    A tensor [X].
  """
  return tf.stack(scalars) if scalars else tf.zeros([0], dtype)


def _clip(gradients, max_norm):
  """Limits the global norm; differentiable even if all gradients are 0."""
  square = tf.add_n([tf.reduce_sum(g**2) for g in gradients])
  norm = tf.sqrt(tf.maximum(square, 1e-30))
  scale = max_norm / tf.maximum(norm, max_norm)
  return [g * scale for g in gradients]
