"""One task's losses and gradients through its adaptation, without a batch axis.

Plain code with nested tapes; both tapes stand inside the functions that
`task_map` vectorises over tasks.
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
    terms: Its `ObjectiveTerms`.
    inner_loss: A tensor [X]: the inner loss before each adaptation step.
  """

  loss: types.Tensor
  terms: meta_objectives.ObjectiveTerms
  inner_loss: types.Tensor


class OneTask:
  """The functions of one task; theta, a `Theta` of tensors, is an argument.

  A batch is one task's `PreparedBatch`: leaves [T, ...].
  """

  def __init__(
    self,
    network: parameters_lib.ParameterizedNetwork,
    distributions: action_distributions.ActionDistributions,
    inner_loop: inner_loop_lib.InnerLoop,
    objective: meta_objectives.MetaObjective,
    value_loss: baselines.ValueLoss | None,
  ):
    """Takes the parts.

    Args:
      network: The networks as a function of their parameters.
      distributions: The family of the policy network's outputs.
      inner_loop: Already built.
      objective: The outer loss.
      value_loss: Of the value network; None: there is none.
    """
    self._network = network
    self._distributions = distributions
    self._inner_loop = inner_loop
    self._objective = objective
    self._value_loss = value_loss

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
    """Evaluates the networks on a stage's frames."""
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
    """Returns the value network's values of frames, [T]."""
    return self._network.value(
      parameters, observation, step_type=step_type, network_state=()
    )

  def adapt(
    self,
    theta: inner_loop_lib.Theta,
    stages: Sequence[meta_batch.Stage],
    **kwargs,
  ) -> inner_loop_lib.InnerLoopResult:
    """Runs the inner loop; keyword arguments are those of `InnerLoop.run`."""
    return self._inner_loop.run(theta, stages, self.evaluate, **kwargs)

  def loss(
    self,
    theta: inner_loop_lib.Theta,
    kl_coefficients: types.Tensor,
    batch: meta_batch.PreparedBatch,
  ) -> TaskLoss:
    """Computes the outer loss, after adaptation."""
    adapted = self.adapt(theta, batch.support)
    query = self.evaluate(adapted.parameters, batch.query)
    loss, terms = self._objective(
      kl_coefficients, adapted.evaluated, query, batch.return_score
    )
    return TaskLoss(loss + query.value_loss, terms, tf.stack(adapted.losses))

  def meta_gradient(
    self,
    theta: inner_loop_lib.Theta,
    kl_coefficients: types.Tensor,
    batch: meta_batch.PreparedBatch,
  ) -> tuple[TaskLoss, inner_loop_lib.Theta]:
    """Computes the outer loss and its gradient through the adaptation."""
    with tf.GradientTape() as tape:
      tape.watch(theta)
      task_loss = self.loss(theta, kl_coefficients, batch)
    return task_loss, _gradient(tape, task_loss.loss, theta)

  def kl_hvp(
    self,
    theta: inner_loop_lib.Theta,
    vector: inner_loop_lib.Theta,
    batch: meta_batch.PreparedBatch,
  ) -> inner_loop_lib.Theta:
    """The Hessian of the query's KL, through the adaptation, times a vector."""
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
    """KL(behaviour || policy before the step) on each support stage, [X]."""
    adapted = self.adapt(theta, support[:-1])
    last = self.evaluate(adapted.parameters, support[-1])
    return tf.stack(
      [meta_objectives.mean_kl(stage) for stage in (*adapted.evaluated, last)]
    )

  def reptile_direction(
    self, theta: inner_loop_lib.Theta, batch: meta_batch.PreparedBatch
  ) -> inner_loop_lib.Theta:
    """How far adaptation to all stages moves theta."""
    phi = self.adapt(theta, (*batch.support, batch.query)).parameters
    return inner_loop_lib.Theta(
      tuple(new - old for new, old in zip(phi, theta.parameters)),
      tuple(tf.zeros_like(v) for v in theta.step_sizes),
    )


def _gradient(tape, value, theta):
  return tape.gradient(
    value, theta, unconnected_gradients=tf.UnconnectedGradients.ZERO
  )
