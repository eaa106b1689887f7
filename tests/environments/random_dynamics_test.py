"""Random dynamics: which numbers of a model a task scales, by what."""

import gc
import weakref

import numpy as np
import pytest

from maml_tf.environments import random_bodies
from maml_tf.environments import random_dynamics
from maml_tf.environments import tasks as tasks_lib
from maml_tf.environments.rendering import mujoco_renderer

FAMILIES = (
  random_bodies.Walker2dRandomDynamics,
  random_bodies.HopperRandomDynamics,
)


@pytest.fixture(name='cls', params=FAMILIES, ids=lambda cls: cls.__name__)
def family(request):
  return request.param


def own_model(environment):
  """The body before any task."""
  (model,) = {id(m): m for m in environment.physics.models}.values()
  return model


def constants(model):
  """All numbers of a model by name."""
  return {
    name: getattr(model, name).copy()
    for name in dir(model)
    if isinstance(getattr(model, name), np.ndarray)
  }


def place_of(model, name, *index):
  """The exponent's place: masses, inertias, damping, friction, row by row."""
  nbody, nv = model.nbody, model.nv
  start = {
    'body_mass': 0,
    'body_inertia': nbody,
    'dof_damping': 4 * nbody,
    'geom_friction': 4 * nbody + nv,
  }[name]
  return start + int(np.ravel_multi_index(index, getattr(model, name).shape))


def test_a_task_has_an_exponent_for_each_number():
  walker, hopper = (cls(1, 1) for cls in FAMILIES)
  # 8 + 8 * 3 + 9 + 8 * 3 and 5 + 5 * 3 + 6 + 5 * 3.
  assert walker.tasks.shape == (1, 65)
  assert hopper.tasks.shape == (1, 41)
  walker.close()
  hopper.close()


@pytest.mark.parametrize(
  'name, index, factor',
  [
    ('body_mass', (1,), 1.5**2),
    ('body_mass', (4,), 1.5**2),
    ('body_inertia', (2, 0), 1.5**2),
    ('body_inertia', (2, 2), 1.5**2),
    ('dof_damping', (4,), 1.3**2),
    ('geom_friction', (0, 0), 1.5**2),  # The floor's.
    ('geom_friction', (4, 1), 1.5**2),
    ('geom_friction', (4, 2), 1.5**2),
  ],
)
def test_an_exponent_scales_one_number(cls, name, index, factor):
  environment = cls(1, 1)
  model = own_model(environment)
  before = constants(model)
  task = np.zeros((1, environment.tasks.shape[1]))
  task[0, place_of(model, name, *index)] = 2.0
  environment.set_tasks(task)
  after = constants(environment.physics.models[0])
  expected = before[name].copy()
  assert expected[index] > 0
  expected[index] *= factor
  np.testing.assert_allclose(after[name], expected, rtol=1e-14)
  # What is derived from masses follows; nothing else changes.
  for other in ('body_mass', 'body_inertia', 'dof_damping', 'geom_friction'):
    if other != name:
      np.testing.assert_array_equal(after[other], before[other])
  for other in ('geom_size', 'body_ipos', 'dof_armature', 'actuator_gear'):
    np.testing.assert_array_equal(after[other], before[other])
  environment.close()


def test_zeros_are_the_body_itself_and_opposite_tasks_cancel(cls):
  environment = cls(2, 1)
  model = own_model(environment)
  before = constants(model)
  environment.set_tasks(np.zeros_like(environment.tasks))
  after = constants(environment.physics.models[0])
  for name in ('body_mass', 'body_inertia', 'dof_damping', 'geom_friction'):
    np.testing.assert_array_equal(after[name], before[name])
  (task,) = environment.sample_tasks(1, np.random.default_rng(0))
  environment.set_tasks([task, -task])
  one, other = map(constants, environment.physics.models)
  for name in ('body_mass', 'body_inertia', 'dof_damping', 'geom_friction'):
    np.testing.assert_allclose(
      one[name] * other[name], before[name] ** 2, rtol=1e-12
    )
  environment.close()


def test_numbers_derived_from_masses_follow():
  environment = random_bodies.HopperRandomDynamics(1, 1)
  own = constants(own_model(environment))
  environment.set_tasks(np.full((1, 41), 3.0))
  varied = constants(environment.physics.models[0])
  factor = 1.5**3
  np.testing.assert_allclose(
    varied['body_subtreemass'], factor * own['body_subtreemass']
  )
  # The inverse weight of the torso's slides, which have no armature, falls.
  assert (varied['dof_invweight0'][:3] < own['dof_invweight0'][:3]).all()
  environment.close()


