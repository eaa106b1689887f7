"""Tests of the swimmer at a velocity."""

import gymnasium
import numpy as np
import pytest

from maml_tf.environments import swimmer


def make(tasks, **kwargs):
  environment = swimmer.SwimmerVelocity(len(tasks), 1, **kwargs)
  environment.seed(1)
  environment.set_tasks(tasks)
  environment.reset()
  return environment


def test_a_step_equals_that_of_gymnasium():
  environment = make([0.15])
  twin = gymnasium.make('Swimmer-v5').unwrapped
  twin.reset(seed=0)
  rng = np.random.default_rng(0)
  for _ in range(30):
    before = environment.physics.state[0]
    twin.set_state(before[1:6], before[6:11])
    twin.data.qacc_warmstart[:] = 0
    action = rng.normal(size=2).astype(np.float32)
    step = environment.step(action[np.newaxis])
    observation, _, _, _, info = twin.step(action.astype(np.float64))
    terms = environment.reward_terms
    for actual, expected in (
      (environment.physics.qpos[0], twin.data.qpos),
      (environment.physics.qvel[0], twin.data.qvel),
      (terms.velocity[0], info['x_velocity']),
      # Not ProMP's sign, which rewards deviation.
      (terms.task_reward[0], -abs(info['x_velocity'] - 0.15)),
      (terms.control_cost[0], -info['reward_ctrl']),
    ):
      np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(step.observation[0], observation, atol=1e-6)
    assert not step.is_last().any()
  environment.close()


def test_the_reward_is_highest_at_the_tasks_velocity():
  environment = make([-0.2, 0.1, 0.3])
  qvel = np.zeros((3, 5))
  qvel[:, 0] = 0.1
  environment.physics.set_state(np.zeros((3, 5)), qvel)
  step = environment.step(np.full((3, 2), [[1.0, -3.0]], np.float32))
  deviation = np.abs(environment.reward_terms.velocity - [-0.2, 0.1, 0.3])
  # 1e-4 * (1^2 + 3^2): the action before clamping.
  np.testing.assert_allclose(step.reward, -deviation - 1e-3, atol=1e-6)
  assert np.argmax(step.reward) == 1
  environment.close()


def test_starts_are_uniform():
  environment = swimmer.SwimmerVelocity(1, 1000)
  environment.seed(0)
  environment.reset()
  for noise in (environment.physics.qpos, environment.physics.qvel):
    assert 0.099 < np.abs(noise).max() <= 0.1
    assert np.std(noise) == pytest.approx(0.1 / np.sqrt(3), rel=0.03)
  environment.close()


def test_tasks_are_uniform_in_their_range():
  for kwargs, low, high in (
    ({}, 0.1, 0.2),
    ({'velocity_range': (-1, 1)}, -1, 1),
  ):
    environment = swimmer.SwimmerVelocity(1, 1, **kwargs)
    drawn = environment.sample_tasks(10_000, np.random.default_rng(0))
    edge = (high - low) / 500
    assert low <= drawn.min() < low + edge and high - edge < drawn.max() < high
    assert np.mean(drawn) == pytest.approx((low + high) / 2, abs=10 * edge)
    environment.close()
  assert environment.describe_task(0.1234) == 'task 0.123: swims at 0.123 m/s'
  with pytest.raises(ValueError, match='velocity_range is .0.2, 0.1.: give'):
    swimmer.SwimmerVelocity(1, 1, velocity_range=(0.2, 0.1))
