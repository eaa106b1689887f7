"""The contract of every task environment."""

import gin
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.environments import tf_py_environment
from tf_agents.environments import utils
from tf_agents.trajectories import time_step as ts

from maml_tf.environments import half_cheetah_bodies
from maml_tf.environments import humanoid
from maml_tf.environments import locomotion
from maml_tf.environments import point_navigation
from tests.environments import countdown_environment
from tests.environments import labelled_corridors

FIRST, MID, LAST = (
  int(step_type)
  for step_type in (ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST)
)

ENVIRONMENTS = (
  countdown_environment.CountdownEnvironment,
  half_cheetah_bodies.HalfCheetahBody,
  humanoid.HumanoidPlanarDirection,
  locomotion.HalfCheetahDirection,
  locomotion.HalfCheetahVelocity,
  point_navigation.PointNavigation,
)


@pytest.fixture(params=ENVIRONMENTS, ids=lambda cls: cls.__name__)
def make(request):
  """Yields a function that creates environments, closed after the test."""
  made = []

  def make_one(num_tasks=2, environments_per_task=3, horizon=5):
    made.append(
      request.param(
        num_tasks=num_tasks,
        environments_per_task=environments_per_task,
        horizon=horizon,
      )
    )
    return made[-1]

  yield make_one
  for environment in made:
    environment.close()


def _actions(environment, num_steps, seed=0):
  """Returns random actions [num_steps, N, A] within the spec."""
  spec = environment.action_spec()
  return (
    np.random.default_rng(seed)
    .uniform(
      spec.minimum,
      spec.maximum,
      (num_steps, environment.batch_size) + spec.shape,
    )
    .astype(spec.dtype)
  )


def _play(environment, actions):
  """Resets and steps with [T, N, A]; returns a TimeStep of [T + 1, N]."""
  time_steps = [environment.reset()]
  time_steps += [environment.step(action) for action in actions]
  return ts.TimeStep(
    *(np.stack(field) for field in zip(*time_steps, strict=True))
  )


def _assert_equal(left, right):
  for name, one, other in zip(ts.TimeStep._fields, left, right, strict=True):
    np.testing.assert_array_equal(one, other, err_msg=name)


def test_follows_its_specs(make):
  utils.validate_py_environment(make(), episodes=20)


def test_has_a_row_for_every_environment_of_every_task(make):
  environment = make(num_tasks=2, environments_per_task=3, horizon=5)
  assert environment.batched
  assert environment.batch_size == 6
  assert environment.num_tasks == 2
  assert environment.environments_per_task == 3
  assert environment.horizon == 5
  assert len(environment.tasks) == 2


def test_time_steps_have_the_types_that_tf_agents_expects(make):
  environment = make()
  first = environment.reset()
  for time_step in (first, environment.step(_actions(environment, 1)[0])):
    assert time_step.step_type.dtype == np.int32
    assert time_step.reward.dtype == np.float32
    assert time_step.discount.dtype == np.float32
    assert time_step.observation.dtype == np.float32
    assert time_step.observation.shape == (
      (6,) + environment.observation_spec().shape
    )


def test_episodes_are_first_mid_last_and_restart(make):
  environment = make(horizon=4)
  played = _play(environment, _actions(environment, 23))
  for row in range(environment.batch_size):
    age = 0
    for t in range(24):
      step_type = played.step_type[t, row]
      if age == 0:
        assert step_type == FIRST
        assert played.reward[t, row] == 0
        assert played.discount[t, row] == 1
      elif step_type == LAST:
        assert age == 4 or played.discount[t, row] == 0
      else:
        assert step_type == MID
        assert age < 4
        assert played.discount[t, row] == 1
      age = 0 if step_type == LAST else age + 1


def test_ordinary_episodes_are_not_counted_as_unstable(make):
  environment = make(horizon=4)
  assert environment.num_unstable_episodes == 0
  _play(environment, _actions(environment, 9))
  assert environment.num_unstable_episodes == 0


def test_is_truncated_at_the_horizon_with_discount_one(make):
  environment = make(horizon=3)
  # Goals are far away, countdowns long, and standing still ends no episode.
  tasks = environment.sample_tasks(2, np.random.default_rng(0))
  if isinstance(environment, countdown_environment.CountdownEnvironment):
    tasks = [99, 99]
  environment.set_tasks(tasks)
  played = _play(environment, np.zeros_like(_actions(environment, 7)))
  np.testing.assert_array_equal(
    played.step_type[:, 0],
    [FIRST, MID, MID, LAST, FIRST, MID, MID, LAST],
  )
  np.testing.assert_array_equal(played.discount, np.ones((8, 6)))


