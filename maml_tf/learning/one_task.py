"""One task's losses and gradients through its adaptation, without a batch axis.

Plain code with nested tapes; both tapes stand inside the functions that
`task_map` vectorises over tasks.
"""

from typing import NamedTuple

import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import action_distributions
from maml_tf.core import meta_batch
from maml_tf.core import parameters as parameters_lib
from maml_tf.learning import advantages
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_objectives

Stages = tuple[meta_batch.Stage, ...]


class TaskLoss(NamedTuple):
  """What one task's loss gives, before the mean over tasks.

  Attributes:
    loss: A scalar: the outer loss.
    terms: Its `ObjectiveTerms`.
    inner_loss: A tensor [X]: the inner loss before each adaptation step.
  """

  loss: types.Tensor
  terms: meta_objectives.ObjectiveTerms
  inner_loss: types.Tensor


class OneTask:
  """The functions of one task; theta is always an argument.

  theta: the networks' parameters followed by what the inner loop learns.
  Stages hold the behaviour's tensors, as `meta_batch.Stage` has them.
  """

  def __init__(
    self,
    network: parameters_lib.ParameterizedNetwork,
    distributions: action_distributions.ActionDistributions,
    inner_loop: inner_loop_lib.InnerLoop,
    objective: meta_objectives.MetaObjective,
    value_loss: advantages.ValueLoss | None,
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
    self._num_parameters = len(network.variables_tuple)

  def split(
    self, theta: inner_loop_lib.Parameters
  ) -> tuple[inner_loop_lib.Parameters, inner_loop_lib.Parameters]:
    """Returns the networks' parameters and what the inner loop learns."""
    return theta[: self._num_parameters], theta[self._num_parameters :]

  def evaluate(
    self, parameters: inner_loop_lib.Parameters, stage: meta_batch.Stage
  ) -> inner_loop_lib.Evaluation:
    """The action distributions of a stage's frames and the value loss."""
    inputs = (parameters, stage.observation)
    options = {'step_type': stage.step_type, 'network_state': ()}
    distribution, _ = self._network(*inputs, **options)
    if self._value_loss is None:
      return inner_loop_lib.Evaluation(distribution)
    value = self._network.value(*inputs, **options)
    return inner_loop_lib.Evaluation(
      distribution, self._value_loss(value, stage)
    )

  def values(
    self,
    parameters: inner_loop_lib.Parameters,
    observation: types.NestedTensor,
    step_type: types.Tensor,
  ) -> types.Tensor:
    """The value network's values of frames, [T]."""
    return self._network.value(
      parameters, observation, step_type=step_type, network_state=()
    )

  def adapt(
    self, theta: inner_loop_lib.Parameters, stages: Stages, **kwargs
  ) -> inner_loop_lib.Adapted:
    """The inner loop; keyword arguments are those of `InnerLoop.adapt`."""
    parameters, step_size_values = self.split(theta)
    return self._inner_loop.adapt(
      parameters,
      self.rebuild_distributions(stages),
      self.evaluate,
      step_size_values,
      **kwargs,
    )

  def rebuild_distributions(self, stages: Stages) -> Stages:
    """Rebuilds the behaviour distributions from their tensors."""
    return tuple(
      s._replace(behaviour=self._distributions.from_tensors(s.behaviour))
      for s in stages
    )

  def loss(
    self,
    theta: inner_loop_lib.Parameters,
    kl_coefficients: types.Tensor,
    support: Stages,
    query: meta_batch.Stage,
  ) -> TaskLoss:
    """The outer loss, after adaptation."""
    adapted = self.adapt(theta, support)
    *support, query = self.rebuild_distributions((*support, query))
    evaluation = self.evaluate(adapted.parameters, query)
    loss, terms = self._objective(
      kl_coefficients, adapted, support, evaluation.distribution, query
    )
    return TaskLoss(
      loss + evaluation.value_loss, terms, tf.stack(adapted.losses)
    )

  def meta_gradient(
    self, theta, kl_coefficients, support, query
  ) -> tuple[TaskLoss, inner_loop_lib.Parameters]:
    """The outer loss and its gradient through the adaptation."""
    with tf.GradientTape() as tape:
      tape.watch(theta)
      task_loss = self.loss(theta, kl_coefficients, support, query)
    return task_loss, _gradient(tape, task_loss.loss, theta)

  def kl_hvp(self, theta, vector, support, query) -> inner_loop_lib.Parameters:
    """The Hessian of the query's KL, through the adaptation, times a vector."""
    with tf.GradientTape() as outer:
      outer.watch(theta)
      with tf.GradientTape() as inner:
        inner.watch(theta)
        adapted = self.adapt(theta, support)
        (query,) = self.rebuild_distributions((query,))
        distribution = self.evaluate(adapted.parameters, query).distribution
        kl = meta_objectives.mean_kl(distribution, query)
      gradient = _gradient(inner, kl, theta)
      slope = tf.add_n([tf.reduce_sum(g * v) for g, v in zip(gradient, vector)])
    return _gradient(outer, slope, theta)

  def inner_kl(
    self, theta: inner_loop_lib.Parameters, support: Stages
  ) -> types.Tensor:
    """KL(behaviour || policy before the step) on each support stage, [X]."""
    adapted = self.adapt(theta, support[:-1])
    stages = self.rebuild_distributions(support)
    last = self.evaluate(adapted.parameters, stages[-1]).distribution
    return tf.stack(
      [
        meta_objectives.mean_kl(distribution, stage)
        for distribution, stage in zip((*adapted.distributions, last), stages)
      ]
    )

  def reptile_direction(
    self, theta: inner_loop_lib.Parameters, stages: Stages
  ) -> inner_loop_lib.Parameters:
    """How far adaptation to all stages moves theta."""
    parameters, step_size_values = self.split(theta)
    adapted = self.adapt(theta, stages).parameters
    return (
      *(new - old for new, old in zip(adapted, parameters)),
      *(tf.zeros_like(v) for v in step_size_values),
    )


def _gradient(tape, value, theta):
  return tape.gradient(
    value, theta, unconnected_gradients=tf.UnconnectedGradients.ZERO
  )
