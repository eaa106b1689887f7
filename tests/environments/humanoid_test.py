"""Tests of the humanoid that walks in a direction."""

import gymnasium
import numpy as np
import pytest

from maml_tf.environments import humanoid


def make(tasks=((1.0, 0.0),), **kwargs):
  environment = humanoid.HumanoidPlanarDirection(len(tasks), 1, **kwargs)
  environment.seed(1)
  environment.set_tasks(tasks)
  environment.reset()
  return environment


def set_all(environment, height, velocity=(0.0, 0.0, 0.0)):
  """Puts all humanoids upright at a height, with a velocity [m/s]."""
  num_rows = environment.batch_size
  qpos, qvel = np.zeros((num_rows, 24)), np.zeros((num_rows, 23))
  qpos[:, 2], qpos[:, 3] = height, 1.0
  qvel[:, :3] = velocity
  environment.physics.set_state(qpos, qvel)


def assert_close(actual, expected, tolerance=1e-9):
  np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def test_a_step_equals_that_of_gymnasium():
  environment = make()
  twin = gymnasium.make('Humanoid-v5').unwrapped
  twin.reset(seed=0)
  rng = np.random.default_rng(0)
  touched = False
  for _ in range(20):
    # From equal states, where Gymnasium's solver starts cold too.
    before = environment.physics.state[0]
    environment.physics.set_state([before[1:25]], [before[25:48]])
    twin.set_state(before[1:25], before[25:48])
    twin.data.qacc_warmstart[:] = 0
    action = rng.normal(0, 0.1, 17).astype(np.float32)
    step = environment.step(action[np.newaxis])
    observation, reward, fell, _, info = twin.step(action.astype(np.float64))
    assert not fell
    terms = environment.reward_terms
    assert_close(environment.physics.qpos[0], twin.data.qpos)
    assert_close(environment.physics.qvel[0], twin.data.qvel)
    assert_close(terms.velocity[0], [info['x_velocity'], info['y_velocity']])
    assert_close(terms.task_reward[0], info['reward_forward'])
    assert_close(terms.control_cost[0], -info['reward_ctrl'])
    assert_close(terms.contact_cost[0], -info['reward_contact'])
    assert_close(terms.alive_bonus[0], info['reward_survive'])
    assert_close(step.reward[0], reward, 1e-6)
    # Gymnasium leaves out the world body, and the actuators' forces on the six
    # coordinates of the root.
    cut = np.cumsum([45, 140, 84, 23])
    parts = np.split(step.observation[0].astype(np.float64), cut)
    parts[1:] = [
      part[skipped:] for part, skipped in zip(parts[1:], (10, 6, 6, 6))
    ]
    np.testing.assert_allclose(
      np.concatenate(parts), observation, rtol=1e-6, atol=1e-6
    )
    touched |= twin.data.cfrc_ext.any()
  assert touched
  assert step.observation.shape == (1, 376)
  environment.close()


def test_the_weight_is_promps_quarter_of_the_way_over_a_timestep():
  environment = make([[0.6, 0.8]])
  mass = environment.physics.models[0].body_mass
  before = mass @ environment.physics.derived('xipos')[0] / mass.sum()
  environment.step(np.full((1, 17), 0.3, np.float32))
  after = mass @ environment.physics.derived('xipos')[0] / mass.sum()
  way = (after - before)[:2] @ [0.6, 0.8]
  assert_close(environment.reward_terms.task_reward[0], 0.25 * way / 0.003)
  environment.close()


def test_rewards_in_free_flight():
  tasks = [[0.6, 0.8], [0.0, -1.0]]
  environment = make(tasks)
  # Nothing touches the floor within a step.
  set_all(environment, 1.9, (2.0, -1.0, 0.0))
  action = np.full((2, 17), -0.2, np.float32)
  action[1, :] = 1.0
  step = environment.step(action)
  # No outer force but gravity: the centre of mass keeps its velocity. The cost
  # is that of the action before it is clamped: 0.1 * 17 * 0.2^2 and 0.1 * 17.
  # 1.25 * (0.6 * 2 - 0.8 * 1) - 0.068 + 5, and 1.25 * 1 - 1.7 + 5.
  np.testing.assert_allclose(step.reward, [5.432, 4.55], atol=1e-3)
  assert not step.is_last().any()
  environment.close()


def test_a_humanoid_outside_its_heights_falls_but_earns_the_bonus():
  environment = make([[1.0, 0.0]] * 60)
  set_all(environment, np.linspace(0.8, 2.3, 60))
  step = environment.step(np.zeros((60, 17), np.float32))
  heights = environment.physics.qpos[:, 2]
  stands = (1.0 <= heights) & (heights <= 2.0)
  np.testing.assert_array_equal(step.is_last(), ~stands)
  np.testing.assert_array_equal(step.discount, stands)
  # There are humanoids on both sides of both limits.
  assert (heights < 1).sum() > 3 and (heights > 2).sum() > 3
  assert ((1 < heights) & (heights < 1.1)).any()
  assert ((1.9 < heights) & (heights < 2)).any()
  np.testing.assert_array_equal(environment.reward_terms.alive_bonus, 5)
  environment.close()


def test_the_cost_of_contact_is_ten_at_most():
  costs = []
  for weight in (5e-7, 5e-9):
    environment = make(contact_cost_weight=weight, healthy_heights=(-1e3, 1e3))
    set_all(environment, 1.4, (0.0, 0.0, -50.0))
    for _ in range(3):
      environment.step(np.zeros((1, 17), np.float32))
      forces = environment.physics.contact_forces
      costs.append(environment.reward_terms.contact_cost[0])
      assert costs[-1] == pytest.approx(min(weight * np.sum(forces**2), 10))
    environment.close()
  assert max(costs[:3]) == 10
  assert 0 < max(costs[3:]) < 10


def test_starts_are_uniform_around_the_models_pose():
  environment = humanoid.HumanoidPlanarDirection(1, 300)
  environment.seed(0)
  environment.reset()
  qpos = environment.physics.qpos - environment.physics.models[0].qpos0
  for noise in (qpos, environment.physics.qvel):
    assert 0.0099 < np.abs(noise).max() <= 0.01
    # A uniform distribution in [-s, s]: s / sqrt(3).
    assert np.std(noise) == pytest.approx(0.01 / np.sqrt(3), rel=0.03)
  environment.close()


@pytest.mark.parametrize(
  'setting, message',
  [
    ({'healthy_heights': (1.0,)}, 'healthy_heights is .1.0,.: give two finite'),
    (
      {'velocity_weight': None},
      'velocity_weight is None: give a finite number',
    ),
    ({'contact_cost_weight': '1'}, "contact_cost_weight is '1': give a finite"),
  ],
)
def test_wrong_settings_are_refused(setting, message):
  with pytest.raises(ValueError, match=message):
    humanoid.HumanoidPlanarDirection(1, 1, **setting)
