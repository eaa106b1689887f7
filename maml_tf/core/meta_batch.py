"""The data of one meta-iteration: what leaves collection and enters training.

The letters of every docstring:

  B: tasks in a meta-batch, the axis that is vectorised and divided over
    replicas.
  E: episodes per task and stage.
  T: frames per task and stage: E episodes end to end. Unused frames are
    LAST/LAST boundaries.
  N: environments, B * E, grouped by task.
  O, A: observation and action dimensions.
  X: adaptation steps.

Stage s is the data collected after s adaptation steps.
"""

from typing import NamedTuple

import tensorflow as tf
from tf_agents.trajectories import trajectory
from tf_agents.typing import types


class MetaBatch(NamedTuple):
  """All stages of one meta-iteration, on-policy, read once.

  Attributes:
    support: X `Trajectory`s, leaves [B, T, ...]: stage s, collected by the
      policy after s adaptation steps, is the data of adaptation step s + 1.
      `policy_info` holds the parameters of the behaviour distribution.
    query: A `Trajectory`, leaves [B, T, ...]: stage X, collected by the adapted
      policy, on which the outer loss is taken.
    prepared: The same X + 1 stages as `Stage`s, if the collector has prepared
      them. Empty: `train` prepares them.
  """

  support: tuple[trajectory.Trajectory, ...]
  query: trajectory.Trajectory
  prepared: tuple['Stage', ...] = ()


class Stage(NamedTuple):
  """One stage prepared for the losses: a trajectory with its advantages.

  Attributes:
    observation: A nest of tensors [B, T, ...] (of one task: [T, ...]),
      normalised if the agent normalises observations.
    step_type: An int32 tensor [B, T].
    action: A nest of tensors [B, T, ...]: as sampled, never clipped.
    behaviour: The behaviour distribution's parameters, a nest of tensors
      [B, T, ...], stored when the action was sampled; finite on boundaries too.
    behaviour_log_prob: A tensor [B, T]: log-probability of `action` under
      `behaviour`, summed over action dimensions.
    advantage: A tensor [B, T], standardised over each task's valid frames.
    value: A tensor [B, T]: what the baseline predicted for the frame.
    value_target: A tensor [B, T]: the value plus the advantage before it was
      standardised.
    episode_return: A tensor [B]: mean undiscounted return of the episodes.
    baseline_error: A tensor [B]: mean squared error of the baseline.
    mask: A tensor [B, T] of the advantage's dtype: 1 on valid frames, 0 on
      boundaries.
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
  """Returns 1 where a frame is a transition, 0 where it is a boundary."""
  return tf.cast(~experience.is_boundary(), dtype)


def fill_boundaries(
  behaviour: types.NestedTensor, mask: types.Tensor
) -> types.NestedTensor:
  """Replaces what boundaries hold, which may be no distribution at all.

  Boundaries are masked out of every sum, but what is computed from them must be
  finite: they get the parameters of their task's first valid frame, ones if it
  has none.

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
  """Returns the observations of all stages, end to end, and their mask."""
  stages = (*batch.support, batch.query)
  observation = tf.nest.map_structure(
    lambda *tensors: tf.concat(tensors, axis=1),
    *(stage.observation for stage in stages),
  )
  masks = [valid_mask(stage) for stage in stages]
  return observation, tf.concat(masks, axis=1)
