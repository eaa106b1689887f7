"""Frames grouped by task, padded, summed and forgotten."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from maml_tf.collection import episode_buffer

FIRST, MID, LAST = (
  int(step_type)
  for step_type in (ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST)
)

# Two tasks, two episodes each, at most two transitions: N = 4, T = 2 * 3.
NUM_TASKS, NUM_EPISODES, HORIZON = 2, 2, 2


@pytest.fixture(name='buffer')
def create_buffer():
  return episode_buffer.EpisodeBuffer(
    trajectory.Trajectory(
      step_type=tf.TensorSpec([], tf.int32),
      observation={'position': tf.TensorSpec([2], tf.float32)},
      action=tf.TensorSpec([], tf.int64),
      policy_info=({'logits': tf.TensorSpec([3], tf.float32)},),
      next_step_type=tf.TensorSpec([], tf.int32),
      reward=tf.TensorSpec([], tf.float32),
      discount=tf.TensorSpec([], tf.float32),
    ),
    NUM_TASKS,
    NUM_EPISODES,
    HORIZON,
  )


def _frame(step_type, next_step_type, reward, tag):
  """A frame of all four rows; `tag` + row is in every other leaf."""
  numbers = tag + np.arange(4)
  return trajectory.Trajectory(
    step_type=np.array(step_type, np.int32),
    observation={'position': np.stack([numbers, -numbers], 1).astype('f')},
    action=numbers.astype(np.int64),
    policy_info=({'logits': np.stack([numbers] * 3, 1).astype('f')},),
    next_step_type=np.array(next_step_type, np.int32),
    reward=np.array(reward, np.float32),
    discount=np.ones(4, np.float32),
  )


def _fill(buffer):
  """Row 2 ends after one transition, the others after two."""
  buffer(_frame([FIRST] * 4, [MID, MID, LAST, MID], [1, 2, 3, 4], 10))
  buffer(
    _frame([MID, MID, LAST, MID], [LAST, LAST, FIRST, LAST], [5, 6, 0, 8], 20)
  )
  buffer(_frame([LAST] * 4, [LAST] * 4, [5, 6, 0, 8], 30))


def test_frames_of_a_task_stand_end_to_end(buffer):
  _fill(buffer)
  frames = buffer.read()
  np.testing.assert_array_equal(
    frames.step_type,
    [
      [FIRST, MID, LAST, FIRST, MID, LAST],
      [FIRST, LAST, LAST, FIRST, MID, LAST],
    ],
  )
  np.testing.assert_array_equal(
    frames.next_step_type,
    [[MID, LAST, LAST, MID, LAST, LAST], [LAST, FIRST, LAST, MID, LAST, LAST]],
  )
  # Rows 0 and 1 are task 0's, rows 2 and 3 task 1's.
  numbers = np.array([[10, 20, 30, 11, 21, 31], [12, 22, 32, 13, 23, 33]])
  np.testing.assert_array_equal(frames.action, numbers)
  np.testing.assert_array_equal(
    frames.observation['position'], np.stack([numbers, -numbers], 2)
  )
  np.testing.assert_array_equal(
    frames.policy_info[0]['logits'], np.stack([numbers] * 3, 2)
  )
  np.testing.assert_array_equal(
    frames.reward, [[1, 5, 5, 2, 6, 6], [3, 0, 0, 4, 8, 8]]
  )


def test_leaves_have_the_dtypes_of_the_spec(buffer):
  frames = buffer.read()
  assert frames.step_type.dtype == tf.int32
  assert frames.action.dtype == tf.int64
  assert frames.reward.dtype == tf.float32
  assert all(isinstance(t, tf.Tensor) for t in tf.nest.flatten(frames))


def test_returns_are_sums_over_transitions(buffer):
  _fill(buffer)
  # Row 0: 1 + 5, row 1: 2 + 6, row 2: 3, row 3: 4 + 8.
  np.testing.assert_array_equal(buffer.episode_returns(), [[6, 8], [3, 12]])
  assert buffer.num_transitions() == 2 + 2 + 1 + 2


def test_returns_are_summed_in_double_precision(buffer):
  buffer(_frame([FIRST] * 4, [MID] * 4, [2.0**24] * 4, 0))
  buffer(_frame([MID] * 4, [LAST] * 4, [1.0] * 4, 0))
  # float32 has no such number.
  assert buffer.episode_returns().tolist() == [[2**24 + 1] * 2] * 2


def test_unused_frames_are_boundaries_of_zeros(buffer):
  buffer(_frame([FIRST] * 4, [LAST] * 4, [1, 2, 3, 4], 10))
  frames = buffer.read()
  unused = np.array([[False, True, True] * 2] * 2)
  np.testing.assert_array_equal(frames.is_boundary(), unused)
  np.testing.assert_array_equal(frames.next_step_type, LAST)
  for leaf in (
    frames.action,
    frames.reward,
    frames.discount,
    frames.observation['position'],
    frames.policy_info[0]['logits'],
  ):
    assert np.all(leaf.numpy()[unused] == 0)


def test_an_empty_buffer_has_no_valid_frame(buffer):
  assert buffer.num_transitions() == 0
  np.testing.assert_array_equal(buffer.episode_returns(), np.zeros([2, 2]))
  assert np.all(buffer.read().is_boundary())


def test_a_frame_too_many_is_an_error_and_changes_nothing(buffer):
  _fill(buffer)
  with pytest.raises(ValueError, match='one stage of 3 frames: read it'):
    buffer(_frame([FIRST] * 4, [MID] * 4, [9, 9, 9, 9], 40))
  np.testing.assert_array_equal(buffer.episode_returns(), [[6, 8], [3, 12]])


@pytest.mark.parametrize('empty', ['read', 'clear'])
def test_nothing_is_left_for_the_next_stage(buffer, empty):
  _fill(buffer)
  getattr(buffer, empty)()
  assert buffer.num_transitions() == 0
  buffer(_frame([FIRST] * 4, [LAST] * 4, [1, 2, 3, 4], 50))
  np.testing.assert_array_equal(buffer.episode_returns(), [[1, 2], [3, 4]])
  np.testing.assert_array_equal(
    buffer.read().action, [[50, 0, 0, 51, 0, 0], [52, 0, 0, 53, 0, 0]]
  )


def test_what_was_read_does_not_change_with_the_next_stage(buffer):
  _fill(buffer)
  frames = buffer.read()
  before = tf.nest.map_structure(lambda t: t.numpy().copy(), frames)
  _fill(buffer)
  buffer.clear()
  tf.nest.map_structure(np.testing.assert_array_equal, frames, before)
