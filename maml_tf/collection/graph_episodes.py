"""One episode in every row of some tasks, as a function of tensors."""

from typing import Any
from typing import NamedTuple

import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.typing import types

from maml_tf.collection import adapted_policy
from maml_tf.environments.in_graph import batched_rows


class _Rows(NamedTuple):
  """What the loop over time carries for n rows.

  Attributes:
    state: The states, leaves [n, ...].
    observation: The observations, leaves [n, ...]; 0 in rows whose episode
      ended before the last step.
    is_alive: A bool tensor [n]: whether the episode goes on.
    length: An int32 tensor [n]: transitions so far.
  """

  state: types.NestedTensor
  observation: types.NestedTensor
  is_alive: types.Tensor
  length: types.Tensor


class GraphEpisodes:
  """Plays E episodes of each of c tasks in a loop over time."""

  def __init__(
    self,
    rows: batched_rows.BatchedRows,
    policy: adapted_policy.AdaptedPolicy,
    horizon: int,
  ):
    """Stores the parts.

    Args:
      rows: The environment's start and step.
      policy: The policy.
      horizon: The maximum number of transitions of an episode.
    """
    self._batched_rows = rows
    self._policy = policy
    self._horizon = horizon

  def play(
    self,
    policy_state: adapted_policy.Parameters,
    tasks: types.Tensor,
    starts: types.Tensor,
    noise: adapted_policy.Noise,
  ) -> trajectory.Trajectory:
    """Plays one episode in each of n = c * E rows.

    The loop ends when all episodes have ended, or at the horizon.

    Args:
      policy_state: The parameters, leaves [c, ...].
      tasks: A float32 tensor [c, ...].
      starts: A float32 tensor [c, E, ...]: the noise of the starts.
      noise: One tensor [c, horizon, E, *shape] for each of the policy's noise
        specs.

    Returns:
      A `Trajectory`, leaves [c, T, ...], as `EpisodeBuffer` gives it: each
      episode is its transitions, a LAST frame with the final observation, and
      LAST/LAST padding. Other numbers of boundaries are 0, discounts 1.
    """
    num_tasks, each = starts.shape[:2]
    row_tasks = tf.repeat(tasks, each, axis=0)
    starts = _merge(starts)
    state, observation = self._batched_rows.reset(row_tasks, starts)
    rows = _Rows(
      state,
      observation,
      tf.fill([num_tasks * each], True),
      tf.zeros([num_tasks * each], tf.int32),
    )

    def act_and_step(t, rows):
      return self._act_and_step(t, rows, policy_state, row_tasks, noise)

    frame_spec = _specs(
      tf.function(act_and_step, autograph=False)
      .get_concrete_function(tf.TensorSpec([], tf.int32), _specs(rows))
      .structured_outputs[1]
    )
    arrays = [
      tf.TensorArray(s.dtype, self._horizon + 1, element_shape=s.shape)
      for s in tf.nest.flatten(frame_spec)
    ]

    def body(t, rows, terminated, arrays):
      rows, frame, ends = act_and_step(t, rows)
      arrays = [
        array.write(t, value)
        for array, value in zip(arrays, tf.nest.flatten(frame))
      ]
      return t + 1, rows, terminated | ends, arrays

    end, rows, terminated, arrays = tf.while_loop(
      lambda t, rows, *_: tf.reduce_any(rows.is_alive),
      body,
      (tf.constant(0), rows, tf.zeros_like(rows.is_alive), arrays),
      maximum_iterations=self._horizon,
      parallel_iterations=1,
    )
    frames = tf.nest.pack_sequence_as(frame_spec, arrays)
    # The last episodes end here.
    frames = frames._replace(
      observation=tf.nest.map_structure(
        lambda array, value: array.write(end, value),
        frames.observation,
        rows.observation,
      )
    )
    frames = tf.nest.map_structure(_rows_first, frames)
    stage = self._with_types(frames, rows.length, terminated)
    return tf.nest.map_structure(
      lambda t: tf.reshape(t, [num_tasks, -1, *t.shape[2:]]), stage
    )

  def _act_and_step(self, t, rows, policy_state, row_tasks, noise):
    """Returns the rows after step t, its frame, and which rows terminate."""
    first = tf.equal(t, 0)
    step_type = tf.where(first, ts.StepType.FIRST, ts.StepType.MID)
    step_type = tf.fill(rows.length.shape, step_type)
    step = adapted_policy.act_batch_invariant(
      self._policy,
      ts.TimeStep(step_type, (), (), rows.observation),
      policy_state,
      tuple(_merge(n[:, t]) for n in noise),
    )
    state, observation, reward, terminated = self._batched_rows.step(
      row_tasks, rows.state, step.action
    )
    is_alive = rows.is_alive
    frame = _Frame(
      rows.observation,
      *_zero_unless(is_alive, (step.action, step.info, reward)),
    )
    after = _Rows(
      state,
      _zero_unless(is_alive, observation),
      is_alive & ~terminated,
      rows.length + tf.cast(is_alive, tf.int32),
    )
    return after, frame, is_alive & terminated

  def _with_types(self, frames, length, terminated):
    """Returns a `Trajectory` [n, horizon + 1, ...], given episodes' ends."""
    t = tf.range(self._horizon + 1)
    end = length[:, tf.newaxis]
    last = tf.constant(ts.StepType.LAST)
    middle = tf.where(tf.equal(t, 0), ts.StepType.FIRST, ts.StepType.MID)
    is_end = tf.equal(t + 1, end) & terminated[:, tf.newaxis]
    return trajectory.Trajectory(
      step_type=tf.where(t < end, middle, last),
      observation=frames.observation,
      action=frames.action,
      policy_info=frames.policy_info,
      next_step_type=tf.where(t + 1 < end, ts.StepType.MID, last),
      reward=frames.reward,
      discount=tf.cast(~is_end, tf.float32),
    )


class _Frame(NamedTuple):
  """What is recorded of a step."""

  observation: Any
  action: Any
  policy_info: Any
  reward: Any


def _zero_unless(condition, nest):
  """Returns tensors [n, ...] that are 0 where a bool tensor [n] is False."""
  # Unlike `tf.where`, this operation selects whole rows: it takes a fifth of
  # the time.
  return tf.nest.map_structure(
    lambda t: tf.raw_ops.Select(condition=condition, x=t, y=tf.zeros_like(t)),
    nest,
  )


def _merge(tensor):
  """Merges tasks and episodes: [c, E, ...] to [n, ...]."""
  num_tasks, each, *rest = tensor.shape
  return tf.reshape(tensor, [num_tasks * each, *rest])


def _rows_first(array):
  """Makes [n, horizon + 1, ...] of a `TensorArray` of frames [n, ...]."""
  frames = array.stack()
  rest = range(2, frames.shape.rank)
  return tf.transpose(frames, [1, 0, *rest])


def _specs(nest):
  return tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), nest)