def test_a_horizon_of_one_gives_first_and_last_only(make):
  environment = make(horizon=1)
  played = _play(environment, _actions(environment, 3))
  np.testing.assert_array_equal(
    played.step_type, np.tile([[FIRST], [LAST], [FIRST], [LAST]], 6)
  )


def test_the_first_step_of_a_new_environment_is_a_reset(make):
  environment = make()
  time_step = environment.step(_actions(environment, 1)[0])
  np.testing.assert_array_equal(time_step.step_type, [FIRST] * 6)


def test_an_ended_row_ignores_its_action(make):
  environment = make(horizon=1)
  environment.seed(3)
  actions = _actions(environment, 2)
  expected = _play(environment, actions)
  environment.seed(3)
  actions[1] = np.nan
  _assert_equal(_play(environment, actions), expected)


def test_equal_seeds_repeat_and_different_ones_do_not(make):
  environment, twin = make(), make()
  twin.set_tasks(environment.tasks)
  actions = _actions(environment, 14)
  environment.seed(7)
  twin.seed(7)
  played = _play(environment, actions)
  _assert_equal(_play(twin, actions), played)
  environment.seed(7)
  _assert_equal(_play(environment, actions), played)

  environment.seed(8)
  other = _play(environment, actions)
  if not isinstance(environment, point_navigation.PointNavigation):
    assert (other.observation[0] != played.observation[0]).any(axis=1).all()


def test_an_integer_seed_stands_for_a_key_of_each_task(make):
  environment, twin = make(), make()
  environment.seed(7)
  twin.seed([(7, 0), (7, 1)])
  _assert_equal(environment.reset(), twin.reset())


def test_unseeded_environments_differ(make):
  environment, twin = make(), make()
  if isinstance(environment, point_navigation.PointNavigation):
    pytest.skip('every point starts at the origin')
  assert (environment.reset().observation != twin.reset().observation).any()


@pytest.mark.parametrize('keys', [(5, 6, 7, 8), ((1, 5), (1, 6), (2, 5), (9,))])
def test_dividing_the_tasks_over_environments_changes_nothing(make, keys):
  whole = make(num_tasks=4)
  tasks = whole.sample_tasks(4, np.random.default_rng(1))
  actions = _actions(whole, 17)
  whole.set_tasks(tasks)
  whole.seed(keys)
  played = _play(whole, actions)

  for start in (0, 2):
    part = make(num_tasks=2)
    part.set_tasks(tasks[start : start + 2])
    part.seed(keys[start : start + 2])
    rows = slice(start * 3, (start + 2) * 3)
    expected = ts.TimeStep(*(field[:, rows] for field in played))
    _assert_equal(_play(part, actions[:, rows]), expected)


def test_setting_tasks_resets_every_row(make):
  environment = make()
  actions = _actions(environment, 3)
  environment.reset()
  environment.step(actions[0])
  tasks = environment.sample_tasks(2, np.random.default_rng(2))
  environment.set_tasks(tasks)
  np.testing.assert_array_equal(environment.tasks, tasks)
  np.testing.assert_array_equal(environment.step(actions[1]).step_type, [0] * 6)
  # There is only one reset: the next step continues.
  assert (environment.step(actions[2]).step_type != FIRST).all()


def test_tasks_are_copies(make):
  environment = make()
  tasks = environment.sample_tasks(2, np.random.default_rng(2))
  expected = tasks.copy()
  environment.set_tasks(tasks)
  tasks += 100
  environment.tasks[:] = 200
  np.testing.assert_array_equal(environment.tasks, expected)


def test_impossible_tasks_are_refused_and_change_nothing(make):
  environment = make()
  tasks = environment.tasks
  one_too_many = environment.sample_tasks(3, np.random.default_rng(0))
  with pytest.raises(ValueError, match=r'shape \(3,.*give an array of shape'):
    environment.set_tasks(one_too_many)
  with pytest.raises(ValueError, match='shape'):
    environment.set_tasks(tasks[..., np.newaxis])
  with pytest.raises(ValueError, match='must be numbers'):
    environment.set_tasks(['left', 'right'])
  for bad in (np.nan, np.inf):
    with pytest.raises(ValueError, match='finite'):
      environment.set_tasks(tasks * bad)
  np.testing.assert_array_equal(environment.tasks, tasks)


