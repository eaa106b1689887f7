"""The buffer groups frames by task, pads them and sums rewards."""

import gc
import os

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
  # float32 cannot represent this number.
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


def test_read_frames_do_not_change_with_the_next_stage(buffer):
  _fill(buffer)
  frames = buffer.read()
  before = tf.nest.map_structure(lambda t: t.numpy().copy(), frames)
  _fill(buffer)
  buffer.clear()
  tf.nest.map_structure(np.testing.assert_array_equal, frames, before)


def _address(array):
  return array.__array_interface__['data'][0]


def test_reading_does_not_copy(buffer):
  _fill(buffer)
  held = tf.nest.flatten(buffer.frames())
  read = tf.nest.flatten(buffer.read())
  assert len(read) == len(held) == 7
  for array, tensor in zip(held, read):
    # A tensor's buffer gives its address.
    assert _address(np.asarray(memoryview(tensor))) == _address(array)
    # Eigen's and XLA's vector instructions need this alignment.
    assert _address(array) % 64 == 0
    assert tensor.shape == array.shape


def test_frames_shows_the_contents_without_emptying_the_buffer(buffer):
  _fill(buffer)
  shown = tf.nest.map_structure(np.copy, buffer.frames())
  assert not any(a.flags.writeable for a in tf.nest.flatten(buffer.frames()))
  assert buffer.num_transitions() == 7
  tf.nest.map_structure(np.testing.assert_array_equal, buffer.read(), shown)


def test_holds_any_dtype():
  spec = {
    name: tf.TensorSpec([2], name)
    for name in ('bool', 'uint8', 'float64', 'bfloat16')
  }
  step = tf.TensorSpec([], tf.int32)
  number = tf.TensorSpec([], tf.float32)
  buffer = episode_buffer.EpisodeBuffer(
    trajectory.Trajectory(step, spec, number, (), step, number, number), 1, 1, 1
  )
  one = np.ones(1, np.float32)
  observation = {name: np.ones((1, 2)) for name in spec}
  buffer(trajectory.Trajectory([FIRST], observation, one, (), [LAST], one, one))
  for name, tensor in buffer.read().observation.items():
    assert tensor.dtype == name
    np.testing.assert_array_equal(
      tf.cast(tensor, tf.int32), [[[1, 1], [0, 0]]], err_msg=name
    )


@pytest.mark.parametrize('jit_compile', [False, True])
def test_computing_with_read_frames_does_not_change_them(buffer, jit_compile):
  _fill(buffer)
  read = buffer.read()
  before = read.reward.numpy()

  @tf.function(jit_compile=jit_compile)
  def negated_and_doubled(reward):
    # The runtime would do this in place if it owned the memory.
    return -reward, reward + reward

  negated, doubled = negated_and_doubled(read.reward)
  np.testing.assert_array_equal(read.reward, before)
  np.testing.assert_array_equal(negated, -before)
  np.testing.assert_array_equal(doubled, 2 * before)


def test_tensors_outlive_the_buffer_and_their_views(buffer):
  _fill(buffer)
  reward = buffer.read().reward
  del buffer
  gc.collect()
  # The next owner of the memory would write to it.
  others = [np.full(1000, 7, np.float32) for _ in range(1000)]
  np.testing.assert_array_equal(
    reward, [[1, 5, 5, 2, 6, 6], [3, 0, 0, 4, 8, 8]]
  )
  del others


@pytest.mark.skipif(
  not os.path.exists('/proc/self/clear_refs'), reason='Linux measures peaks'
)
def test_a_stage_is_held_once():
  spec = trajectory.Trajectory(
    step_type=tf.TensorSpec([], tf.int32),
    observation=tf.TensorSpec([99], tf.float32),
    action=tf.TensorSpec([], tf.float32),
    policy_info=(),
    next_step_type=tf.TensorSpec([], tf.int32),
    reward=tf.TensorSpec([], tf.float32),
    discount=tf.TensorSpec([], tf.float32),
  )
  # 800 episodes of 200 frames of 104 numbers: 67 MB.
  stage_bytes = 800 * 200 * 104 * 4
  buffer = episode_buffer.EpisodeBuffer(spec, 40, 20, 199)
  numbers = np.ones(800, np.float32)
  frame = trajectory.Trajectory(
    step_type=np.full(800, MID, np.int32),
    observation=np.ones((800, 99), np.float32),
    action=numbers,
    policy_info=(),
    next_step_type=np.full(800, MID, np.int32),
    reward=numbers,
    discount=numbers,
  )
  before = _peak_bytes()
  kept = []
  for num_stages in (1, 2):
    for _ in range(200):
      buffer(frame)
    assert buffer.num_transitions() == 800 * 200
    kept.append(buffer.read())
    # Half a stage is left for all other uses of memory.
    growth = (_peak_bytes(start_anew=False) - before) / stage_bytes
    assert num_stages - 0.5 < growth < num_stages + 0.5
  assert kept[0].observation.shape == (40, 20 * 200, 99)


def _peak_bytes(start_anew=True):
  """The peak memory of this process since the last reset of the counter."""
  if start_anew:
    with open('/proc/self/clear_refs', 'w', encoding='ascii') as file:
      file.write('5')
  with open('/proc/self/status', encoding='ascii') as file:
    status = dict(line.split(':', 1) for line in file)
  return int(status['VmHWM'].split()[0]) * 1024
