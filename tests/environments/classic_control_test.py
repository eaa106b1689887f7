"""Pendulums and carts move as Gymnasium's, and their masses have an effect."""

import gymnasium
import numpy as np
import pytest
from tf_agents.trajectories import time_step as ts

from maml_tf.environments import classic_control

FIRST, MID, LAST = (
  int(step_type)
  for step_type in (ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST)
)


def _pendulum(mass):
  """Gymnasium's pendulum of some mass."""
  environment = gymnasium.make('Pendulum-v1').unwrapped
  environment.reset(seed=0)
  environment.m = mass
  return environment


def _cart_pole(cart_mass, pole_mass):
  """Gymnasium's cart-pole with all numbers that depend on the masses."""
  environment = gymnasium.make('CartPole-v1').unwrapped
  environment.reset(seed=0)
  environment.masscart = cart_mass
  environment.masspole = pole_mass
  environment.total_mass = cart_mass + pole_mass
  environment.polemass_length = pole_mass * environment.length
  return environment


def _carts(masses, state=None, horizon=200):
  """Carts, one for each task, from a state [4] if there is one."""
  carts = classic_control.CartPoleMass(len(masses), 1, horizon)
  carts.set_tasks(masses)
  carts.reset()
  if state is not None:
    carts._state[:] = state
  return carts