@pytest.mark.parametrize('n', [0, 1, 5])
def test_samples_any_number_of_tasks_and_changes_nothing(make, n):
  environment = make()
  before = environment.tasks
  tasks = environment.sample_tasks(n, np.random.default_rng(0))
  assert tasks.shape == (n,) + before.shape[1:]
  assert tasks.dtype == np.float64
  np.testing.assert_array_equal(environment.tasks, before)


def test_sampling_depends_on_the_generator_alone(make):
  environment = make()
  tasks = environment.sample_tasks(64, np.random.default_rng(0))
  again = environment.sample_tasks(64, np.random.default_rng(0))
  np.testing.assert_array_equal(tasks, again)

  rng = np.random.default_rng(0)
  singles = [environment.sample_tasks(1, rng)[0] for _ in range(64)]
  assert len(np.unique(singles, axis=0)) == len(np.unique(tasks, axis=0))


def test_sampled_tasks_can_be_set(make):
  environment = make(num_tasks=50, environments_per_task=1)
  environment.set_tasks(environment.sample_tasks(50, np.random.default_rng(0)))


def test_returned_arrays_do_not_change_later(make):
  environment = make(horizon=3)
  actions = _actions(environment, 9)
  kept, copies = [], []
  for t in range(10):
    time_step = environment.step(actions[t - 1]) if t else environment.reset()
    for earlier in kept:
      for field, earlier_field in zip(time_step, earlier, strict=True):
        assert not np.shares_memory(field, earlier_field)
    kept.append(time_step)
    copies.append([field.copy() for field in time_step])
  for time_step, copied in zip(kept, copies, strict=True):
    _assert_equal(time_step, copied)


def test_writing_to_returned_arrays_has_no_effect(make):
  environment = make(horizon=3)
  actions = _actions(environment, 9)
  environment.seed(0)
  expected = _play(environment, actions)
  environment.seed(0)
  environment.reset()
  for t, action in enumerate(actions):
    time_step = environment.step(action)
    _assert_equal(time_step, [field[t + 1] for field in expected])
    for field in time_step:
      field[:] = 77


def test_actions_of_another_shape_are_refused(make):
  environment = make()
  environment.reset()
  with pytest.raises(ValueError, match='action has shape'):
    environment.step(_actions(environment, 1)[0, :1])


@pytest.mark.parametrize(
  'name', ['num_tasks', 'environments_per_task', 'horizon']
)
@pytest.mark.parametrize('value', [0, -1, 2.0, '3', None, True])
def test_sizes_are_positive_integers(make, name, value):
  with pytest.raises(ValueError, match=f'{name} is {value!r}: give an integer'):
    make(**{name: value})


@pytest.mark.parametrize(
  'seed', [(1,), (1, 2, 3), -1, (1, -2), (1, (2, 0.5)), 1.5, (1, 'b')]
)
def test_bad_seeds_are_refused(make, seed):
  with pytest.raises(ValueError, match='seed'):
    make().seed(seed)


def test_runs_inside_a_tf_environment(make):
  wrapped = make(horizon=1)
  environment = tf_py_environment.TFPyEnvironment(wrapped)
  assert environment.batch_size == 6
  first = environment.reset()
  last = environment.step(_actions(wrapped, 1)[0])
  np.testing.assert_array_equal(first.step_type, [FIRST] * 6)
  np.testing.assert_array_equal(last.step_type, [LAST] * 6)


@pytest.mark.parametrize('cls', ENVIRONMENTS[1:], ids=lambda cls: cls.__name__)
def test_gin_configures_it(cls):
  gin.clear_config()
  try:
    gin.parse_config(f'{cls.__name__}.horizon = 7')
    environment = cls(num_tasks=1, environments_per_task=1)
    assert environment.horizon == 7
    environment.close()
  finally:
    gin.clear_config()


