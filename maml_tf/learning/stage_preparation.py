"""Prepares a collected stage for the losses.

Preparation normalises observations, fits the baseline, and computes advantages
and log-probabilities under the behaviour. It happens once per stage. Adaptation
and every optimizer step then read the result.
"""

import tensorflow as tf
from tf_agents.trajectories import trajectory

from maml_tf.core import action_distributions
from maml_tf.core import meta_batch
from maml_tf.core import observation_normalizer
from maml_tf.learning import advantages
from maml_tf.learning import baselines
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import one_task
from maml_tf.learning import task_map


class StagePreparation:
  """Makes a `Stage` from a `Trajectory`, both with leaves [B, T, ...]."""

  def __init__(
    self,
    task: one_task.OneTask,
    baseline: baselines.Baseline,
    normalizer: observation_normalizer.ObservationNormalizer | None,
    discount: float,
    gae_lambda: float,
    chunk_size: task_map.ChunkSize,
    jit_compile: bool,
  ):
    """Stores the parts; the arguments are those of `TaskFunctions`."""
    self._task = task
    self._baseline = baseline
    self._normalizer = normalizer
    self._discount = discount
    self._gae_lambda = gae_lambda
    self._chunk_size = chunk_size
    self._compute = task_map.compile_for_frames(self._computed, jit_compile)

  def prepare(
    self,
    experience: trajectory.Trajectory,
    policy_state: inner_loop_lib.Parameters = (),
  ) -> meta_batch.Stage:
    """Prepares one stage.

    Args:
      experience: A `Trajectory`, leaves [B, T, ...].
      policy_state: The parameters that acted, leaves [B, ...]. Only a value
        network uses them: it predicts with them.

    Returns:
      A `Stage`, leaves [B, T, ...].
    """
    # With several replicas, XLA cannot read variables: pass their values.
    statistics = self._normalizer.statistics() if self._normalizer else None
    if not self._task.has_values:
      policy_state = ()
    elif not policy_state:
      raise ValueError(
        'policy_state is missing: give the parameters that acted, with which'
        ' the value network predicts'
      )
    computed = self._compute(experience, statistics, policy_state)
    if statistics is None:
      # Keep the same tensors: a copy would double their memory.
      computed['observation'] = experience.observation
    return meta_batch.Stage(
      step_type=experience.step_type, action=experience.action, **computed
    )

  def _computed(self, experience, statistics, policy_state):
    """Computes the fields of a `Stage` that are not those of the frames."""
    if self._normalizer is not None:
      observation = self._normalizer.normalize(
        experience.observation, statistics
      )
      experience = experience._replace(observation=observation)
    mask = meta_batch.valid_mask(experience, experience.reward.dtype)
    behaviour = meta_batch.fill_boundaries(experience.policy_info, mask)
    estimate, log_prob = task_map.map_chunks(
      self._estimate, (experience, behaviour, policy_state), self._chunk_size
    )
    computed = {
      'behaviour': behaviour,
      'behaviour_log_prob': log_prob,
      'mask': mask,
      **estimate._asdict(),
    }
    if statistics is not None:
      computed['observation'] = experience.observation
    return computed

  def _estimate(self, tasks):
    """Computes advantages and log-probabilities of a chunk of tasks."""
    experience, behaviour, policy_state = tasks
    baseline = self._baseline
    if self._task.has_values:
      frames = (policy_state, experience.observation, experience.step_type)
      baseline = baselines.GivenValues(
        tf.vectorized_map(lambda task: self._task.values(*task), frames)
      )
    estimate = advantages.estimate(
      experience, baseline, self._discount, self._gae_lambda
    )
    log_prob = action_distributions.log_prob(
      self._task.distributions.from_tensors(behaviour),
      experience.action,
      outer_dims=2,
    )
    return estimate, log_prob
