"""Rows of stock drivers, regrouped: by hand, and against row-by-row numpy."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from maml_tf.collection import episode_buffer
from maml_tf.collection import episode_driver
from maml_tf.collection import regrouping
from maml_tf.learning import advantages
from tests.collection import scripted_policy
from tests.environments import countdown_environment

F, M, L = (
  int(t) for t in (ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST)
)
FRAME_SPEC = trajectory.Trajectory(
  step_type=tf.TensorSpec((), tf.int32),
  observation=tf.TensorSpec((1,), tf.float32),
  action=tf.TensorSpec((1,), tf.float32),
  policy_info={'loc': tf.TensorSpec((1,), tf.float32)},
  next_step_type=tf.TensorSpec((), tf.int32),
  reward=tf.TensorSpec((), tf.float32),
  discount=tf.TensorSpec((), tf.float32),
)
STATE_SPEC = (tf.TensorSpec((3, 2)), tf.TensorSpec((2,)))


def _rows(step_type, next_step_type, discount=None, seed=0):
  """A `Trajectory` of arrays [N, T', ...] with random contents."""
  step_type = np.array(step_type, np.int32)
  generator = np.random.default_rng(seed)

  def draw(*shape):
    return generator.normal(size=(*step_type.shape, *shape)).astype(np.float32)

  if discount is None:
    discount = np.ones(step_type.shape)
  return trajectory.Trajectory(
    step_type=step_type,
    observation=draw(1),
    action=draw(1),
    policy_info={'loc': draw(1)},
    next_step_type=np.array(next_step_type, np.int32),
    reward=draw(),
    discount=np.array(discount, np.float32),
  )


def _regroup(rows, num_tasks):
  stage = regrouping.group_by_task(rows, num_tasks, FRAME_SPEC)
  return tf.nest.map_structure(lambda t: t.numpy(), stage)


@pytest.mark.parametrize(
  'row, expected',
  [
    # A whole episode with its boundary: as it was.
    ((F, M, M, L, M, M, L, F), (F, M, M, L, M, M, L, F)),
    # The second episode is cut off: its last frame holds its last state.
    ((F, L, F, M, L, F, M, M), (F, L, F, L, L, F, L, L)),
    # A single frame of an episode contains no transition.
    ((F, M, L, F, M, L, F, M), (F, M, L, L, M, L, L, L)),
    # The middle of an episode becomes an episode.
    ((M, M, M, M, M, M, M, M), (F, M, M, L, M, M, L, L)),
    # The driver began anew in the middle of an episode.
    ((F, M, F, M, M, M, M, M), (F, L, F, L, L, L, L, L)),
    # The boundary is missing, and the episode did not terminate.
    ((M, M, F, M, M, L, M, M), (F, L, F, L, L, L, L, L)),
    # It ended with the row, cut off by the time limit.
    ((F, M, M, M, M, M, M, L), (F, M, M, L, M, M, L, L)),
    # Padding.
    ((F, L, L, L, L, L, L, L), (F, L, L, L, L, L, L, L)),
  ],
)
def test_pieces_of_episodes_become_episodes(row, expected):
  """Each row: four step types, then the four that follow them."""
  rows = _rows([row[:4]], [row[4:]])
  closed = _regroup(rows, 1)
  boundary = np.array(expected[:4]) == L
  np.testing.assert_array_equal(closed.step_type[0], expected[:4])
  # The next step type of a boundary has no meaning.
  np.testing.assert_array_equal(
    closed.next_step_type[0][~boundary], np.array(expected[4:])[~boundary]
  )


def test_a_transition_that_terminates_needs_no_successor():
  rows = _rows([[F, M, F, M]], [[M, L, M, L]], [[1, 0, 1, 0]])
  closed = _regroup(rows, 1)
  np.testing.assert_array_equal(closed.step_type, rows.step_type)
  np.testing.assert_array_equal(closed.next_step_type, rows.next_step_type)


def _walk(generator, num_rows, length):
  """Rows of a driver that starts in the middle of episodes."""
  step_type = np.zeros((num_rows, length), np.int32)
  next_step_type, discount = step_type.copy(), np.ones((num_rows, length))
  for row in range(num_rows):
    now = generator.choice([F, M, L])
    for t in range(length):
      ends = generator.random() < 0.25
      following = F if now == L else L if ends else M
      if following == L and generator.random() < 0.5:
        discount[row, t] = 0
      step_type[row, t], next_step_type[row, t] = now, following
      now = following
  return _rows(step_type, next_step_type, discount, generator.integers(99))


def _row_by_row(rows, values, gamma, gae_lambda):
  """Advantages [N, T'] by recursion in each row, and the mask of them."""
  num_rows, length = rows.step_type.shape
  result = np.zeros((num_rows, length))
  valid = np.zeros((num_rows, length), bool)
  for row in range(num_rows):
    following = 0.0
    for t in reversed(range(length)):
      if rows.step_type[row, t] == L:
        following = 0.0
        continue
      terminates = rows.discount[row, t] == 0
      if t == length - 1 and not terminates:
        continue  # The observation that follows is not known.
      delta = rows.reward[row, t] - values[row, t]
      if not terminates:
        delta += gamma * values[row, t + 1]
      else:
        following = 0.0
      following = delta + gamma * gae_lambda * following
      result[row, t], valid[row, t] = following, True
  return result, valid


@pytest.mark.parametrize('seed', range(5))
def test_advantages_never_cross_rows(seed):
  generator = np.random.default_rng(seed)
  num_tasks, per_task, length = 3, 4, 6
  rows = _walk(generator, num_tasks * per_task, length)
  expected, valid = _row_by_row(rows, rows.observation[..., 0], 0.9, 0.8)
  stage = regrouping.group_by_task(rows, num_tasks, FRAME_SPEC)
  mask = tf.cast(~stage.is_boundary(), tf.float32)
  actual = advantages.generalized_advantages(
    stage.reward,
    0.9 * stage.discount,
    stage.next_step_type,
    stage.observation[..., 0],
    mask,
    0.8,
  )
  shape = num_tasks, per_task * length
  np.testing.assert_array_equal(mask, valid.reshape(shape))
  np.testing.assert_allclose(actual, expected.reshape(shape), atol=1e-5)
  # The position in an episode begins anew with each row.
  position = advantages.episode_position(stage.step_type).numpy()
  assert position[valid.reshape(shape)].max() < length
  assert valid.any() and not valid.all()


def test_rows_are_grouped_by_task():
  rows = _rows(np.full((6, 2), F), np.full((6, 2), L), np.zeros((6, 2)))
  stage = _regroup(rows, 3)
  # Row b * E + e is a part of task b.
  for task in range(3):
    for name in ('observation', 'action', 'reward', 'step_type'):
      np.testing.assert_array_equal(
        getattr(stage, name)[task],
        np.concatenate(
          [getattr(rows, name)[2 * task], getattr(rows, name)[2 * task + 1]]
        ),
      )
  assert stage.policy_info['loc'].shape == (3, 4, 1)


def test_frames_of_our_driver_do_not_change():
  environment = countdown_environment.CountdownEnvironment(2, 2, horizon=4)
  environment.set_tasks([2, 9])  # The second task is cut off by the horizon.
  spec = FRAME_SPEC._replace(
    observation=tf.TensorSpec((2,)), policy_info=tf.TensorSpec((2,))
  )
  buffer = episode_buffer.EpisodeBuffer(spec, 2, 2, 4)
  policy = scripted_policy.ScriptedPolicy()
  driver = episode_driver.EpisodeDriver(environment, policy, [buffer], 4)
  driver.run((), (np.ones((4, 4, 1), np.float32),))
  stage = buffer.read()
  rows = tf.nest.map_structure(
    lambda t: tf.reshape(t, [4, 5, *t.shape[2:]]), stage
  )
  for experience in (stage, rows):
    tf.nest.map_structure(
      np.testing.assert_array_equal,
      regrouping.group_by_task(experience, 2, spec),
      stage,
    )


def test_sizes_may_be_unknown_when_traced():
  rows = tf.nest.map_structure(
    tf.constant, _walk(np.random.default_rng(0), 6, 4)
  )
  state = tuple(tf.random.normal([3, *s.shape]) for s in STATE_SPEC)
  signature = tf.nest.map_structure(
    lambda s: tf.TensorSpec([None, None, *s.shape], s.dtype), FRAME_SPEC
  )
  state_signature = tuple(tf.TensorSpec([None, *s.shape]) for s in STATE_SPEC)

  @tf.function(input_signature=[signature, state_signature])
  def regroup(experience, policy_state):
    return regrouping.stage_and_state(
      experience, policy_state, None, FRAME_SPEC, STATE_SPEC
    )

  tf.nest.map_structure(
    np.testing.assert_array_equal,
    regroup(rows, state),
    regrouping.stage_and_state(rows, state, None, FRAME_SPEC, STATE_SPEC),
  )


@pytest.mark.parametrize('num_tasks, num_sets', [(None, 2), (2, 2), (2, 6)])
def test_a_state_for_each_task_or_for_each_row(num_tasks, num_sets):
  rows = _walk(np.random.default_rng(0), 6, 4)
  state = tuple(tf.random.normal([2, *spec.shape]) for spec in STATE_SPEC)
  given = tuple(tf.repeat(p, num_sets // 2, axis=0) for p in state)
  stage, actual = regrouping.stage_and_state(
    rows, given, num_tasks, FRAME_SPEC, STATE_SPEC
  )
  assert stage.reward.shape == (2, 12)
  for parameter, expected in zip(actual, state, strict=True):
    np.testing.assert_array_equal(parameter, expected)


def _state(num_sets):
  return tuple(tf.zeros([num_sets, *spec.shape]) for spec in STATE_SPEC)


@pytest.mark.parametrize(
  'change, num_tasks, num_sets, message',
  [
    ({}, None, 4, '^experience has 6 rows, which 4 tasks cannot share: give'),
    ({}, 4, 6, '^experience has 6 rows, which 4 tasks cannot share: give'),
    ({}, 0, 6, '^num_tasks is 0: give an integer of at least 1$'),
    ({}, 2, 3, '^policy_state has 3 parameter sets: .* 2 tasks, .* 6 rows$'),
    ({'policy_info': ()}, 2, 2, '^experience is not what collect_policy'),
    ({'reward': np.zeros((6,))}, 2, 2, r'^experience.reward has shape \(6,\)'),
    ({'reward': np.zeros((6, 3))}, 2, 2, r'^experience.reward .* \(6, 3\)'),
    (
      {'observation': np.zeros((6, 4, 2))},
      2,
      2,
      r'^experience.observation has shape \(6, 4, 2\), expected .* \(1,\) ',
    ),
  ],
)
def test_each_error_is_one_clear_line(change, num_tasks, num_sets, message):
  rows = _walk(np.random.default_rng(0), 6, 4)._replace(**change)
  with pytest.raises(ValueError, match=message) as raised:
    regrouping.stage_and_state(
      rows, _state(num_sets), num_tasks, FRAME_SPEC, STATE_SPEC
    )
  assert '\n' not in str(raised.value)


@pytest.mark.parametrize(
  'state', [(), _state(2)[:1], (tf.zeros([2, 3, 2]), tf.zeros([2, 3]))]
)
def test_a_state_of_another_shape(state):
  rows = _walk(np.random.default_rng(0), 6, 4)
  with pytest.raises(ValueError, match='^policy_state has shapes .*: give'):
    regrouping.stage_and_state(rows, state, 2, FRAME_SPEC, STATE_SPEC)
