"""The half-cheetah's rewards, checked by hand, and its resets."""

import numpy as np
import pytest

from maml_tf.environments import locomotion
from maml_tf.environments import observed_task
from maml_tf.environments import task_groups


def _environment(cls, tasks, **kwargs):
  environment = cls(
    num_tasks=len(tasks), environments_per_task=2, horizon=10, **kwargs
  )
  environment.set_tasks(tasks)
  environment.seed(0)
  environment.reset()
  return environment


def _throw(environment, velocity):
  """Lifts all rows to 5 m, moving forward at `velocity` [m/s]."""
  # In free flight no force acts along the track: the velocity is constant.
  num_rows = environment.batch_size
  qpos, qvel = np.zeros((num_rows, 9)), np.zeros((num_rows, 9))
  qpos[:, 1] = 5.0
  qvel[:, 0] = velocity
  environment.physics.set_state(qpos, qvel)


def test_the_direction_task_rewards_velocity_in_its_direction():
  environment = _environment(locomotion.HalfCheetahDirection, [1.0, -1.0])
  _throw(environment, 2.0)
  for _ in range(3):
    time_step = environment.step(np.zeros((4, 6), np.float32))
    np.testing.assert_allclose(time_step.reward, [2, 2, -2, -2], atol=1e-6)
  environment.close()


def test_the_velocity_task_penalises_the_distance_to_its_target():
  environment = _environment(locomotion.HalfCheetahVelocity, [0.5, 3.0, 2.0])
  _throw(environment, 2.0)
  time_step = environment.step(np.zeros((6, 6), np.float32))
  # -|2 - 0.5|, -|2 - 3|, -|2 - 2|
  np.testing.assert_allclose(
    time_step.reward, [-1.5, -1.5, -1, -1, 0, 0], atol=1e-6
  )
  environment.close()


@pytest.mark.parametrize(
  'cls', [locomotion.HalfCheetahDirection, locomotion.HalfCheetahVelocity]
)
def test_the_cost_is_that_of_the_action_before_clamping(cls):
  environment = _environment(cls, [1.0])
  _throw(environment, 0.0)
  actions = np.stack([np.full(6, 1.0), np.full(6, -3.0)]).astype(np.float32)
  actions[1, 0] = 0.5
  environment.step(actions)
  # 0.05 * 6 * 1^2 and 0.05 * (0.5^2 + 5 * 3^2)
  np.testing.assert_allclose(
    environment.reward_terms.control_cost, [0.3, 2.2625], rtol=1e-9
  )

  _throw(environment, 0.0)
  actions = np.stack([np.full(6, 1.0), np.full(6, 3.0)]).astype(np.float32)
  time_step = environment.step(actions)
  np.testing.assert_array_equal(*environment.physics.state)
  # Torques are equal, costs are 0.05 * 6 * 1 and 0.05 * 6 * 9.
  np.testing.assert_allclose(
    time_step.reward[0] - time_step.reward[1], 2.7 - 0.3, rtol=1e-5
  )
  environment.close()


def test_the_weight_of_the_cost_is_an_argument():
  environment = _environment(
    locomotion.HalfCheetahDirection, [1.0], control_cost_weight=0.1
  )
  environment.step(np.full((2, 6), 2.0))
  np.testing.assert_allclose(
    environment.reward_terms.control_cost, [2.4, 2.4], rtol=1e-9
  )
  environment.close()


def test_observes_all_positions_but_the_first_and_all_velocities():
  environment = _environment(locomotion.HalfCheetahDirection, [1.0])
  for _ in range(3):
    observation = environment.step(np.ones((2, 6), np.float32)).observation
    physics = environment.physics
    assert observation.shape == (2, 17)
    np.testing.assert_array_equal(
      observation[:, :8], physics.qpos[:, 1:].astype(np.float32)
    )
    np.testing.assert_array_equal(
      observation[:, 8:], physics.qvel.astype(np.float32)
    )
  environment.close()


