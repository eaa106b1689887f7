"""The report of a meta-train step."""

from typing import NamedTuple

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.typing import types

from maml_tf.core import replicas
from maml_tf.learning import meta_problem
from maml_tf.learning import meta_updates


class MamlLossInfo(NamedTuple):
  """The parts of the meta-loss, means over all tasks.

  Attributes:
    policy_loss: Minus the outer surrogate.
    vf_loss: Mean squared error of the baseline on the query stage.
    entropy: Of the adapted policy on the query stage, nats.
    kl: KL(behaviour || adapted policy) on the query stage, nats.
    inner_kl: A tensor [X]: KL(behaviour || policy before the step) on each
      support stage, nats; after `train`, under the new meta-parameters.
    kl_coefficient: A tensor [X]: what weighed the inner KL.
    inner_loss: A tensor [X]: the inner loss before each adaptation step.
    gradient_norm: Global norm of the meta-gradient, before clipping.
    learning_rate: The outer optimizer's; of a trust region, what the direction
      was multiplied by.
    finite_tasks: A tensor [B], over all replicas: 1 where the task's baseline
      errors, and its loss and meta-gradient at every optimizer step, were
      finite, else 0.
    is_taken: 1; 0 where one of a task's numbers, of these means or of what
      became of the parameters is not finite: then `train` has changed nothing
      but the step counter.
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
  """Returns a replica's share of the report on an update, a `MamlLossInfo`.

  Args:
    problem: The meta-batch.
    info: What the update reports.
    inner_kl: See `MamlLossInfo`.
    finite_tasks: See `MamlLossInfo`.
    is_taken: See `MamlLossInfo`.
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
