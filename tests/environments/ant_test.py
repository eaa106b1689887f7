"""Tests of the ant that walks in a direction or at a velocity."""

import gymnasium
import numpy as np
import pytest

from maml_tf.environments import ant

FAMILIES = (ant.AntDirection, ant.AntPlanarDirection, ant.AntVelocity)

# Legs within their limits: in free flight they do not move.
_LEGS = (0.0, 1.0, 0.0, -1.0, 0.0, -1.0, 0.0, 1.0)


def make(cls, tasks, **kwargs):
  environment = cls(len(tasks), 1, **kwargs)
  environment.seed(1)
  environment.set_tasks(tasks)
  environment.reset()
  return environment


def throw(environment, height, velocity=(0.0, 0.0, 0.0)):
  """Puts all ants into the air, with a velocity [m/s]."""
  num_rows = environment.batch_size
  qpos, qvel = np.zeros((num_rows, 15)), np.zeros((num_rows, 14))
  qpos[:, 2], qpos[:, 3], qpos[:, 7:] = height, 1.0, _LEGS
  qvel[:, :3] = velocity
  environment.physics.set_state(qpos, qvel)


@pytest.mark.parametrize('cls', FAMILIES)
def test_a_step_equals_that_of_gymnasium(cls):
  tasks = {
    ant.AntDirection: [1.0],
    ant.AntPlanarDirection: [[0.6, -0.8]],
    ant.AntVelocity: [1.5],
  }[cls]
  environment = make(cls, tasks)
  twin = gymnasium.make('Ant-v5').unwrapped
  twin.reset(seed=0)
  rng = np.random.default_rng(0)
  touched = False
  for _ in range(25):
    # From equal states, where Gymnasium's solver starts cold too.
    before = environment.physics.state[0]
    environment.physics.set_state([before[1:16]], [before[16:30]])
    twin.set_state(before[1:16], before[16:30])
    twin.data.qacc_warmstart[:] = 0
    action = rng.normal(0, 0.4, 8).astype(np.float32)
    step = environment.step(action[np.newaxis])
    observation, reward, fell, _, info = twin.step(action.astype(np.float64))
    assert not fell
    terms = environment.reward_terms
    assert_close(environment.physics.qpos[0], twin.data.qpos)
    assert_close(environment.physics.qvel[0], twin.data.qvel)
    velocity = np.array([info['x_velocity'], info['y_velocity']])
    if cls is ant.AntPlanarDirection:
      assert_close(terms.velocity[0], velocity)
      assert_close(terms.task_reward[0], velocity @ [0.6, -0.8])
    else:
      assert_close(terms.velocity[0], velocity[0])
    assert_close(terms.contact_cost[0], -info['reward_contact'])
    if cls is ant.AntVelocity:
      assert_close(terms.task_reward[0], -abs(velocity[0] - 1.5))
      assert_close(terms.control_cost[0], -info['reward_ctrl'] / 100)
    else:
      assert_close(terms.control_cost[0], -info['reward_ctrl'])
    if cls is ant.AntDirection:
      total = terms.task_reward + terms.alive_bonus
      total -= terms.control_cost + terms.contact_cost
      assert_close(total[0], reward)
      assert step.reward[0] == np.float32(total[0])
    # Gymnasium leaves out the forces on the world body, the first six.
    forces = np.clip(twin.data.cfrc_ext, -1, 1).ravel()
    assert_close(step.observation[0, :27], observation[:27], 1e-6)
    assert_close(step.observation[0, 33:], observation[27:], 1e-6)
    assert_close(step.observation[0, 27:33], forces[:6], 1e-6)
    touched |= forces.any()
  assert touched
  assert step.observation.shape == (1, 111)
  environment.close()


def assert_close(actual, expected, tolerance=1e-9):
  np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
  'cls, tasks, rewards',
  [
    # Task * 2 + 1.
    (ant.AntDirection, [1.0, -1.0], [3.0, -1.0]),
    # (0.6, 0.8) . (2, -1) + 1, and (0, -1) . (2, -1) + 1.
    (ant.AntPlanarDirection, [[0.6, 0.8], [0.0, -1.0]], [1.4, 2.0]),
    # -|2 - 0.5| + 1.05 and -|2 - 3| + 1.05.
    (ant.AntVelocity, [0.5, 3.0], [-0.45, 0.05]),
  ],
)
def test_rewards_in_free_flight(cls, tasks, rewards):
  environment = make(cls, tasks)
  throw(environment, 0.9, (2.0, -1.0, 1.0))
  step = environment.step(np.zeros((2, 8), np.float32))
  np.testing.assert_allclose(step.reward, rewards, atol=1e-6)
  assert not step.is_last().any()
  environment.close()


