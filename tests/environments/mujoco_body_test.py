"""Bodies of any XML, whose numbers a task may change."""

import mujoco
import numpy as np
import pytest

from maml_tf.environments import goal_reaching
from maml_tf.environments import mujoco_batch
from maml_tf.environments import mujoco_body

_XML = """
<mujoco>
  <option timestep="0.01"/>
  <worldbody>
    <body name="rod">
      <joint name="hinge" type="hinge" axis="0 1 0"/>
      <geom type="sphere" size="0.1" pos="0 0 -1" mass="{mass}"/>
    </body>
  </worldbody>
  <actuator>
    <motor joint="hinge" ctrllimited="true" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""
_ROD = _XML.format(mass=1)


def set_mass(model, task):
  """Sets the mass, and the inertia that the compiler derives from it."""
  if task > 100:
    raise ValueError(f'a mass of {task} is too heavy: give at most 100')
  model.body_inertia[1] *= task / model.body_mass[1]
  model.body_mass[1] = task


class HeavyRod(mujoco_body.MujocoBody):
  """A pendulum whose task is its mass."""

  def __init__(
    self,
    num_tasks=2,
    environments_per_task=3,
    horizon=5,
    asset=_ROD,
    change_model=set_mass,
  ):
    super().__init__(
      asset,
      frame_skip=2,
      num_observations=2,
      task_shape=(),
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
      reset_noise_scale=0.1,
      change_model=change_model,
    )

  def sample_tasks(self, n, rng):
    return rng.uniform(0.5, 2.0, n)

  def _observation(self):
    return self._physics.state[:, 1:].astype(np.float32)

  def _advance(self, action):
    self._physics.step(action)
    zeros = np.zeros(self.batch_size, np.float32)
    return self._observation(), zeros, zeros.astype(bool)


def _constants(model):
  """All numbers of a model, by name."""
  arrays = {name: getattr(model, name) for name in dir(model)}
  return {k: v for k, v in arrays.items() if isinstance(v, np.ndarray)}


def test_a_changed_model_equals_a_compiled_one():
  base = mujoco_batch.load_model(_ROD)
  before = {k: v.copy() for k, v in _constants(base).items()}
  (varied,) = mujoco_batch.vary_model(base, [2.5], set_mass)
  compiled = mujoco.MjModel.from_xml_string(_XML.format(mass=2.5))
  for name, value in _constants(compiled).items():
    np.testing.assert_allclose(
      _constants(varied)[name], value, rtol=1e-12, err_msg=name
    )
  # Derived from the mass: without mj_setConst it would still be 1.
  assert varied.body_subtreemass[0] == 2.5
  for name, value in before.items():
    np.testing.assert_array_equal(_constants(base)[name], value, err_msg=name)


def test_rows_of_a_task_share_one_model_and_move_as_it_says():
  environment = HeavyRod()
  environment.set_tasks([0.5, 2.0])
  models = environment.physics.models
  assert len({id(model) for model in models}) == 2
  assert models[0] is models[2] and models[3] is models[5]
  environment.reset()
  # Hanging down, gravity has no effect. The torque of 1 turns the inertia
  # m * (1 + 2/5 * 0.1^2); semi-implicitly, two steps of 0.01 s from rest. The
  # second one sees an angle of 1e-4 / m, so that gravity changes it by 1e-5.
  environment.physics.set_state(np.zeros((6, 1)), np.zeros((6, 1)))
  environment.step(np.ones((6, 1), np.float32))
  masses = np.repeat([0.5, 2.0], 3)
  np.testing.assert_allclose(
    environment.physics.qvel[:, 0], 0.02 / (1.004 * masses), rtol=2e-3
  )
  # A second call replaces the models.
  environment.set_tasks([2.0, 0.5])
  assert environment.physics.models[0].body_mass[1] == 2.0
  environment.close()


def test_tasks_that_the_function_refuses_change_nothing():
  environment = HeavyRod()
  environment.set_tasks([1.0, 2.0])
  with pytest.raises(ValueError, match='a mass of 101.0 is too heavy'):
    environment.set_tasks([1.5, 101.0])
  np.testing.assert_array_equal(environment.tasks, [1.0, 2.0])
  masses = [model.body_mass[1] for model in environment.physics.models]
  assert masses == [1.0] * 3 + [2.0] * 3
  environment.reset()
  environment.close()


def test_the_function_must_change_the_model_in_place():
  environment = HeavyRod(change_model=lambda model, task: model)
  with pytest.raises(ValueError, match='returned a MjModel: let it change the'):
    environment.set_tasks([1.0, 2.0])
  environment.close()


def test_an_asset_is_xml_or_a_path_or_a_name_of_gymnasium_or_a_model(
  tmp_path, monkeypatch
):
  (tmp_path / 'rod.xml').write_text(_ROD)
  # Gymnasium's file comes first.
  (tmp_path / 'ant.xml').write_text('<mujoco/>')
  monkeypatch.chdir(tmp_path)
  for asset in ('rod.xml', str(tmp_path / 'rod.xml'), _ROD):
    environment = HeavyRod(asset=asset)
    assert environment.action_spec().shape == (1,)
    environment.close()
  loaded = mujoco_batch.load_model(_ROD)
  loaded.opt.timestep = 0.02
  environment = HeavyRod(asset=loaded)
  environment.reset()
  environment.step(np.zeros((6, 1), np.float32))
  np.testing.assert_allclose(environment.physics.state[:, 0], 0.04)
  environment.close()
  ant = goal_reaching.AntGoal(1, 1)
  assert ant.action_spec().shape == (8,)
  ant.close()


@pytest.mark.parametrize(
  'asset, message',
  [
    ('missing.xml', '^missing.xml does not exist: give an XML file, or XML$'),
    ('a/missing.xml', '^a/missing.xml does not exist'),
    ('<mujoco', 'XML'),
    ('<mujoco><nothing/></mujoco>', 'unrecognized element'),
  ],
)
def test_wrong_assets_are_refused(asset, message):
  with pytest.raises(ValueError, match=message):
    HeavyRod(asset=asset)


def test_models_of_a_batch_are_counted_and_of_one_structure():
  base = mujoco_batch.load_model(_ROD)
  batch = mujoco_batch.MujocoBatch(base, num_rows=3)
  with pytest.raises(ValueError, match='there are 2 models for 3 rows: give'):
    batch.set_models([base, base])
  ant = mujoco_batch.load_model(mujoco_body.asset_path('ant.xml'))
  with pytest.raises(ValueError, match='model 2 has sizes .* of one structure'):
    batch.set_models([base, base, ant])
  assert batch.models == [base] * 3
  batch.close()