def test_rows_of_one_task_draw_in_row_order_from_its_stream_alone():
  environment = countdown_environment.CountdownEnvironment(
    num_tasks=2, environments_per_task=2
  )
  environment.set_tasks([2, 3])
  environment.seed([10, 20])
  first, second = (
    np.random.Generator(np.random.Philox(np.random.SeedSequence((key,))))
    .random(6)
    .astype(np.float32)
    for key in (10, 20)
  )
  played = _play(environment, np.ones((8, 4, 1)))
  # The lengths are 2 and 3, plus a reset: task 0 starts at 0, 3, 6, task 1 at
  # 0, 4, 8. Each start of a task takes the next two numbers of its stream.
  for t, b, start in [
    (0, 0, first[:2]),
    (3, 0, first[2:4]),
    (6, 0, first[4:]),
    (0, 1, second[:2]),
    (4, 1, second[2:4]),
    (8, 1, second[4:]),
  ]:
    rows = slice(2 * b, 2 * b + 2)
    np.testing.assert_array_equal(played.step_type[t, rows], [FIRST] * 2)
    np.testing.assert_array_equal(played.observation[t, rows, 0], start)
    np.testing.assert_array_equal(played.observation[t, rows, 1], [0, 0])


def test_rows_restart_while_others_continue():
  environment = countdown_environment.CountdownEnvironment()
  environment.set_tasks([1, 3])
  played = _play(
    environment, np.arange(1, 7).reshape(6, 1, 1) + np.zeros((2, 1))
  )
  np.testing.assert_array_equal(
    played.step_type.T,
    [
      [FIRST, LAST, FIRST, LAST, FIRST, LAST, FIRST],
      [FIRST, MID, MID, LAST, FIRST, MID, MID],
    ],
  )
  # The reward is the action, except in rows that start.
  np.testing.assert_array_equal(
    played.reward.T, [[0, 1, 0, 3, 0, 5, 0], [0, 1, 2, 3, 0, 5, 6]]
  )
  np.testing.assert_array_equal(
    played.discount.T, [[1, 0, 1, 0, 1, 0, 1], [1, 1, 1, 0, 1, 1, 1]]
  )


def test_rows_that_restart_are_stepped_with_zeros():
  environment = countdown_environment.CountdownEnvironment()
  environment.set_tasks([1, 3])
  environment.reset()
  environment.step([[4.0], [5.0]])
  actions = np.array([[np.nan], [7.0]])
  environment.step(actions)
  np.testing.assert_array_equal(environment.last_action, [[0], [7]])
  np.testing.assert_array_equal(actions, [[np.nan], [7]])


def test_terminating_at_the_horizon_is_a_termination():
  environment = countdown_environment.CountdownEnvironment(horizon=2)
  environment.set_tasks([2, 3])
  played = _play(environment, np.ones((2, 2, 1)))
  np.testing.assert_array_equal(played.step_type[2], [LAST, LAST])
  np.testing.assert_array_equal(played.discount[2], [0, 1])


def test_a_batch_whose_rows_have_all_ended_is_reset_without_a_step():
  environment = countdown_environment.CountdownEnvironment()
  environment.set_tasks([1, 1])
  _play(environment, np.ones((4, 2, 1)))
  assert environment.advanced == 2


LEFT = {'door': 'left', 'length': 2}
RIGHT = {'door': 'right', 'length': 1}


def _corridors(tasks, **kwargs):
  environment = labelled_corridors.DarkCorridors(len(tasks), **kwargs)
  environment.set_tasks(tasks)
  environment.seed(0)
  return environment


def test_nested_observations_and_object_tasks_follow_the_specs():
  environment = _corridors([LEFT, RIGHT], environments_per_task=3)
  utils.validate_py_environment(environment, episodes=20)
  # Before anyone sets tasks, they are drawn.
  environment = labelled_corridors.DarkCorridors()
  environment.reset()
  assert all(t in labelled_corridors.TRAINING for t in environment.tasks)


