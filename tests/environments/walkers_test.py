"""Tests of the walkers and hoppers: physics, rewards, ends, tasks."""

import gymnasium
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


def actions(environment, rng):
  shape = (environment.batch_size, *environment.action_spec().shape)
  return rng.normal(size=shape).astype(np.float32)


def gymnasium_twin(environment):
  """Gymnasium's current body with the numbers of the published one."""
  is_hopper = isinstance(environment, random_bodies.HopperRandomDynamics)
  twin = gymnasium.make('Hopper-v5' if is_hopper else 'Walker2d-v5').unwrapped
  if isinstance(environment, random_dynamics.RandomDynamics):
    twin.model.opt.timestep = 0.004
    if not is_hopper:
      twin.model.geom_friction[twin.model.geom('foot_geom').id, 0] = 0.9
  twin.reset(seed=0)
  return twin


def test_a_step_equals_that_of_gymnasium(cls):
  environment = make(cls)
  twin = gymnasium_twin(environment)
  own = {name: getattr(twin.model, name).copy() for name in _BASES}
  is_random = isinstance(environment, random_dynamics.RandomDynamics)
  rng = np.random.default_rng(0)
  environment.reset()
  nq, nv = twin.model.nq, twin.model.nv
  for _ in range(12):
    before = environment.physics.state
    action = actions(environment, rng)
    step = environment.step(action)
    for row in range(6):
      if step.is_first()[row]:
        continue
      if is_random:
        _scale(twin, own, environment.tasks[row // 3])
      twin.set_state(before[row, 1 : 1 + nq], before[row, 1 + nq :])
      twin.do_simulation(action[row].astype(np.float64), 4 if is_random else 8)
      qpos, qvel = twin.data.qpos, twin.data.qvel
      physics = environment.physics
      np.testing.assert_allclose(physics.qpos[row], qpos, rtol=0, atol=1e-9)
      np.testing.assert_allclose(physics.qvel[row], qvel, rtol=0, atol=1e-9)
      np.testing.assert_allclose(
        step.observation[row],
        np.concatenate([qpos[1:], np.clip(qvel, -10, 10)]),
        rtol=0,
        atol=1e-6,
      )
      velocity = (qpos[0] - before[row, 1]) / 0.016
      np.testing.assert_allclose(
        environment.reward_terms.velocity[row], velocity, rtol=0, atol=1e-6
      )
  assert nv == nq
  environment.close()


_BASES = {
  'body_mass': 1.5,
  'body_inertia': 1.5,
  'dof_damping': 1.3,
  'geom_friction': 1.5,
}


def _scale(twin, own, task):
  """Writes a task's numbers into Gymnasium's model, without the package."""
  import mujoco

  start = 0
  for name, base in _BASES.items():
    stop = start + own[name].size
    exponents = task[start:stop].reshape(own[name].shape)
    getattr(twin.model, name)[:] = own[name] * base**exponents
    start = stop
  assert start == len(task)
  mujoco.mj_setConst(twin.model, twin.data)