def test_starts_near_the_pose_of_the_model():
  environment = locomotion.HalfCheetahVelocity(
    num_tasks=2, environments_per_task=1000, reset_noise_scale=0.2
  )
  environment.seed(0)
  environment.reset()
  qpos, qvel = environment.physics.qpos, environment.physics.qvel
  # The model's pose is all zeros. Uniform in [-0.2, 0.2]: standard deviation
  # 0.4 / sqrt(12) = 0.1155; normal: 0.2. Of 18,000 numbers each.
  assert np.abs(qpos).max() <= 0.2
  assert np.abs(qpos).max() > 0.199
  np.testing.assert_allclose(qpos.std(), 0.1155, atol=0.002)
  np.testing.assert_allclose(qvel.std(), 0.2, atol=0.005)
  assert np.abs(qvel).max() > 0.6
  environment.close()


def test_poses_do_not_end_episodes():
  environment = _environment(locomotion.HalfCheetahDirection, [1.0])
  qpos = np.zeros((2, 9))
  qpos[:, 2] = np.pi  # On its back.
  environment.physics.set_state(qpos, np.zeros((2, 9)))
  for _ in range(9):
    time_step = environment.step(np.ones((2, 6), np.float32))
    np.testing.assert_array_equal(time_step.is_mid(), [True, True])
  time_step = environment.step(np.ones((2, 6), np.float32))
  np.testing.assert_array_equal(time_step.is_last(), [True, True])
  np.testing.assert_array_equal(time_step.discount, [1, 1])
  environment.close()


def _make_unstable(environment, row):
  """Turns the row's joints at 1e6 rad/s, which MuJoCo cannot simulate."""
  physics = environment.physics
  rows = np.array([row])
  physics.set_state(physics.qpos[rows], np.full((1, 9), 1e6), rows)


def test_unstable_physics_ends_only_the_episode_of_its_row():
  # The second task's reward for standing still.
  environment = _environment(locomotion.HalfCheetahVelocity, [1.0, 0.5])
  twin = _environment(locomotion.HalfCheetahVelocity, [1.0, 0.5])
  actions = np.random.default_rng(0).uniform(-1, 1, (3, 4, 6))
  environment.step(actions[0])
  twin.step(actions[0])
  _make_unstable(environment, row=2)
  seen = environment.physics.state[2, 2:].astype(np.float32)
  time_step, expected = environment.step(actions[1]), twin.step(actions[1])

  np.testing.assert_array_equal(
    time_step.is_last(), [False, False, True, False]
  )
  np.testing.assert_array_equal(time_step.discount, [1, 1, 0, 1])
  np.testing.assert_array_equal(time_step.observation[2], seen)
  # -|0 - 0.5| minus the cost.
  np.testing.assert_allclose(
    time_step.reward[2], -0.5 - 0.05 * np.sum(actions[1, 2] ** 2), rtol=1e-6
  )
  others = [0, 1, 3]
  for part, expected_part in zip(time_step, expected):
    np.testing.assert_array_equal(part[others], expected_part[others])
  assert environment.num_unstable_episodes == 1

  # The row is reset, as after any end.
  time_step = environment.step(actions[2])
  np.testing.assert_array_equal(time_step.step_type, [1, 1, 0, 1])
  assert np.abs(time_step.observation[2]).max() < 1
  np.testing.assert_array_equal(time_step.discount, [1, 1, 1, 1])
  np.testing.assert_array_equal(
    time_step.observation[others], twin.step(actions[2]).observation[others]
  )
  assert environment.num_unstable_episodes == 1

  for row in (0, 2):
    _make_unstable(environment, row)
  time_step = environment.step(actions[2])
  np.testing.assert_array_equal(time_step.discount, [0, 1, 0, 1])
  assert environment.num_unstable_episodes == 3
  assert twin.num_unstable_episodes == 0
  environment.close()
  twin.close()


def test_unstable_physics_at_the_horizon_is_a_termination():
  environment = locomotion.HalfCheetahDirection(1, 2, horizon=1)
  environment.reset()
  _make_unstable(environment, row=1)
  time_step = environment.step(np.zeros((2, 6)))
  np.testing.assert_array_equal(time_step.discount, [1, 0])
  assert environment.num_unstable_episodes == 1
  environment.reset()
  time_step = environment.step(np.zeros((2, 6)))
  np.testing.assert_array_equal(time_step.discount, [1, 1])
  assert environment.num_unstable_episodes == 1
  environment.close()


def test_a_nan_action_does_not_count_as_unstable_physics():
  environment = _environment(locomotion.HalfCheetahDirection, [1.0])
  actions = np.zeros((2, 6), np.float32)
  actions[1, 3] = np.nan
  time_step = environment.step(actions)
  np.testing.assert_array_equal(np.isnan(time_step.reward), [False, True])
  np.testing.assert_array_equal(time_step.is_mid(), [True, True])
  assert np.isfinite(time_step.observation).all()
  assert environment.num_unstable_episodes == 0
  environment.close()


