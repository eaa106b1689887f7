"""Tests of half-cheetahs of different mass, damping and head."""

import gymnasium
import mujoco
import numpy as np
import pytest

from maml_tf.environments import half_cheetah_bodies

Mass = half_cheetah_bodies.HalfCheetahMass
Body = half_cheetah_bodies.HalfCheetahBody


def make(cls, tasks, **kwargs):
  environment = cls(len(tasks), 1, **kwargs)
  environment.seed(1)
  environment.set_tasks(tasks)
  environment.reset()
  return environment


def gymnasium_twin(mass, damping=1.0, head=1.0):
  """Gymnasium's body, changed as RobustMetaRL changes it."""
  twin = gymnasium.make('HalfCheetah-v5').unwrapped
  twin.reset(seed=0)
  twin.model.body_mass[:] *= mass
  twin.model.geom_size[1:, 0] = 0.046 * mass
  twin.model.dof_damping[:] *= damping
  twin.model.geom_size[2, 1] *= head
  # Old versions of MuJoCo keep the thin body's.
  twin.model.geom_rbound[1:] = twin.model.geom_size[1:, :2].sum(axis=1)
  mujoco.mj_setConst(twin.model, mujoco.MjData(twin.model))
  return twin


@pytest.mark.parametrize(
  'cls, task',
  [(Mass, 1.0), (Mass, 0.5), (Mass, 2.0), (Body, (0.7, 1.9, 1.6))],
)
def test_a_step_equals_that_of_gymnasium(cls, task):
  environment = make(cls, [task])
  twin = gymnasium_twin(*np.atleast_1d(task))
  rng = np.random.default_rng(0)
  for _ in range(25):
    before = environment.physics.state[0]
    twin.set_state(before[1:10], before[10:19])
    twin.data.qacc_warmstart[:] = 0
    action = rng.normal(size=6).astype(np.float32)
    step = environment.step(action[np.newaxis])
    observation, _, _, _, info = twin.step(action.astype(np.float64))
    terms = environment.reward_terms
    height = twin.data.qpos[1]
    for actual, expected in (
      (environment.physics.qpos[0], twin.data.qpos),
      (environment.physics.qvel[0], twin.data.qvel),
      (terms.velocity[0], info['x_velocity']),
      (terms.task_reward[0], info['x_velocity'] + height),
      # Gymnasium's weight is 0.1.
      (terms.control_cost[0], -info['reward_ctrl'] / 2),
    ):
      np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(step.observation[0], observation, atol=1e-6)
    assert not step.is_last().any()
  environment.close()


def test_what_each_factor_changes():
  environment = make(Body, [(1.0, 1.0, 1.0), (2.0, 0.5, 1.5)])
  one, other = environment.physics.models
  np.testing.assert_array_equal(other.body_mass, 2 * one.body_mass)
  # RobustMetaRL leaves inertia as it is.
  np.testing.assert_array_equal(other.body_inertia, one.body_inertia)
  assert other.body_subtreemass[0] == pytest.approx(28)
  np.testing.assert_array_equal(other.dof_damping, 0.5 * one.dof_damping)
  thickness, length = (other.geom_size / np.maximum(one.geom_size, 1e-9)).T[:2]
  np.testing.assert_array_equal(thickness, [1] + [2] * 8)
  head = one.geom('head').id
  np.testing.assert_array_equal(
    length, [1.5 if g == head else 1 for g in range(9)]
  )
  for name in ('jnt_stiffness', 'actuator_gear', 'geom_friction', 'body_pos'):
    np.testing.assert_array_equal(getattr(other, name), getattr(one, name))
  environment.close()


def test_the_mass_alone():
  environment = make(Mass, [1.0, 0.5])
  one, other = environment.physics.models
  np.testing.assert_array_equal(other.body_mass, 0.5 * one.body_mass)
  np.testing.assert_array_equal(other.geom_size[1:, 0], 0.023)
  np.testing.assert_array_equal(other.geom_size[:, 1], one.geom_size[:, 1])
  np.testing.assert_array_equal(other.dof_damping, one.dof_damping)
  environment.close()


def test_thick_bodies_touch_the_floor_where_they_are_seen_to():
  """MuJoCo must not look for contacts within the size of the thin body."""
  environment = make(Mass, [2.0])
  (model,) = environment.physics.models
  data = mujoco.MjData(model)
  # The torso lies 5 mm deep in the floor.
  data.qpos[1] = -0.7 + 2 * 0.046 - 0.005
  mujoco.mj_forward(model, data)
  torso = model.geom('torso').id
  depths = [c.dist for c in data.contact if torso in (c.geom1, c.geom2)]
  np.testing.assert_allclose(depths, -0.005, atol=1e-6)
  np.testing.assert_allclose(
    model.geom_rbound[1:], model.geom_size[1:, :2].sum(axis=1)
  )
  environment.close()


@pytest.mark.parametrize('cls', [Mass, Body])
def test_rewards_in_free_flight(cls):
  environment = make(cls, np.full((2, *cls(1, 1).tasks.shape[1:]), 2.0))
  qpos, qvel = np.zeros((2, 9)), np.zeros((2, 9))
  qpos[:, 1], qvel[:, 0] = 5.0, 2.0
  environment.physics.set_state(qpos, qvel)
  actions = np.zeros((2, 6), np.float32)
  step = environment.step(actions)
  # Five Euler steps of 0.01 s: it falls g * (1 + 2 + 3 + 4 + 5) * 0.01^2.
  height = 5 - 9.81 * 15 * 1e-4
  np.testing.assert_allclose(step.reward, 2 + height, atol=1e-5)
  actions[1] = -3
  environment.step(actions)
  # 0.05 * 6 * 3^2: the action before clamping.
  np.testing.assert_allclose(environment.reward_terms.control_cost, [0, 2.7])
  environment.close()


def test_factors_are_log_uniform():
  for cls, shape in ((Mass, (20_000,)), (Body, (20_000, 3))):
    environment = cls(1, 1)
    drawn = environment.sample_tasks(20_000, np.random.default_rng(0))
    assert drawn.shape == shape
    assert 0.5 <= drawn.min() < 0.501 and 1.998 < drawn.max() < 2
    # Half of them are below 1. Uniform factors would be 1.25 in the middle.
    np.testing.assert_allclose(np.median(drawn, axis=0), 1, atol=0.02)
    assert np.mean(drawn < np.sqrt(2)) == pytest.approx(0.75, abs=0.01)
    environment.close()
  factors = environment.sample_tasks(20_000, np.random.default_rng(0))
  assert np.abs(np.corrcoef(factors.T) - np.eye(3)).max() < 0.03


def test_descriptions_and_wrong_factors():
  mass, body = Mass(1, 1), Body(1, 1)
  assert mass.describe_task(1.2345) == 'task 1.23: mass times 1.23'
  assert body.describe_task(np.array([0.5, 1.0, 1.999])) == (
    'task: mass times 0.5, damping times 1, head length times 2'
  )
  assert mass.task_label == 'factor of the mass'
  for environment, task in ((mass, 0.0), (mass, -1.0), (body, [1.0, 0.0, 1.0])):
    with pytest.raises(ValueError, match='factors: give numbers from 0.1'):
      environment.set_tasks([task])
  mass.close()
  body.close()