def test_exponents_are_uniform_and_independent(cls):
  environment = cls(1, 1)
  tasks = environment.sample_tasks(20_000, np.random.default_rng(0))
  assert np.abs(tasks).max() <= 3
  np.testing.assert_allclose(tasks.mean(axis=0), 0, atol=0.07)
  # A uniform deviation: 6 / sqrt(12).
  np.testing.assert_allclose(tasks.std(axis=0), 6 / np.sqrt(12), rtol=0.02)
  correlations = np.corrcoef(tasks.T) - np.eye(tasks.shape[1])
  assert np.abs(correlations).max() < 0.04
  # 1.5^3 = 3.375 and 1.3^3 = 2.197.
  factors = random_dynamics.to_factors(
    own_model(environment), np.full(tasks.shape[1], 3.0)
  )
  assert factors['body_mass'].max() == pytest.approx(3.375)
  assert factors['dof_damping'].max() == pytest.approx(2.197)
  environment.close()


def test_the_limit_is_an_argument():
  environment = random_bodies.HopperRandomDynamics(1, 1, log_scale_limit=0.5)
  tasks = environment.sample_tasks(1000, np.random.default_rng(0))
  assert 0.49 < np.abs(tasks).max() <= 0.5
  environment.close()


def test_rows_of_a_task_share_one_model(cls):
  environment = cls(40, 20)
  environment.reset()
  models = environment.physics.models
  assert len(models) == 800
  assert len({id(model) for model in models}) == 40
  assert models[0] is models[19] and models[20] is not models[19]
  # Models that are no longer played are freed, and factors do not accumulate.
  former = [weakref.ref(model) for model in models]
  del models
  environment.set_tasks(np.zeros_like(environment.tasks))
  gc.collect()
  assert not any(reference() for reference in former)
  masses = {model.body_mass[1] for model in environment.physics.models}
  assert len(masses) == 1
  environment.close()


def test_new_tasks_between_episodes_are_those_of_a_new_environment(cls):
  rng = np.random.default_rng(0)
  used, new = cls(2, 1), cls(2, 1)
  first, second = (used.sample_tasks(2, rng) for _ in range(2))
  actions = rng.normal(size=(10, 2, *used.action_spec().shape))
  used.set_tasks(first)
  used.reset()
  for action in actions:
    used.step(action)
  observations = []
  for environment in (used, new):
    environment.seed(3)
    environment.set_tasks(second)
    steps = [environment.reset(), *map(environment.step, actions)]
    observations.append([step.observation for step in steps])
    environment.close()
  np.testing.assert_array_equal(*observations)


def test_a_heavy_body_is_slower():
  """The same torques turn the joints of a heavier body less."""
  environment = random_bodies.Walker2dRandomDynamics(2, 1)
  tasks = np.zeros((2, 65))
  tasks[1, : 4 * 8] = 3.0  # Masses and inertias.
  environment.set_tasks(tasks)
  environment.reset()
  qpos = np.zeros((2, 9))
  qpos[:, 1] = 1.6
  environment.physics.set_state(qpos, np.zeros((2, 9)))
  environment.step(np.full((2, 6), -0.5, np.float32))
  light, heavy = np.abs(environment.physics.qvel[:, 3:])
  assert (heavy < light).all()
  environment.close()


def test_absurd_tasks_are_refused(cls):
  environment = cls(2, 1)
  tasks = environment.tasks
  # Outside of the range that is drawn.
  environment.set_tasks(np.full_like(tasks, -10.0))
  environment.reset()
  environment.set_tasks(tasks)
  absurd = tasks.copy()
  absurd[1, 5] = -10.5
  with pytest.raises(ValueError, match='exponent .* is -10.5: give .* to 10$'):
    environment.set_tasks(absurd)
  with pytest.raises(ValueError, match='tasks has shape'):
    environment.set_tasks(tasks[:, 1:])
  np.testing.assert_array_equal(environment.tasks, tasks)
  environment.close()


def test_a_task_is_described_in_one_short_line():
  environment = random_bodies.HopperRandomDynamics(1, 1)
  task = np.zeros(41)
  task[:5] = 1.0
  task[20:26] = -1.0
  # 1.5 and 1 / 1.3.
  assert environment.describe_task(task) == (
    'mass x1.50, friction x1.00, damping x0.77'
  )
  name = tasks_lib.name(environment.sample_tasks(1, np.random.default_rng())[0])
  assert len(name) < 60 and name.endswith('... (41 numbers)')
  environment.close()


def test_a_film_shows_the_body_of_its_task(cls, monkeypatch):
  shown = []
  monkeypatch.setattr(
    mujoco_renderer,
    'MujocoRenderer',
    lambda model, *_, **__: shown.append(model),
  )
  environment = cls(2, 1)
  environment.reset()
  for row in range(2):
    environment.create_renderer(
      environment.tasks[row], environment.render_state(), 80, 60
    )
    # Its physics, with the shapes of the body itself.
    played = environment.physics.models[row]
    for name in ('body_mass', 'dof_damping', 'geom_friction', 'geom_size'):
      np.testing.assert_array_equal(
        getattr(shown[row], name), getattr(played, name)
      )
  environment.close()