def test_the_defaults_are_those_of_the_paper():
  environment = locomotion.HalfCheetahDirection()
  assert environment.num_tasks == 40
  assert environment.environments_per_task == 20
  assert environment.horizon == 100
  np.testing.assert_array_equal(environment.action_spec().minimum, [-1] * 6)
  np.testing.assert_array_equal(environment.action_spec().maximum, [1] * 6)
  environment.close()


def test_directions_are_drawn_equally_often():
  environment = _environment(locomotion.HalfCheetahDirection, [1.0])
  tasks = environment.sample_tasks(10000, np.random.default_rng(0))
  np.testing.assert_array_equal(np.unique(tasks), [-1, 1])
  # Five standard deviations of the mean: 5 / sqrt(10000).
  assert abs(tasks.mean()) < 0.05
  environment.close()


def test_velocities_are_drawn_uniformly_up_to_two():
  environment = _environment(locomotion.HalfCheetahVelocity, [1.0])
  tasks = environment.sample_tasks(10000, np.random.default_rng(0))
  counts, _ = np.histogram(tasks, bins=10, range=(0, 2))
  assert counts.sum() == 10000
  # Each tenth has 1000 of them, with a standard deviation of 30.
  assert np.abs(counts - 1000).max() < 150
  environment.close()


def test_the_range_of_velocities_is_an_argument():
  environment = locomotion.HalfCheetahVelocity(1, 1)
  # The bits of the default are those of [0, 2] without the argument.
  np.testing.assert_array_equal(
    environment.sample_tasks(5, np.random.default_rng(0)),
    np.random.default_rng(0).uniform(0.0, 2.0, 5),
  )
  environment.close()
  environment = locomotion.HalfCheetahVelocity(1, 1, velocity_range=(0, 3))
  tasks = environment.sample_tasks(10000, np.random.default_rng(0))
  assert 0 <= tasks.min() < 0.01 and 2.99 < tasks.max() < 3
  environment.close()
  with pytest.raises(ValueError, match='velocity_range is .3, 0.: give two'):
    locomotion.HalfCheetahVelocity(1, 1, velocity_range=(3, 0))


def test_other_directions_are_refused():
  environment = _environment(locomotion.HalfCheetahDirection, [1.0, -1.0])
  for bad in ([1.0, 0.0], [0.5, 1.0], [1.0, -2.0]):
    with pytest.raises(ValueError, match=r'give \+1 or -1'):
      environment.set_tasks(bad)
  environment.close()


def test_balanced_places_take_the_directions_in_turn():
  rng = np.random.default_rng(0)
  balanced = locomotion.HalfCheetahDirection(2, 2, 10, balanced=True)
  # Places are counted over all workers: no division changes a task.
  tasks = [balanced.sample_task(place, rng) for place in range(5)]
  assert tasks == [-1, 1, -1, 1, -1]
  assert rng.random() == np.random.default_rng(0).random()
  balanced.set_tasks(tasks[1:3])
  balanced.close()


@pytest.mark.parametrize('balanced, num_kinds', [(True, 2), (False, 1)])
def test_what_wraps_an_environment_has_its_kinds(balanced, num_kinds):
  environment = locomotion.HalfCheetahDirection(2, 2, 10, balanced=balanced)
  groups = task_groups.TaskGroups([environment])
  for wrapped in (environment, groups, observed_task.ObservedTask(groups)):
    assert wrapped.num_kinds == num_kinds
  environment.close()


def test_places_draw_their_direction_by_default():
  drawn = locomotion.HalfCheetahDirection(2, 2, 10)
  tasks = [
    drawn.sample_task(place, np.random.default_rng(place)) for place in range(9)
  ]
  # A task is -1 if the generator's first number lies below a half.
  numbers = [np.random.default_rng(place).random() for place in range(9)]
  assert tasks == [-1 if number < 0.5 else 1 for number in numbers]
  drawn.close()


def test_a_balance_is_true_or_false():
  with pytest.raises(ValueError, match="balanced is 'no': give True or False"):
    locomotion.HalfCheetahDirection(balanced='no')
