"""The report of a meta-train step."""

from typing import NamedTuple

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.typing import types

from maml_tf.core import replicas
from maml_tf.learning import meta_problem
from maml_tf.learning import meta_updates


class MamlLossInfo(NamedTuple):
  """The parts of the meta-loss; means over all tasks and scalars unless noted.

  Attributes:
    policy_loss: The negative outer surrogate.
    vf_loss: Mean squared error of the baseline on the query stage.
    entropy: The adapted policy's entropy on the query stage, nats.
    kl: KL(behaviour || adapted policy) on the query stage, nats.
    inner_kl: A tensor [X]: KL(behaviour || policy before the step) on each
      support stage, nats; after `train`, under the new meta-parameters.
    kl_coefficient: A tensor [X]: the weights of the inner KLs in this update.
    inner_loss: A tensor [X]: the inner loss before each adaptation step.
    gradient_norm: Global norm of the meta-gradient, before clipping.
    learning_rate: The outer optimizer's learning rate. For a trust region, the
      factor that multiplied the direction.
    finite_tasks: A tensor [B] of the tasks of all replicas: 1 if the task's
      baseline errors, and its loss and meta-gradient at every optimizer step,
      were finite, else 0.
    is_taken: 1 if `train` has updated the parameters. 0 if a number of a task,
      one of these means or a new parameter is not finite: then `train` has
      changed only the step counter.
  """

  policy_loss: types.Tensor
  vf_loss: types.Tensor
  entropy: types.Tensor
  kl: types.Tensor
  inner_kl: types.Tensor
  kl_coefficient: types.Tensor
  inner_loss: types.Tensor
  gradient_norm: types.Tensor
  learning_rate: types.Tensor
  finite_tasks: types.Tensor
  is_taken: types.Tensor


def report(
  problem: meta_problem.MetaProblem,
  info: meta_updates.UpdateInfo,
  inner_kl: types.Tensor,
  finite_tasks: types.Tensor,
  is_taken: types.Tensor,
) -> tf_agent.LossInfo:
  """Returns a replica's share of the report on an update.

  Args:
    problem: The meta-batch as functions of theta.
    info: The report of the update.
    inner_kl: See `MamlLossInfo`.
    finite_tasks: See `MamlLossInfo`.
    is_taken: See `MamlLossInfo`.

  Returns:
    A `LossInfo` whose extra is a `MamlLossInfo`. The sum over replicas gives
    the means over all tasks.
  """
  task_loss, query = info.metrics, problem.batch.query
  baseline_error = replicas.mean(replicas.local_mean(query.baseline_error))
  loss_info = tf_agent.LossInfo(
    task_loss.loss,
    MamlLossInfo(
      policy_loss=task_loss.terms.policy_loss,
      vf_loss=tf.cast(baseline_error, query.baseline_error.dtype),
      entropy=task_loss.terms.entropy,
      kl=task_loss.terms.kl,
      inner_kl=inner_kl,
      kl_coefficient=problem.kl_coefficients,
      inner_loss=task_loss.inner_loss,
      gradient_norm=info.gradient_norm,
      learning_rate=info.learning_rate,
      finite_tasks=finite_tasks,
      is_taken=is_taken,
    ),
  )
  return replicas.share(loss_info)
