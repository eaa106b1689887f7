"""Walkers and hoppers: physics, rewards, ends and tasks."""

import gymnasium
import mujoco
import numpy as np
import pytest

from maml_tf.environments import random_bodies
from maml_tf.environments import random_dynamics
from maml_tf.environments import walkers

FAMILIES = (
  walkers.Walker2dDirection,
  walkers.Walker2dVelocity,
  random_bodies.Walker2dRandomDynamics,
  random_bodies.HopperRandomDynamics,
)
WALKERS = FAMILIES[:3]
# The arrays that random dynamics scale, with the bases of the factors.
BASES = {
  'body_mass': 1.5,
  'body_inertia': 1.5,
  'dof_damping': 1.3,
  'geom_friction': 1.5,
}


@pytest.fixture(name='cls', params=FAMILIES, ids=lambda cls: cls.__name__)
def family(request):
  return request.param


def make(cls, num_tasks=2, each=3, **kwargs):
  environment = cls(num_tasks, each, **kwargs)
  environment.seed(1)
  environment.set_tasks(
    environment.sample_tasks(num_tasks, np.random.default_rng(0))
  )
  return environment


def draw_actions(environment, rng):
  shape = (environment.batch_size, *environment.action_spec().shape)
  return rng.normal(size=shape).astype(np.float32)


def no_action(environment):
  shape = (environment.batch_size, *environment.action_spec().shape)
  return np.zeros(shape, np.float32)


def put(environment, height=1.6, tilt=0.0, speed=0.0, **joints):
  """Puts all rows into the air at a height [m], moving along [m/s].

  1.6 m: in free flight no force acts along the track.
  """
  model = environment.physics.models[0]
  qpos = np.zeros((environment.batch_size, model.nq))
  qvel = np.zeros((environment.batch_size, model.nv))
  qpos[:, 1], qpos[:, 2], qvel[:, 0] = height, tilt, speed
  for name, angle in joints.items():
    qpos[:, model.joint(name).qposadr[0]] = angle
  environment.physics.set_state(qpos, qvel)


# Legs that are folded do not touch the ground at 0.65 m.
FOLDED = {'thigh_joint': -1.6, 'leg_joint': -1.6}
FOLDED_BOTH = FOLDED | {'thigh_left_joint': -1.6, 'leg_left_joint': -1.6}


def create_twin(environment):
  """Gymnasium's current body with the numbers of the published one."""
  is_hopper = isinstance(environment, random_bodies.HopperRandomDynamics)
  twin = gymnasium.make('Hopper-v5' if is_hopper else 'Walker2d-v5').unwrapped
  if isinstance(environment, random_dynamics.RandomDynamics):
    twin.model.opt.timestep = 0.004
    if not is_hopper:
      twin.model.geom_friction[twin.model.geom('foot_geom').id, 0] = 0.9
  twin.reset(seed=0)
  return twin


def scale_twin(twin, own, task):
  """Writes a task's numbers into Gymnasium's model."""
  start = 0
  for name, base in BASES.items():
    stop = start + own[name].size
    exponents = task[start:stop].reshape(own[name].shape)
    getattr(twin.model, name)[:] = own[name] * base**exponents
    start = stop
  assert start == len(task)
  mujoco.mj_setConst(twin.model, twin.data)


