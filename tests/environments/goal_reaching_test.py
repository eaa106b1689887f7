"""Tests of the ant that seeks a goal."""

import gymnasium
import numpy as np
import pytest

from maml_tf.environments import goal_reaching


def make(num_tasks=2, each=3, **kwargs):
  environment = goal_reaching.AntGoal(num_tasks, each, **kwargs)
  environment.seed(1)
  return environment


def actions(environment, rng):
  return rng.normal(size=(environment.batch_size, 8)).astype(np.float32)


def test_a_step_equals_that_of_gymnasium():
  environment = make()
  environment.set_tasks([[1.0, 2.0], [-3.0, 0.5]])
  ant = gymnasium.make('Ant-v5', include_cfrc_ext_in_observation=True).unwrapped
  ant.reset(seed=0)
  rng = np.random.default_rng(0)
  environment.reset()
  for _ in range(12):
    before = environment.physics.state
    action = actions(environment, rng)
    step = environment.step(action)
    terms = environment.reward_terms
    for row, goal in enumerate(np.repeat([[1.0, 2.0], [-3.0, 0.5]], 3, 0)):
      ant.set_state(before[row, 1:16], before[row, 16:30])
      ant.do_simulation(action[row].astype(np.float64), 5)
      qpos, qvel = ant.data.qpos, ant.data.qvel
      np.testing.assert_allclose(
        environment.physics.qpos[row], qpos, rtol=0, atol=1e-9
      )
      np.testing.assert_allclose(
        environment.physics.qvel[row], qvel, rtol=0, atol=1e-9
      )
      forces = np.clip(ant.data.cfrc_ext, -1, 1)
      np.testing.assert_allclose(
        step.observation[row],
        np.concatenate([qpos, qvel, forces.ravel()]),
        rtol=0,
        atol=1e-6,
      )
      # The L1 distance, not the Euclidean one.
      distance = abs(qpos[0] - goal[0]) + abs(qpos[1] - goal[1])
      np.testing.assert_allclose(terms.distance[row], distance, atol=1e-9)
      np.testing.assert_allclose(
        terms.control_cost[row], 0.1 * np.sum(action[row] ** 2.0), rtol=1e-6
      )
      np.testing.assert_allclose(
        terms.contact_cost[row], 0.5e-3 * np.sum(forces**2), atol=1e-9
      )
  reward = -(terms.distance + terms.control_cost + terms.contact_cost)
  np.testing.assert_allclose(step.reward, reward, rtol=1e-6)


def test_contact_forces_are_really_there():
  """MuJoCo leaves them at zero unless they are asked for."""
  environment = make()
  first = environment.reset()
  np.testing.assert_array_equal(first.observation[:, 29:], 0)
  rng = np.random.default_rng(0)
  touched = np.zeros(6, bool)
  for _ in range(30):
    step = environment.step(actions(environment, rng))
    forces = step.observation[:, 29:]
    assert forces.shape == (6, 84)
    assert np.abs(forces).max() <= 1
    touching = (forces != 0).any(axis=1)
    np.testing.assert_array_equal(
      environment.reward_terms.contact_cost > 0, touching
    )
    touched |= touching
  assert touched.all()


def test_it_never_ends_early():
  environment = make(horizon=30)
  environment.reset()
  rng = np.random.default_rng(0)
  for t in range(30):
    step = environment.step(3 * actions(environment, rng))
    assert (step.discount == 1).all()
    assert (step.is_last() == (t == 29)).all()


def test_goals_are_uniform_in_a_disc_of_three_metres():
  environment = make()
  goals = environment.sample_tasks(20_000, np.random.default_rng(0))
  radius = np.linalg.norm(goals, axis=1)
  assert radius.max() <= 3
  # Uniform in area: half of the goals within 3 / sqrt(2).
  assert np.mean(radius < 3 / np.sqrt(2)) == pytest.approx(0.5, abs=0.01)
  np.testing.assert_allclose(goals.mean(axis=0), 0, atol=0.03)


def test_the_bits_do_not_depend_on_threads_or_company():
  played = []
  for num_tasks in (1, 3):
    environment = make(num_tasks, 2)
    environment.seed([(7, b) for b in range(num_tasks)])
    environment.set_tasks([[1.0, 1.0]] * num_tasks)
    steps = [environment.reset()]
    rng = np.random.default_rng(0)
    for _ in range(10):
      action = rng.normal(size=(2, 8)).astype(np.float32)
      steps.append(environment.step(np.tile(action, (num_tasks, 1))))
    played.append(np.stack([step.observation[:2] for step in steps]))
    environment.close()
  np.testing.assert_array_equal(*played)