@pytest.mark.parametrize('cls', FAMILIES)
def test_the_cost_is_that_of_the_action_before_clamping(cls):
  task = [1.0, 0.0] if cls is ant.AntPlanarDirection else 1.0
  environment = make(cls, [task, task])
  actions = np.full((2, 8), -3.0, np.float32)
  actions[0] = 1.0
  environment.step(actions)
  weight = 0.005 if cls is ant.AntVelocity else 0.5
  np.testing.assert_allclose(
    environment.reward_terms.control_cost, [8 * weight, 72 * weight], rtol=1e-9
  )
  environment.close()


@pytest.mark.parametrize(
  'cls, task, low, bonus',
  [
    (ant.AntDirection, 1.0, 0.0, 1.0),
    (ant.AntPlanarDirection, [1.0, 0.0], 0.0, 1.0),
    (ant.AntVelocity, 0.0, 0.2, 1.05),
  ],
)
def test_an_ant_outside_its_heights_falls_but_earns_the_bonus(
  cls, task, low, bonus
):
  environment = make(cls, [task] * 200)
  # The floor pushes those below it up, and in one step not far enough.
  throw(environment, np.linspace(-5, 1.3, 200))
  step = environment.step(np.zeros((200, 8), np.float32))
  heights = environment.physics.qpos[:, 2]
  stands = (low <= heights) & (heights <= 1.0)
  np.testing.assert_array_equal(step.is_last(), ~stands)
  np.testing.assert_array_equal(step.discount, stands)
  # There are ants on both sides of both limits.
  assert (heights < low).sum() > 3 and (heights > 1).sum() > 3
  assert ((low < heights) & (heights < low + 0.1)).sum() > 3
  assert ((0.95 < heights) & (heights < 1)).any()
  np.testing.assert_array_equal(environment.reward_terms.alive_bonus, bonus)
  environment.close()


def test_contact_forces_cost_and_are_clipped():
  environment = make(ant.AntDirection, [1.0])
  first = environment.reset()
  np.testing.assert_array_equal(first.observation[:, 27:], 0)
  for _ in range(10):
    step = environment.step(np.zeros((1, 8), np.float32))
    forces = np.clip(environment.physics.contact_forces, -1, 1)
    np.testing.assert_array_equal(
      step.observation[0, 27:], forces.ravel().astype(np.float32)
    )
    # 14 bodies, the world among them.
    assert forces.shape == (1, 14, 6)
    np.testing.assert_allclose(
      environment.reward_terms.contact_cost, 0.5e-3 * np.sum(forces**2)
    )
  assert np.abs(environment.physics.contact_forces).max() > 1
  environment.close()


def test_settings_change_the_reward_and_the_ends():
  environment = make(
    ant.AntDirection,
    [1.0],
    control_cost_weight=0.1,
    contact_cost_weight=0.0,
    alive_bonus=0.25,
    healthy_heights=(0.0, 2.0),
  )
  throw(environment, 1.5)
  step = environment.step(np.ones((1, 8), np.float32))
  assert not step.is_last().any()
  terms = environment.reward_terms
  np.testing.assert_allclose(
    step.reward, terms.velocity - 0.8 + 0.25, rtol=1e-6
  )
  environment.close()


def test_velocities_are_uniform_in_their_range():
  for kwargs, low, high in (({}, 0, 3), ({'velocity_range': (1, 1.5)}, 1, 1.5)):
    environment = ant.AntVelocity(1, 1, **kwargs)
    drawn = environment.sample_tasks(20_000, np.random.default_rng(0))
    assert low <= drawn.min() < low + 0.01 and high - 0.01 < drawn.max() < high
    assert np.mean(drawn) == pytest.approx((low + high) / 2, abs=0.02)
    assert environment.describe_task(1.234) == 'task 1.23: walks at 1.23 m/s'
    environment.close()


@pytest.mark.parametrize(
  'setting, message',
  [
    (
      {'healthy_heights': (1.0, 0.2)},
      'healthy_heights is .1.0, 0.2.: give two',
    ),
    ({'velocity_range': 3.0}, 'velocity_range is 3.0: give two finite numbers'),
    ({'alive_bonus': 'much'}, "alive_bonus is 'much': give a finite number"),
    ({'contact_cost_weight': np.nan}, 'contact_cost_weight is nan: give a'),
  ],
)
def test_wrong_settings_are_refused(setting, message):
  with pytest.raises(ValueError, match=message):
    ant.AntVelocity(1, 1, **setting)