def test_nested_rows_restart_while_others_continue():
  # Row 0 starts at a random cell of -1, 0 and 1, row 1 at 0. All go right: row
  # 1 succeeds at once, and row 0 reaches the end without a door.
  environment = _corridors([LEFT, RIGHT], environments_per_task=1)
  time_steps = [environment.reset()]
  starts = [int(time_steps[0].observation['body']['cell'][0, 0])]
  for _ in range(9):
    time_steps.append(environment.step(np.ones(2, np.int32)))
  cells = np.stack([t.observation['body']['cell'][:, 0] for t in time_steps])
  ages = np.stack([t.observation['age'][0] for t in time_steps])
  types = np.stack([t.step_type for t in time_steps])
  rewards = np.stack([t.reward for t in time_steps])
  discounts = np.stack([t.discount for t in time_steps])
  np.testing.assert_array_equal(types[:, 1], [FIRST, LAST] * 5)
  np.testing.assert_array_equal(cells[:, 1], [0, 1] * 5)
  np.testing.assert_array_equal(rewards[:, 1], [0, 1] * 5)
  np.testing.assert_array_equal(discounts[:, 1], [1, 0] * 5)
  # The horizon is six.
  np.testing.assert_allclose(ages[:, 1, 0], [0, 1 / 6] * 5, rtol=1e-6)
  np.testing.assert_allclose(ages[:, 1, 1], [0, 1 / 36] * 5, rtol=1e-6)

  expected = []
  while len(expected) < 10:
    start = starts.pop() if starts else int(cells[len(expected), 0])
    assert start in (-1, 0, 1)
    expected += range(start, 3)
  np.testing.assert_array_equal(cells[:, 0], expected[:10])
  # The environment truncates these episodes before the horizon does.
  np.testing.assert_array_equal(types[:, 0] == LAST, cells[:, 0] == 2)
  np.testing.assert_array_equal(discounts[:, 0], np.ones(10))
  assert (types[:, 0] == LAST).sum() >= 2


def test_a_row_that_truncates_itself_has_discount_one_unless_it_terminated():
  environment = _corridors([RIGHT, RIGHT], environments_per_task=1)
  environment.reset()
  time_step = environment.step(np.array([-1, 1], np.int32))
  np.testing.assert_array_equal(time_step.step_type, [LAST, LAST])
  np.testing.assert_array_equal(time_step.discount, [1, 0])
  np.testing.assert_array_equal(environment.success, [False, True])


@pytest.mark.parametrize(('lowest', 'closest'), [(-1, 0), (3, 3), (-7, -5)])
def test_rows_that_restart_are_stepped_with_an_action_of_the_spec(
  lowest, closest
):
  environment = _corridors(
    [RIGHT, LEFT], environments_per_task=1, lowest_action=lowest
  )
  environment.reset()
  right, stay = np.int32(lowest + 2), np.int32(lowest + 1)
  first = environment.step(np.array([right, stay]))
  assert first.step_type[0] == LAST
  # The policy's action for the row that restarts may be anything.
  actions = np.array([99, stay], np.int32)
  time_step = environment.step(actions)
  np.testing.assert_array_equal(environment.last_action, [closest, stay])
  np.testing.assert_array_equal(actions, [99, stay])
  np.testing.assert_array_equal(time_step.step_type, [FIRST, MID])
  assert environment.last_action.dtype == np.int32


