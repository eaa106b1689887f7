"""The data of one meta-iteration, which collection passes to training.

All docstrings use these letters:

  B: The number of tasks in a meta-batch. `vectorized_map` runs over this axis,
    and `tf.distribute` divides it over replicas.
  E: The number of episodes per task and stage.
  T: The number of frames per task and stage: E episodes end to end. Unused
    frames are LAST/LAST boundaries.
  N: The number of environments, B * E, grouped by task.
  O, A: Observation and action dimensions.
  X: The number of adaptation steps.

Stage s is the data collected after s adaptation steps.
"""

from typing import NamedTuple

import tensorflow as tf
from tf_agents.trajectories import trajectory
from tf_agents.typing import types

from maml_tf.core import tf_agents_on_numpy2

# All that uses TF-Agents here, library and commands, imports this module.
tf_agents_on_numpy2.apply()


class MetaBatch(NamedTuple):
  """All stages of one meta-iteration, on-policy, read once.

  Attributes:
    support: A tuple of X `Trajectory`s, leaves [B, T, ...]. The policy
      collected item s, which is stage s, after s adaptation steps. Adaptation
      step s + 1 learns from it. `policy_info` holds the parameters of the
      behaviour distribution.
    query: A `Trajectory`, leaves [B, T, ...]: stage X, collected by the adapted
      policy. The outer loss is computed on it.
    prepared: The same X + 1 stages as `Stage`s if the collector has prepared
      them. If it is empty, `train` prepares them: empty it when you change one
      of the trajectories.
  """

  support: tuple[trajectory.Trajectory, ...]
  query: trajectory.Trajectory
  prepared: tuple['Stage', ...] = ()


class Stage(NamedTuple):
  """One stage prepared for the losses: a trajectory with its advantages.

  Attributes:
    observation: A nest of tensors [B, T, ...] (one task: [T, ...]), normalised
      if the agent normalises observations.
    step_type: An int32 tensor [B, T].
    action: A nest of tensors [B, T, ...], as sampled, never clipped.
    behaviour: The parameters of the behaviour distribution, a nest of tensors
      [B, T, ...], stored when the action was sampled. They are finite on
      boundaries, too.
    behaviour_log_prob: A tensor [B, T]: log-probability of `action` under
      `behaviour`, summed over action dimensions.
    advantage: A tensor [B, T], standardised over each task's valid frames.
    value: A tensor [B, T]: the baseline's prediction for the frame.
    value_target: A tensor [B, T]: the value plus the advantage before
      standardisation.
    episode_return: A tensor [B]: mean undiscounted return of the episodes.
    baseline_error: A tensor [B]: mean squared error of the baseline.
    mask: A tensor [B, T] of the advantage's dtype: 1 on valid frames, 0 on
      boundaries.
    policy_gradient_weight: A tensor [B, T]: gamma^t times the advantage before
      standardisation, where t counts the steps of the episode. Only surrogates
      with `exact` read it.
  """

  observation: types.NestedTensor
  step_type: types.Tensor
  action: types.NestedTensor
  behaviour: types.NestedTensor
  behaviour_log_prob: types.Tensor
  advantage: types.Tensor
  value: types.Tensor
  value_target: types.Tensor
  episode_return: types.Tensor
  baseline_error: types.Tensor
  mask: types.Tensor
  policy_gradient_weight: types.Tensor | tuple[()] = ()


class PreparedBatch(NamedTuple):
  """A meta-batch as the outer loss reads it.

  Attributes:
    support: X `Stage`s, leaves [B, T, ...] (of one task: [T, ...]).
    query: A `Stage`.
    return_score: A tensor [B]: the query's `episode_return`, standardised over
      the tasks of all replicas.
  """

  support: tuple[Stage, ...]
  query: Stage
  return_score: types.Tensor


def valid_mask(
  experience: trajectory.Trajectory, dtype: tf.DType = tf.float32
) -> types.Tensor:
  """Returns the mask of valid frames.

  Args:
    experience: A `Trajectory`, leaves [B, T, ...].
    dtype: The type of the mask.

  Returns:
    A tensor [B, T]: 1 on transitions, 0 on boundaries.
  """
  return tf.cast(~experience.is_boundary(), dtype)


def fill_boundaries(
  behaviour: types.NestedTensor, mask: types.Tensor
) -> types.NestedTensor:
  """Replaces the parameters on boundaries, which may be invalid.

  Every sum masks boundaries out, but the masked numbers must still be finite.
  So boundaries get the parameters of their task's first valid frame, or ones if
  there is no valid frame.

  Args:
    behaviour: A nest of tensors [B, T, ...].
    mask: A tensor [B, T]: 1 on valid frames.

  Returns:
    A nest like `behaviour`.
  """
  first = tf.argmax(mask, axis=1, output_type=tf.int32)
  valid = mask > 0

  def fill(tensor):
    inner = [tf.newaxis] * (tensor.shape.rank - 2)
    substitute = tf.gather(tensor, first[:, tf.newaxis], batch_dims=1)
    is_any = tf.reduce_any(valid, axis=1, keepdims=True)[(..., *inner)]
    substitute = tf.where(is_any, substitute, tf.ones_like(substitute))
    condition = valid[(..., *inner)]
    return tf.where(condition, tensor, substitute)

  return tf.nest.map_structure(fill, behaviour)


def valid_observations(
  batch: MetaBatch,
) -> tuple[types.NestedTensor, types.Tensor]:
  """Returns the observations of all stages, end to end, and their mask.

  Args:
    batch: A `MetaBatch` of X + 1 stages.

  Returns:
    A nest of tensors [B, (X + 1) * T, ...], and a float32 mask [B, (X + 1) *
    T].
  """
  stages = (*batch.support, batch.query)
  observation = tf.nest.map_structure(
    lambda *tensors: tf.concat(tensors, axis=1),
    *(stage.observation for stage in stages),
  )
  masks = [valid_mask(stage) for stage in stages]
  return observation, tf.concat(masks, axis=1)