def test_a_step_equals_that_of_gymnasium(cls):
  environment = make(cls)
  twin = create_twin(environment)
  own = {name: getattr(twin.model, name).copy() for name in BASES}
  is_random = isinstance(environment, random_dynamics.RandomDynamics)
  rng = np.random.default_rng(0)
  environment.reset()
  nq = twin.model.nq
  compared = 0
  for _ in range(12):
    before = environment.physics.state
    action = draw_actions(environment, rng)
    step = environment.step(action)
    physics = environment.physics
    for row in np.flatnonzero(~step.is_first()):
      if is_random:
        scale_twin(twin, own, environment.tasks[row // 3])
      twin.set_state(before[row, 1 : 1 + nq], before[row, 1 + nq :])
      twin.do_simulation(action[row].astype(np.float64), 4 if is_random else 8)
      qpos, qvel = twin.data.qpos, twin.data.qvel
      np.testing.assert_allclose(physics.qpos[row], qpos, rtol=0, atol=1e-9)
      np.testing.assert_allclose(physics.qvel[row], qvel, rtol=0, atol=1e-9)
      np.testing.assert_allclose(
        step.observation[row],
        np.concatenate([qpos[1:], np.clip(qvel, -10, 10)]),
        rtol=0,
        atol=1e-6,
      )
      np.testing.assert_allclose(
        environment.reward_terms.velocity[row],
        (qpos[0] - before[row, 1]) / 0.016,
        rtol=0,
        atol=1e-6,
      )
      compared += 1
  assert compared > 40
  environment.close()


@pytest.mark.parametrize(
  'cls, tasks, rewards',
  [
    # task * 2 + 1
    (walkers.Walker2dDirection, [1.0, -1.0], [3, -1]),
    # -|2 - task| + 15
    (walkers.Walker2dVelocity, [0.5, 9.0], [13.5, 8]),
    # 2 + 1, whatever the dynamics.
    (random_bodies.Walker2dRandomDynamics, np.zeros((2, 65)), [3, 3]),
    (random_bodies.HopperRandomDynamics, np.zeros((2, 41)), [3, 3]),
  ],
)
def test_rewards_are_those_of_the_task_and_a_bonus(cls, tasks, rewards):
  environment = make(cls, each=1)
  environment.set_tasks(tasks)
  environment.reset()
  put(environment, speed=2.0)
  for _ in range(3):
    reward = environment.step(no_action(environment)).reward
    np.testing.assert_allclose(reward, rewards, atol=1e-5)
  # The cost is that of the action before MuJoCo clamps it: 1e-3 * A * 3^2.
  action = np.full_like(no_action(environment), 3.0)
  environment.step(action)
  np.testing.assert_allclose(
    environment.reward_terms.control_cost, 9e-3 * action.shape[1], rtol=1e-6
  )
  environment.close()


@pytest.mark.parametrize('cls', WALKERS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize(
  'pose, ends',
  [
    ({'height': 0.85}, False),
    ({'height': 0.79}, True),
    ({'height': 1.99}, False),
    ({'height': 2.01}, True),
    ({'tilt': 0.99}, False),
    ({'tilt': 1.01}, True),
    ({'tilt': -0.99}, False),
    ({'tilt': -1.01}, True),
    # Neither the place nor the speed along the track ends an episode.
    ({'speed': 200.0}, False),
  ],
)
def test_a_walker_falls_at_its_limits(cls, pose, ends):
  environment = make(cls, num_tasks=1, each=2)
  environment.reset()
  put(environment, **pose, **FOLDED_BOTH)
  step = environment.step(no_action(environment))
  np.testing.assert_array_equal(step.is_last(), ends)
  np.testing.assert_array_equal(step.discount, 0 if ends else 1)
  # As in the sources, and unlike Gymnasium, the last step earns the bonus.
  bonus = 15 if cls is walkers.Walker2dVelocity else 1
  terms = environment.reward_terms
  np.testing.assert_array_equal(terms.alive_bonus, bonus)
  np.testing.assert_allclose(step.reward, terms.task_reward + bonus, rtol=1e-6)
  assert environment.num_unstable_episodes == 0
  environment.close()


@pytest.mark.parametrize(
  'pose, ends',
  [
    ({'height': 0.72}, False),
    ({'height': 0.69}, True),
    ({'height': 150.0}, False),
    ({'tilt': 0.17}, False),
    ({'tilt': 0.21}, True),
    ({'tilt': -0.17}, False),
    ({'tilt': -0.21}, True),
    ({'speed': 99.0}, False),
    ({'speed': 101.0}, True),
    ({'speed': -101.0}, True),
    ({'foot_joint': 130.0}, True),
  ],
)
def test_a_hopper_falls_at_its_limits(pose, ends):
  environment = make(random_bodies.HopperRandomDynamics, num_tasks=1, each=2)
  environment.set_tasks(np.zeros((1, 41)))
  environment.reset()
  put(environment, **(FOLDED | pose))
  step = environment.step(no_action(environment))
  np.testing.assert_array_equal(step.is_last(), ends)
  np.testing.assert_array_equal(step.discount, 0 if ends else 1)
  np.testing.assert_array_equal(environment.reward_terms.alive_bonus, 1)
  assert environment.num_unstable_episodes == 0
  environment.close()


def test_observed_velocities_are_clipped():
  environment = make(walkers.Walker2dDirection, num_tasks=1, each=1)
  environment.reset()
  put(environment, speed=25.0)
  observation = environment.step(no_action(environment)).observation
  assert observation.shape == (1, 17)
  assert observation[0, 8] == 10
  put(environment, speed=-25.0)
  assert environment.step(no_action(environment)).observation[0, 8] == -10
  environment.close()


def test_starts_are_uniform_around_the_pose_of_the_model(cls):
  environment = make(cls, each=1000)
  environment.reset()
  qpos, qvel = environment.physics.qpos, environment.physics.qvel
  # All zeros, but the torso is at 1.25 m.
  noise = qpos - np.eye(qpos.shape[1])[1] * 1.25
  for values in (noise, qvel):
    assert 0.00499 < np.abs(values).max() <= 0.005
    # A uniform deviation is 0.01 / sqrt(12).
    np.testing.assert_allclose(values.std(), 0.01 / np.sqrt(12), rtol=0.02)
  environment.close()


def test_the_defaults_are_those_of_the_sources(cls):
  environment = cls()
  assert environment.num_tasks == 40
  assert environment.environments_per_task == 20
  assert environment.horizon == 200
  np.testing.assert_array_equal(environment.action_spec().minimum, -1)
  np.testing.assert_array_equal(environment.action_spec().maximum, 1)
  environment.close()


def test_velocities_are_drawn_uniformly_up_to_ten():
  environment = make(walkers.Walker2dVelocity)
  tasks = environment.sample_tasks(10000, np.random.default_rng(0))
  counts, _ = np.histogram(tasks, bins=10, range=(0, 10))
  assert counts.sum() == 10000
  # Each tenth has 1000 of them, with a standard deviation of 30.
  assert np.abs(counts - 1000).max() < 150
  environment.close()


def test_directions_are_two_and_may_be_balanced():
  rng = np.random.default_rng(0)
  environment = make(walkers.Walker2dDirection)
  tasks = environment.sample_tasks(10000, rng)
  np.testing.assert_array_equal(np.unique(tasks), [-1, 1])
  assert abs(tasks.mean()) < 0.05
  with pytest.raises(ValueError, match=r'give \+1 or -1'):
    environment.set_tasks([1.0, 0.5])
  environment.close()
  environment = make(walkers.Walker2dDirection, balanced=True)
  tasks = [environment.sample_task(place, rng) for place in range(5)]
  assert tasks == [-1, 1, -1, 1, -1]
  environment.close()


def test_the_friction_of_the_feet_is_that_of_gymnasium_or_of_the_source():
  def friction(environment):
    model = environment.physics.models[0]
    environment.close()
    return [
      model.geom(name).friction[0] for name in ('foot_geom', 'foot_left_geom')
    ]

  assert friction(walkers.Walker2dDirection(1, 1)) == [1.9, 1.9]
  assert friction(walkers.Walker2dVelocity(1, 1)) == [1.9, 1.9]
  old = walkers.Walker2dDirection(1, 1, right_foot_friction=0.9)
  assert friction(old) == [0.9, 1.9]
  # Before it draws a task.
  assert friction(random_bodies.Walker2dRandomDynamics(1, 1)) == [0.9, 1.9]


@pytest.mark.parametrize(
  'cls, arguments, message',
  [
    (walkers.Walker2dDirection, {'alive_bonus': np.inf}, 'alive_bonus is inf'),
    (walkers.Walker2dVelocity, {'right_foot_friction': -1}, 'friction is -1'),
    (walkers.Walker2dDirection, {'balanced': 1}, 'balanced is 1: give True'),
    (random_bodies.Walker2dRandomDynamics, {'timestep': 0}, 'timestep is 0'),
    (random_bodies.HopperRandomDynamics, {'timestep': -1}, 'timestep is -1'),
    (
      random_bodies.HopperRandomDynamics,
      {'log_scale_limit': 11},
      'log_scale_limit is 11',
    ),
  ],
)
def test_bad_arguments_are_named(cls, arguments, message):
  with pytest.raises(ValueError, match=message):
    cls(2, 2, **arguments)


def test_the_bits_do_not_depend_on_threads_or_company(cls):
  played = []
  tasks = make(cls, 3, 1).tasks
  for num_tasks, num_threads in ((1, 1), (3, 2)):
    environment = make(cls, num_tasks, 2)
    environment.use_threads(num_threads)
    environment.seed([(7, b) for b in range(num_tasks)])
    environment.set_tasks(tasks[:num_tasks])
    steps = [environment.reset()]
    rng = np.random.default_rng(0)
    for _ in range(15):
      action = rng.normal(size=(2, *environment.action_spec().shape))
      steps.append(
        environment.step(np.tile(action, (num_tasks, 1)).astype(np.float32))
      )
    played.append([np.stack([s.observation[:2] for s in steps])])
    played[-1].append(np.stack([s.reward[:2] for s in steps]))
    environment.close()
  for one, other in zip(*played):
    np.testing.assert_array_equal(one, other)