def test_dividing_object_tasks_over_environments_changes_nothing():
  keys = [(5, i) for i in range(4)]
  tasks = list(labelled_corridors.TRAINING)
  actions = np.random.default_rng(0).integers(-1, 2, (17, 8)).astype(np.int32)

  def play(rows):
    part = slice(rows.start // 2, rows.stop // 2)
    environment = _corridors(tasks[part])
    environment.seed(keys[part])
    time_steps = [environment.reset()]
    time_steps += [environment.step(action[rows]) for action in actions]
    return tf.nest.map_structure(lambda *a: np.stack(a), *time_steps)

  whole = play(slice(0, 8))
  for rows in (slice(0, 4), slice(4, 8)):
    pairs = zip(tf.nest.flatten(play(rows)), tf.nest.flatten(whole))
    for one, other in pairs:
      np.testing.assert_array_equal(one, other[:, rows])


def test_object_tasks_are_listed_and_checked():
  environment = _corridors([LEFT, RIGHT])
  given = [RIGHT, LEFT]
  environment.set_tasks(given)
  given.clear()
  environment.tasks.clear()
  assert environment.tasks == [RIGHT, LEFT]
  for bad, message in (
    ([LEFT], 'there are 1 tasks, but this environment plays 2'),
    (LEFT, 'give a list of 2 tasks'),
    ('ab', 'give a list of 2 tasks'),
    (3, 'give a list of 2 tasks'),
    ([LEFT, {'door': 'up'}], 'is not a corridor'),
  ):
    with pytest.raises(ValueError, match=message):
      environment.set_tasks(bad)
  assert environment.tasks == [RIGHT, LEFT]


def test_actions_of_another_shape_are_refused_in_nests_too():
  environment = _corridors([LEFT, RIGHT])
  environment.reset()
  with pytest.raises(ValueError, match=r'action has shape \(4, 1\), expected'):
    environment.step(np.zeros((4, 1), np.int32))


def test_a_finite_list_is_evaluated_in_its_order():
  rng = np.random.default_rng(0)
  environment = _corridors([LEFT])
  held_out, training = labelled_corridors.HELD_OUT, labelled_corridors.TRAINING
  played = [environment.held_out_task(i, rng) for i in range(4)]
  assert played == [*held_out, held_out[0]]
  environment = _corridors([LEFT], has_held_out=False)
  played = [environment.held_out_task(i, rng) for i in range(5)]
  assert played == [*training, training[0]]
  # No draw was made.
  assert rng.random() == np.random.default_rng(0).random()


def test_without_a_list_an_evaluation_draws_as_training_does():
  environment = _corridors([LEFT], is_finite=False)
  draws = [
    draw(7, np.random.default_rng(3))
    for draw in (environment.held_out_task, environment.sample_task)
  ]
  (expected,) = environment.sample_tasks(1, np.random.default_rng(3))
  assert draws == [expected] * 2


def test_by_default_there_are_no_successes_and_nothing_is_discarded(make):
  environment = make()
  assert environment.success is None
  assert not environment.may_discard
  np.testing.assert_array_equal(environment.discarded, [False] * 6)


class _LeasedArrays(countdown_environment.CountdownEnvironment):
  """Returns rewards that cannot be written to."""

  def _advance(self, action):
    observation, reward, terminated = super()._advance(action)
    for array in (observation, reward):
      array.flags.writeable = False
    return observation, reward, terminated


def test_what_advance_returns_is_not_written_to():
  environments = (
    cls(num_tasks=2, environments_per_task=2, horizon=9)
    for cls in (countdown_environment.CountdownEnvironment, _LeasedArrays)
  )
  played = []
  for environment in environments:
    environment.set_tasks([1, 3])
    environment.seed(0)
    environment.reset()
    played.append([environment.step(a) for a in _actions(environment, 6)])
  tf.nest.map_structure(np.testing.assert_array_equal, *played)


def test_a_row_that_rests_waits_for_the_next_reset(make):
  environment = make(horizon=1)
  actions = _actions(environment, 4)
  environment.reset()
  last = environment.step(actions[0])
  assert last.is_last().all()
  resting = np.arange(environment.batch_size) % 2 == 0
  environment.rest(resting)
  for action in actions[1:3]:
    later = environment.step(action)
    assert (later.step_type[resting] == LAST).all()
    assert (later.reward[resting] == 0).all()
    np.testing.assert_array_equal(
      later.observation[resting], last.observation[resting]
    )
  # The others have begun anew meanwhile, and ended again.
  assert (later.step_type[~resting] == LAST).all()
  environment.rest(np.zeros_like(resting))
  assert (environment.step(actions[3]).step_type[resting] == FIRST).all()


def test_a_row_whose_episode_goes_on_cannot_rest(make):
  environment = make(horizon=100)
  actions = _actions(environment, 3)
  plain, rested = (make(horizon=100) for _ in range(2))
  for env in (plain, rested):
    env.set_tasks(environment.tasks)
    env.seed(0)
  played = []
  for env in (plain, rested):
    env.reset()
    env.step(actions[0])
    going_on = ~env.current_time_step().is_last()
    if env is rested:
      env.rest(np.ones(env.batch_size, bool))
    played.append(env.step(actions[1]).observation[going_on])
  np.testing.assert_array_equal(*played)


def test_the_observation_of_a_resting_row_stays_if_it_is_the_state():
  environment = _CountsInPlace(1, 2, 1)
  environment.reset()
  last = environment.step(np.zeros((2, 1), np.float32))
  environment.rest(np.array([True, False]))
  later = environment.step(np.zeros((2, 1), np.float32))
  assert last.observation is not later.observation
  np.testing.assert_array_equal(later.observation[0], [1.0, 1.0])


class _CountsInPlace(countdown_environment.CountdownEnvironment):
  """Returns its own array, which each step changes."""

  def _reset_rows(self, rows, starts):
    self._count = np.zeros((self.batch_size, 2), np.float32)
    return self._count[rows].copy()

  def _advance(self, action):
    self._count += 1
    zeros = np.zeros(self.batch_size, np.float32)
    return self._count, zeros, zeros > 0