def test_pendulums_step_like_gymnasiums():
  rng = np.random.default_rng(0)
  num_rows = 200
  pendulums = classic_control.PendulumMass(num_rows, 1)
  masses = pendulums.sample_tasks(num_rows, rng)
  pendulums.set_tasks(masses)
  pendulums.reset()
  # Angles of several turns, and speeds that reach the limit of 8 rad/s.
  states = rng.uniform([-12, -8], [12, 8], (num_rows, 2))
  pendulums._state[:] = states
  references = [_pendulum(mass) for mass in masses]
  for reference, state in zip(references, states):
    reference.state = state
  for _ in range(50):
    # Some torques are beyond the limit of 2 N m.
    actions = rng.uniform(-3, 3, (num_rows, 1)).astype(np.float32)
    before = pendulums.state
    time_step = pendulums.step(actions)
    _, rewards = classic_control.advance_pendulum(before, actions[:, 0], masses)
    expected = [
      reference.step(action.astype(np.float64))
      for reference, action in zip(references, actions)
    ]
    np.testing.assert_allclose(
      pendulums.state,
      [reference.state for reference in references],
      rtol=0,
      atol=1e-9,
    )
    np.testing.assert_allclose(
      rewards, [step[1] for step in expected], rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(time_step.reward, rewards, rtol=1e-6)
    np.testing.assert_allclose(
      time_step.observation, [step[0] for step in expected], atol=1e-6
    )
    assert time_step.observation.dtype == time_step.reward.dtype == np.float32


def test_a_torque_turns_a_lighter_pendulum_faster():
  pendulums = classic_control.PendulumMass(3, 1)
  pendulums.set_tasks([0.5, 1, 2])
  pendulums.reset()
  # Hanging: sin(angle) is 0. 3 * 2 / mass * 0.05 s is 0.6, 0.3, 0.15 rad/s.
  pendulums._state[:] = [np.pi, 0]
  time_step = pendulums.step(np.full((3, 1), 5, np.float32))
  np.testing.assert_allclose(pendulums.state[:, 1], [0.6, 0.3, 0.15])
  # The reward is that of the state before, and of the clipped torque.
  np.testing.assert_allclose(time_step.reward, -(np.pi**2 + 0.004), rtol=1e-6)


def test_carts_step_like_gymnasiums():
  rng = np.random.default_rng(0)
  num_rows = 200
  masses = rng.uniform([0.5, 0.05], [2, 0.2], (num_rows, 2))
  # Most of them end in the course of 30 steps.
  states = rng.uniform(-1, 1, (num_rows, 4)) * [2.4, 1, 0.2, 1]
  carts = _carts(masses, states)
  references = [_cart_pole(*pair) for pair in masses]
  for reference, state in zip(references, states):
    reference.state = state
  playing = np.ones(num_rows, bool)
  for _ in range(30):
    actions = rng.integers(0, 2, num_rows, np.int32)
    time_step = carts.step(actions)
    for row in np.flatnonzero(playing):
      reference = references[row]
      observation, reward, terminated, _, _ = reference.step(actions[row])
      np.testing.assert_allclose(
        carts.state[row], reference.state, rtol=0, atol=1e-9
      )
      np.testing.assert_allclose(time_step.observation[row], observation)
      # The reward is 1 in the step that terminates, too.
      assert time_step.reward[row] == reward == 1
      assert (time_step.step_type[row] == LAST) == terminated
      assert time_step.discount[row] == (not terminated)
      playing[row] = not terminated
  assert 20 < playing.sum() < 180


def test_either_mass_changes_the_motion_of_a_cart():
  still = [0, 0, 0.1, 1]
  carts = _carts([[1, 0.1], [2, 0.1], [1, 0.2]], still)
  carts.step(np.ones(3, np.int32))
  # The accelerations of the cart, for 10 N.
  assert np.ptp(carts.state[:2, 1]) > 0.05
  assert np.ptp(carts.state[::2, 1]) > 0.005


@pytest.mark.parametrize(
  ('state', 'step_type'),
  [
    # The next position is 2.39 + 0.02 * speed.
    ([2.39, 0.49, 0, 0], MID),
    ([2.39, 0.51, 0, 0], LAST),
    ([-2.39, -0.49, 0, 0], MID),
    ([-2.39, -0.51, 0, 0], LAST),
    # 12 degrees are 0.20944. The next angle is 0.2 + 0.02 * velocity.
    ([0, 0, 0.2, 0.47], MID),
    ([0, 0, 0.2, 0.48], LAST),
    ([0, 0, -0.2, -0.47], MID),
    ([0, 0, -0.2, -0.48], LAST),
  ],
)
def test_an_episode_of_a_cart_ends_beyond_the_limits(state, step_type):
  carts = _carts([[1, 0.1]], state)
  time_step = carts.step(np.zeros(1, np.int32))
  assert time_step.step_type == [step_type]
  assert time_step.reward == [1]
  # The next step is a reset, and its action has no effect.
  if step_type == LAST:
    time_step = carts.step(np.ones(1, np.int32))
    assert time_step.step_type == [FIRST]
    assert np.abs(carts.state).max() <= 0.05
    np.testing.assert_array_equal(
      time_step.observation, carts.state.astype(np.float32)
    )


def test_episodes_are_truncated_at_200_steps():
  pendulums = classic_control.PendulumMass(1, 2)
  assert pendulums.horizon == classic_control.CartPoleMass().horizon == 200
  pendulums.reset()
  for _ in range(200):
    time_step = pendulums.step(np.zeros((2, 1), np.float32))
  np.testing.assert_array_equal(time_step.step_type, LAST)
  np.testing.assert_array_equal(time_step.discount, 1)


def test_starts_are_gymnasiums():
  pendulums = classic_control.PendulumMass(2, 5000)
  pendulums.seed(0)
  observation = pendulums.reset().observation
  angle, velocity = pendulums.state.T
  np.testing.assert_allclose(
    observation,
    np.stack([np.cos(angle), np.sin(angle), velocity], 1),
    atol=1e-6,
  )
  for values, limit in ((angle, np.pi), (velocity, 1)):
    _check_uniform(values, -limit, limit)
  carts = classic_control.CartPoleMass(2, 5000)
  carts.seed(0)
  carts.reset()
  for values in carts.state.T:
    _check_uniform(values, -0.05, 0.05)


def test_masses_are_drawn_uniformly():
  pendulums, carts = (
    classic_control.PendulumMass(1, 1),
    classic_control.CartPoleMass(1, 1),
  )
  rng = np.random.default_rng(0)
  masses = pendulums.sample_tasks(10000, rng)
  assert masses.shape == (10000,)
  _check_uniform(masses, 0.5, 2)
  masses = carts.sample_tasks(10000, rng)
  assert masses.shape == (10000, 2)
  _check_uniform(masses[:, 0], 0.5, 2)
  _check_uniform(masses[:, 1], 0.05, 0.2)
  assert abs(np.corrcoef(masses.T)[0, 1]) < 0.05


def _check_uniform(values, low, high):
  """Checks 10,000 values: 2,500 a quarter, with a deviation of 43."""
  counts, _ = np.histogram(values, bins=4, range=(low, high))
  assert counts.sum() == 10000
  assert np.abs(counts - 2500).max() < 200


@pytest.mark.parametrize('mass', [0, -1, 1e-9])
def test_masses_must_be_positive(mass):
  with pytest.raises(ValueError, match='are masses: give positive numbers'):
    classic_control.PendulumMass(2, 1).set_tasks([1, mass])
  for pair in ([1, mass], [mass, 0.1]):
    with pytest.raises(ValueError, match='are masses: give positive numbers'):
      classic_control.CartPoleMass(1, 1).set_tasks([pair])


def test_extreme_masses_give_finite_numbers():
  rng = np.random.default_rng(0)
  tiny, huge = 1e-6, 1e30
  carts = _carts([[tiny, tiny], [tiny, huge], [huge, tiny], [huge, huge]])
  pendulums = classic_control.PendulumMass(2, 1)
  pendulums.set_tasks([tiny, huge])
  pendulums.reset()
  with np.errstate(all='raise', under='ignore'):
    for _ in range(100):
      for environment, action in (
        (carts, rng.integers(0, 2, 4, np.int32)),
        (pendulums, rng.uniform(-2, 2, (2, 1)).astype(np.float32)),
      ):
        time_step = environment.step(action)
        assert np.isfinite(time_step.observation).all()
        assert np.isfinite(time_step.reward).all()


def test_a_push_is_either_0_or_1():
  with pytest.raises(ValueError, match=r'must be 0 or 1, not \[1, 2\]'):
    _carts([[1, 0.1]] * 2).step(np.array([1, 2], np.int32))
