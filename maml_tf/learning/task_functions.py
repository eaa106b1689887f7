"""An agent's compiled functions: prepare stages, adapt, make a meta-problem."""

import tensorflow as tf
from tf_agents.trajectories import trajectory
from tf_agents.typing import types

from maml_tf.core import meta_batch
from maml_tf.core import observation_normalizer
from maml_tf.core import replicas
from maml_tf.learning import baselines
from maml_tf.learning import batched_inner_loop
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_problem
from maml_tf.learning import one_task
from maml_tf.learning import placement as placement_lib
from maml_tf.learning import stage_preparation


class TaskFunctions:
  """The functions of one task, vectorised over all tasks and compiled.

  Attributes:
    placement: Where and how they are computed.
    task: The functions of one task.
    means: Compiled means of the same functions over tasks.
    preparation: Makes a `Stage` from a `Trajectory`.
    inner_loop: Takes one adaptation step for all tasks.
  """

  def __init__(
    self,
    task: one_task.OneTask,
    baseline: baselines.Baseline,
    normalizer: observation_normalizer.ObservationNormalizer | None,
    discount: float,
    gae_lambda: float,
    placement: placement_lib.Placement,
  ):
    """Wraps the functions; each compiles at its first call.

    Args:
      task: The functions of one task.
      baseline: The baseline of the advantages.
      normalizer: Normalises observations. None: they are not normalised.
      discount: gamma.
      gae_lambda: lambda.
      placement: Where and how they are computed.
    """
    _, jit_compile, chunk_size = placement
    self.placement = placement
    self.task = task
    self.means = meta_problem.MeanFunctions(task, chunk_size, jit_compile)
    preparation_parts = (task, baseline, normalizer, discount, gae_lambda)
    self.preparation = stage_preparation.StagePreparation(
      *preparation_parts, chunk_size, jit_compile
    )
    self.inner_loop = batched_inner_loop.BatchedInnerLoop(
      task, chunk_size, jit_compile
    )
    self._preparation_parts = preparation_parts

  def adapt_alone(
    self,
    experience: trajectory.Trajectory,
    policy_state: inner_loop_lib.Parameters,
    step: types.Tensor,
  ) -> inner_loop_lib.Parameters:
    """Adapts a single task in the caller's graph, without chunks and XLA.

    Args:
      experience: A `Trajectory`, leaves [1, T, ...].
      policy_state: The parameters that collected it, leaves [1, ...].
      step: The index of the adaptation step, a tensor [1].

    Returns:
      The new policy state, leaves [1, ...].
    """
    placement = {'chunk_size': None, 'jit_compile': False}
    stage = stage_preparation.StagePreparation(
      *self._preparation_parts, **placement
    ).prepare(experience, policy_state)
    inner_loop = batched_inner_loop.BatchedInnerLoop(self.task, **placement)
    return inner_loop.step(stage, policy_state, step)

  def meta_problem(
    self,
    batch: meta_batch.MetaBatch,
    initial_state: inner_loop_lib.Parameters,
    kl_coefficients: types.Tensor,
  ) -> meta_problem.MetaProblem:
    """Returns a meta-batch as functions of theta; runs inside a replica.

    Args:
      batch: A `MetaBatch`, leaves [B, T, ...], of this replica's tasks. Stages
        that the collector has not prepared are prepared here.
      initial_state: The policy state of stage 0, leaves [B, ...].
      kl_coefficients: A tensor [X]: weights of the inner KLs.
    """
    stages = batch.prepared or self._prepare_in_turn(batch, initial_state)
    *support, query = stages
    return_score = replicas.standardize(query.episode_return)
    prepared = meta_batch.PreparedBatch(tuple(support), query, return_score)
    return meta_problem.MetaProblem(
      self.means, prepared, tf.identity(kl_coefficients)
    )

  def _prepare_in_turn(self, batch, state):
    """Prepares the stages of a batch that TF-Agents' own parts collected.

    A value network predicts with the parameters that acted. Such a batch does
    not contain them: this repeats the adaptation, stage by stage.
    """
    prepared = []
    for step, stage in enumerate(batch.support):
      prepared.append(self.preparation.prepare(stage, state))
      if self.task.has_values:
        state = self.inner_loop.step(prepared[-1], state, step)
    return (*prepared, self.preparation.prepare(batch.query, state))
