"""The inner loop: a few policy-gradient steps on one task's episodes.

Written for one task, without a batch axis; `task_map` lifts it over all tasks.
The collector, evaluation, the exported model and the meta-gradient call the
same function. Paper: MAML, arXiv:1703.03400.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf
from tf_agents.typing import types

from maml_tf import action_distributions
from maml_tf import meta_batch

Parameters = tuple[types.Tensor, ...]
DistributionFn = Callable[
  [Parameters, meta_batch.Stage], types.NestedDistribution
]
Surrogate = Callable[..., types.Tensor]


class Adapted(NamedTuple):
  """The path of the inner loop.

  Attributes:
    parameters: The parameters after all steps.
    distributions: For each step's stage, the action distributions before the
      step: what the inner KL compares with the behaviour.
    losses: For each step a scalar: the inner loss before the step.
  """

  parameters: Parameters
  distributions: tuple[types.NestedDistribution, ...]
  losses: tuple[types.Tensor, ...]


def adapt_parameters(
  parameters: Parameters,
  stages: Sequence[meta_batch.Stage],
  distribution_fn: DistributionFn,
  surrogate: Surrogate,
  step_size: float,
) -> Adapted:
  """Takes one gradient step on each stage's own data.

  phi_{s+1} = phi_s + step_size * grad surrogate(phi_s; stage s)

  It is differentiable in `parameters`: inside an outer `tf.GradientTape` the
  steps' own derivatives are part of the gradient.

  Args:
    parameters: Tensors of one task, phi_0.
    stages: One `Stage` for each step, leaves [T, ...].
    distribution_fn: (parameters, stage) -> action distributions [T].
    surrogate: What a step ascends, see `surrogates`.
    step_size: The inner step size.

  Returns:
    An `Adapted`.
  """
  distributions, losses = [], []
  for stage in stages:
    with tf.GradientTape() as tape:
      tape.watch(parameters)
      distribution = distribution_fn(parameters, stage)
      log_prob = action_distributions.log_prob(distribution, stage.action)
      loss = -surrogate(
        log_prob, stage.behaviour_log_prob, stage.advantage, stage.mask
      )
    gradients = tape.gradient(
      loss, parameters, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    parameters = tuple(p - step_size * g for p, g in zip(parameters, gradients))
    distributions.append(distribution)
    losses.append(loss)
  return Adapted(parameters, tuple(distributions), tuple(losses))
