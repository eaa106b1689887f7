"""One task's losses and gradients through its adaptation, without a batch axis.

The code uses nested tapes. Both tapes are inside the functions that `task_map`
vectorises over tasks.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import action_distributions
from maml_tf.core import meta_batch
from maml_tf.core import parameters as parameters_lib
from maml_tf.learning import baselines
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_objectives


class TaskLoss(NamedTuple):
  """One task's loss and its parts, before the mean over tasks.

  Attributes:
    loss: A scalar: the outer loss.
    terms: The parts of the outer loss, an `ObjectiveTerms`.
    inner_loss: A tensor [X]: the inner loss before each adaptation step.
    objective: A scalar: the outer loss without that of the value network.
  """

  loss: types.Tensor
  terms: meta_objectives.ObjectiveTerms
  inner_loss: types.Tensor
  objective: types.Tensor


class OneTask:
  """The functions of one task, with the meta-parameters as an argument.

  All arguments and results are without a batch axis. In all methods:

    theta: A `Theta` of tensors, shaped like the meta-parameters.
    parameters: A tuple of tensors, shaped like the networks' variables.
    batch: One task's `PreparedBatch`, leaves [T, ...].
  """

  def __init__(
    self,
    network: parameters_lib.ParameterizedNetwork,
    distributions: action_distributions.ActionDistributions,
    inner_loop: inner_loop_lib.InnerLoop,
    objective: meta_objectives.MetaObjective,
    value_loss: baselines.ValueLoss | None,
  ):
    """Stores the parts.

    Args:
      network: The networks as a function of their parameters.
      distributions: The family of the policy network's outputs.
      inner_loop: The inner loop, already built.
      objective: The outer loss.
      value_loss: The value network's loss. None: there is no value network.
    """
    self._network = network
    self._distributions = distributions
    self._inner_loop = inner_loop
    self._objective = objective
    self._value_loss = value_loss

  @property
  def network(self) -> parameters_lib.ParameterizedNetwork:
    """The networks as a function of their parameters."""
    return self._network

  @property
  def distributions(self) -> action_distributions.ActionDistributions:
    """The family of the policy network's outputs."""
    return self._distributions

  @property
  def inner_loop(self) -> inner_loop_lib.InnerLoop:
    """The inner loop."""
    return self._inner_loop

  @property
  def has_values(self) -> bool:
    """Whether a value network predicts the returns."""
    return self._value_loss is not None

  def evaluate(
    self, parameters: inner_loop_lib.Parameters, stage: meta_batch.Stage
  ) -> inner_loop_lib.EvaluatedStage:
    """Evaluates the networks on a stage's frames.

    Args:
      parameters: The networks' parameters.
      stage: A `Stage`, leaves [T, ...].

    Returns:
      An `EvaluatedStage`: distributions of batch shape [T] and a scalar loss.
    """
    inputs = (parameters, stage.observation)
    options = {'step_type': stage.step_type, 'network_state': ()}
    distribution, _ = self._network(*inputs, **options)
    value_loss = 0.0
    if self._value_loss is not None:
      value = self._network.value(*inputs, **options)
      value_loss = self._value_loss(value, stage)
    behaviour = self._distributions.from_tensors(stage.behaviour)
    return inner_loop_lib.EvaluatedStage(
      stage, behaviour, distribution, value_loss
    )

  def values(
    self,
    parameters: inner_loop_lib.Parameters,
    observation: types.NestedTensor,
    step_type: types.Tensor,
  ) -> types.Tensor:
    """Computes the value network's values of frames.

    Args:
      parameters: The networks' parameters.
      observation: A nest of tensors [T, ...].
      step_type: An int32 tensor [T].

    Returns:
      A tensor [T], in units of the return.
    """
    return self._network.value(
      parameters, observation, step_type=step_type, network_state=()
    )

  def adapt(
    self,
    theta: inner_loop_lib.Theta,
    stages: Sequence[meta_batch.Stage],
    **kwargs,
  ) -> inner_loop_lib.InnerLoopResult:
    """Runs the inner loop.

    Args:
      theta: The meta-parameters.
      stages: One `Stage` for each step, leaves [T, ...].
      **kwargs: The optional arguments of `InnerLoop.run`.

    Returns:
      An `InnerLoopResult`, whose parameters are phi.
    """
    return self._inner_loop.run(theta, stages, self.evaluate, **kwargs)

  def loss(
    self,
    theta: inner_loop_lib.Theta,
    kl_coefficients: types.Tensor,
    batch: meta_batch.PreparedBatch,
  ) -> TaskLoss:
    """Computes the outer loss after adaptation.

    Args:
      theta: The meta-parameters.
      kl_coefficients: A tensor [X]: the weights of the inner KLs.
      batch: One task's stages.

    Returns:
      A `TaskLoss`.
    """
    adapted = self.adapt(theta, batch.support)
    query = self.evaluate(adapted.parameters, batch.query)
    objective, terms = self._objective(
      kl_coefficients, adapted.evaluated, query, batch.return_score
    )
    inner_loss = inner_loop_lib.stack_steps(adapted.losses, objective.dtype)
    loss = objective + query.value_loss
    return TaskLoss(loss, terms, inner_loss, objective)

  def meta_gradient(
    self,
    theta: inner_loop_lib.Theta,
    kl_coefficients: types.Tensor,
    batch: meta_batch.PreparedBatch,
  ) -> tuple[TaskLoss, inner_loop_lib.Theta]:
    """Computes the outer loss and its gradient through the adaptation.

    Args:
      theta: The meta-parameters.
      kl_coefficients: A tensor [X]: the weights of the inner KLs.
      batch: One task's stages.

    Returns:
      A `TaskLoss`, and the gradient of its loss, shaped like theta.
    """
    with tf.GradientTape() as tape:
      tape.watch(theta)
      task_loss = self.loss(theta, kl_coefficients, batch)
    return task_loss, _gradient(tape, task_loss.loss, theta)

  def objective_gradient(
    self,
    theta: inner_loop_lib.Theta,
    kl_coefficients: types.Tensor,
    batch: meta_batch.PreparedBatch,
  ) -> tuple[TaskLoss, inner_loop_lib.Theta]:
    """Does the same as `meta_gradient` without the query's value loss."""
    with tf.GradientTape() as tape:
      tape.watch(theta)
      task_loss = self.loss(theta, kl_coefficients, batch)
    return task_loss, _gradient(tape, task_loss.objective, theta)

  def kl_hvp(
    self,
    theta: inner_loop_lib.Theta,
    vector: inner_loop_lib.Theta,
    batch: meta_batch.PreparedBatch,
  ) -> inner_loop_lib.Theta:
    """Multiplies the Hessian of the query's KL by a vector.

    The KL is KL(behaviour || adapted policy), nats. The Hessian is taken with
    respect to theta, through the adaptation.

    Args:
      theta: The meta-parameters.
      vector: Tensors shaped like theta.
      batch: One task's stages.

    Returns:
      The product, shaped like theta.
    """
    with tf.GradientTape() as outer:
      outer.watch(theta)
      with tf.GradientTape() as inner:
        inner.watch(theta)
        phi = self.adapt(theta, batch.support).parameters
        kl = meta_objectives.mean_kl(self.evaluate(phi, batch.query))
      gradient = tf.nest.flatten(_gradient(inner, kl, theta))
      pairs = zip(gradient, tf.nest.flatten(vector))
      slope = tf.add_n([tf.reduce_sum(g * v) for g, v in pairs])
    return _gradient(outer, slope, theta)

  def inner_kl(
    self, theta: inner_loop_lib.Theta, support: Sequence[meta_batch.Stage]
  ) -> types.Tensor:
    """Computes KL(behaviour || policy before the step) on each support stage.

    Args:
      theta: The meta-parameters.
      support: X `Stage`s, leaves [T, ...], at least one.

    Returns:
      A tensor [X], nats.
    """
    adapted = self.adapt(theta, support[:-1])
    last = self.evaluate(adapted.parameters, support[-1])
    return tf.stack(
      [meta_objectives.mean_kl(stage) for stage in (*adapted.evaluated, last)]
    )

  def reptile_direction(
    self, theta: inner_loop_lib.Theta, batch: meta_batch.PreparedBatch
  ) -> inner_loop_lib.Theta:
    """Computes phi - theta after adaptation to all stages, the query included.

    Args:
      theta: The meta-parameters.
      batch: One task's stages.

    Returns:
      Tensors shaped like theta; 0 for the step sizes.
    """
    phi = self.adapt(theta, (*batch.support, batch.query)).parameters
    return inner_loop_lib.Theta(
      tuple(new - old for new, old in zip(phi, theta.parameters)),
      tuple(tf.zeros_like(v) for v in theta.step_sizes),
    )


def _gradient(tape, value, theta):
  return tape.gradient(
    value, theta, unconnected_gradients=tf.UnconnectedGradients.ZERO
  )
