"""The point's path and rewards, checked by hand, and the ends of episodes."""

import numpy as np
from tf_agents.trajectories import time_step as ts

from maml_tf.environments import point_navigation

FIRST, MID, LAST = (
  int(step_type)
  for step_type in (ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST)
)


def _environment(goals, horizon=100):
  environment = point_navigation.PointNavigation(
    num_tasks=len(goals), environments_per_task=1, horizon=horizon
  )
  environment.set_tasks(goals)
  environment.reset()
  return environment


def test_starts_at_the_origin():
  environment = _environment([[0.3, 0.4]])
  np.testing.assert_array_equal(environment.reset().observation, [[0, 0]])
  environment.step([[0.1, 0.1]])
  np.testing.assert_array_equal(environment.reset().observation, [[0, 0]])


def test_positions_and_rewards_along_a_path():
  environment = _environment([[0.3, -0.4]])
  path = [
    # Action, position after it, distance from there to (0.3, -0.4).
    ([0.0, -0.1], [0.0, -0.1], np.hypot(0.3, 0.3)),
    ([0.05, 0.7], [0.05, 0.0], np.hypot(0.25, 0.4)),
    ([-9.0, -9.0], [-0.05, -0.1], np.hypot(0.35, 0.3)),
    ([np.inf, -0.02], [0.05, -0.12], np.hypot(0.25, 0.28)),
  ]
  for action, position, distance in path:
    time_step = environment.step(np.array([action], np.float32))
    np.testing.assert_allclose(time_step.observation, [position], atol=1e-7)
    np.testing.assert_allclose(time_step.reward, [-distance], rtol=1e-6)
    np.testing.assert_allclose(environment.position, [position], atol=1e-8)
    assert time_step.step_type == [MID]
    assert time_step.discount == [1]


def test_ends_within_a_hundredth_of_the_goal():
  # Rows stop at 0.2. Their goals are 0.0101 and 0.0099 away, ahead and aside.
  environment = _environment(
    [[0.2101, 0], [0.2099, 0], [0.2, 0.0101], [0.2, -0.0099]]
  )
  environment.step(np.tile([0.1, 0.0], (4, 1)))
  time_step = environment.step(np.tile([0.1, 0.0], (4, 1)))
  np.testing.assert_array_equal(time_step.step_type, [MID, LAST, MID, LAST])
  np.testing.assert_array_equal(time_step.discount, [1, 0, 1, 0])
  np.testing.assert_allclose(
    time_step.reward, [-0.0101, -0.0099, -0.0101, -0.0099], rtol=1e-4
  )


def test_rows_restart_at_the_origin_while_others_continue():
  environment = _environment([[0.1, 0], [0.3, 0], [0, 0.5]], horizon=4)
  right = np.tile([0.1, 0.0], (3, 1))
  rows = [environment.step(right) for _ in range(6)]
  # Row 0 arrives after one step, row 1 after three, row 2 never.
  np.testing.assert_array_equal(
    np.stack([row.step_type for row in rows], axis=1),
    [
      [LAST, FIRST, LAST, FIRST, LAST, FIRST],
      [MID, MID, LAST, FIRST, MID, MID],
      [MID, MID, MID, LAST, FIRST, MID],
    ],
  )
  np.testing.assert_array_equal(
    np.stack([row.discount for row in rows], axis=1),
    [[0, 1, 0, 1, 0, 1], [1, 1, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1]],
  )
  np.testing.assert_allclose(
    np.stack([row.observation[:, 0] for row in rows], axis=1),
    [
      [0.1, 0, 0.1, 0, 0.1, 0],
      [0.1, 0.2, 0.3, 0, 0.1, 0.2],
      [0.1, 0.2, 0.3, 0.4, 0, 0.1],
    ],
    atol=1e-7,
  )
  np.testing.assert_allclose(
    np.stack([row.reward for row in rows[:5]], axis=1),
    [
      [0, 0, 0, 0, 0],
      [-0.2, -0.1, 0, 0, -0.2],
      [
        -np.hypot(0.1, 0.5),
        -np.hypot(0.2, 0.5),
        -np.hypot(0.3, 0.5),
        -np.hypot(0.4, 0.5),
        0,
      ],
    ],
    atol=1e-7,
  )


def test_goals_are_drawn_uniformly_from_the_square():
  environment = _environment([[0.1, 0.1]])
  goals = environment.sample_tasks(10000, np.random.default_rng(0))
  counts, _, _ = np.histogram2d(
    *goals.T, bins=4, range=[[-0.5, 0.5], [-0.5, 0.5]]
  )
  assert counts.sum() == 10000
  # Each of the 16 cells has 625 of them, with a standard deviation of 24.
  assert np.abs(counts - 625).max() < 120
