"""Arrays that follow from the states, beside the states."""

import gymnasium
import mujoco
import numpy as np
import pytest

from maml_tf.environments import mujoco_batch
from maml_tf.environments import mujoco_body
from maml_tf.environments import mujoco_stepping

NAMES = ('xipos', 'cinert', 'cvel', 'qfrc_actuator', 'cfrc_ext')
_NUM_ROWS = 5


def load(asset='humanoid.xml'):
  return mujoco_batch.load_model(mujoco_body.asset_path(asset))


def make(num_threads=2, names=NAMES, asset='humanoid.xml'):
  """A batch of humanoids near the floor, with 5 physics steps a step."""
  model = load(asset)
  batch = mujoco_batch.MujocoBatch(
    model, _NUM_ROWS, 5, num_threads, derived=names
  )
  rng = np.random.default_rng(0)
  qpos = model.qpos0 + rng.uniform(-0.1, 0.1, (_NUM_ROWS, model.nq))
  batch.set_state(qpos, rng.normal(size=(_NUM_ROWS, model.nv)))
  return batch


def controls(batch, num_steps):
  size = (num_steps, batch.num_rows, batch.models[0].nu)
  return np.random.default_rng(1).uniform(-0.4, 0.4, size)


def assert_equal(batch, row, data):
  for name in NAMES:
    np.testing.assert_array_equal(
      batch.derived(name)[row], getattr(data, name), err_msg=name
    )


def copy_values(batch):
  return {name: batch.derived(name).copy() for name in NAMES}


@pytest.mark.parametrize('asset', ['humanoid.xml', 'half_cheetah.xml'])
def test_they_equal_those_of_a_lone_simulation_bit_by_bit(asset):
  """One body is integrated by RK4, the other by Euler's method."""
  batch = make(asset=asset)
  model = batch.models[0]
  for row in range(_NUM_ROWS):
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = batch.qpos[row], batch.qvel[row]
    mujoco.mj_forward(model, data)
    assert_equal(batch, row, data)
  touched = False
  for control in controls(batch, 20):
    before = batch.state
    batch.step(control)
    for row in range(_NUM_ROWS):
      data = mujoco.MjData(model)
      mujoco.mj_setState(
        model, data, before[row].copy(), mujoco_stepping.FULL_PHYSICS
      )
      data.ctrl[:] = control[row]
      mujoco.mj_step(model, data, 5)
      mujoco.mj_rnePostConstraint(model, data)
      assert_equal(batch, row, data)
      touched |= data.cfrc_ext.any()
  assert touched
  batch.close()


def test_they_are_what_gymnasium_sees():
  batch = make()
  twin = gymnasium.make('Humanoid-v5').unwrapped
  # After a reset: no contact forces yet, in both.
  twin.reset(seed=3)
  batch.set_state(
    np.tile(twin.data.qpos, (_NUM_ROWS, 1)),
    np.tile(twin.data.qvel, (_NUM_ROWS, 1)),
  )
  assert_equal(batch, 2, twin.data)
  assert not twin.data.cfrc_ext.any()
  touched = False
  for control in controls(batch, 40):
    twin.set_state(batch.qpos[2], batch.qvel[2])
    twin.data.qacc_warmstart[:] = 0  # The solver starts cold in ours.
    batch.step(control)
    twin.step(control[2])
    for name in NAMES:
      # Gymnasium normalises quaternions once more.
      np.testing.assert_allclose(
        batch.derived(name)[2],
        getattr(twin.data, name),
        rtol=1e-9,
        atol=1e-9,
        err_msg=name,
      )
    touched |= twin.data.cfrc_ext.any()
  assert touched
  batch.close()


def test_the_number_of_threads_changes_no_bit():
  batches = [make(num_threads) for num_threads in (1, 2, 3)]
  for control in controls(batches[0], 10):
    for batch in batches:
      batch.step(control)
    for other in batches[1:]:
      np.testing.assert_array_equal(other.state, batches[0].state)
      for name in NAMES:
        np.testing.assert_array_equal(
          other.derived(name), batches[0].derived(name), err_msg=name
        )
  for batch in batches:
    batch.close()


def test_each_array_is_the_same_in_any_company():
  whole = make()
  alone = {name: make(names=(name, name)) for name in NAMES}
  for control in controls(whole, 10):
    for name, batch in alone.items():
      np.testing.assert_array_equal(batch.derived(name), whole.derived(name))
      batch.step(control)
    whole.step(control)
  for batch in (whole, *alone.values()):
    batch.close()


def test_resting_rows_keep_them():
  batch = make()
  *first, second = controls(batch, 16)
  for control in first:
    batch.step(control)
  before = copy_values(batch)
  batch.rest(np.array([True, False, False, True, False]))
  batch.step(second)
  for name in NAMES:
    now = batch.derived(name)
    np.testing.assert_array_equal(now[[0, 3]], before[name][[0, 3]])
    assert (now[[1, 2, 4]] != before[name][[1, 2, 4]]).any(), name
  batch.rest(np.ones(_NUM_ROWS, bool))
  before = copy_values(batch)
  batch.step(second)
  for name in NAMES:
    np.testing.assert_array_equal(batch.derived(name), before[name])
  batch.close()


def test_unstable_rows_keep_them_without_contact_forces():
  batch = make()
  for control in controls(batch, 15):
    batch.step(control)
  batch.rest(np.array([True, False, False, False, False]))
  qvel = batch.qvel[2:3].copy()
  qvel[0, -1] = 1e11
  batch.set_state(batch.qpos[2:3], qvel, np.array([2]))
  before = copy_values(batch)
  batch.step(np.zeros((_NUM_ROWS, 17)))
  np.testing.assert_array_equal(batch.unstable, np.arange(_NUM_ROWS) == 2)
  for name in NAMES:
    expected = 0 if name == 'cfrc_ext' else before[name][2]
    np.testing.assert_array_equal(batch.derived(name)[2], expected)
    np.testing.assert_array_equal(batch.derived(name)[0], before[name][0])
  batch.close()


def test_setting_rows_changes_no_other():
  batch = make()
  for control in controls(batch, 15):
    batch.step(control)
  before = copy_values(batch)
  # Rows 2 and 4 touch the floor.
  assert before['cfrc_ext'][[2, 4]].any(axis=(1, 2)).all()
  model = batch.models[0]
  batch.set_state(
    np.tile(model.qpos0, (2, 1)), np.zeros((2, model.nv)), np.array([2, 1])
  )
  data = mujoco.MjData(model)
  mujoco.mj_forward(model, data)
  for row in (1, 2):
    assert_equal(batch, row, data)
  for name in NAMES:
    others = [0, 3, 4]
    np.testing.assert_array_equal(
      batch.derived(name)[others], before[name][others], err_msg=name
    )
  batch.close()


def test_rows_with_models_of_their_own():
  light, heavy = load(), load()
  heavy.body_pos[1, 2] += 0.5
  batch = mujoco_batch.MujocoBatch([light, heavy], derived=('xpos',))
  state = np.tile(light.qpos0, (2, 1)), np.zeros((2, light.nv))
  batch.set_models([heavy, light])
  batch.set_state(*state)
  own = batch.derived('xpos')
  batch.set_models([light, heavy])
  batch.set_state(*state)
  np.testing.assert_array_equal(batch.derived('xpos')[::-1], own)
  batch.close()


def test_snapshots_do_not_change():
  batch = make()
  places, copied = batch.derived('xipos'), batch.derived('xipos').copy()
  batch.step(controls(batch, 1)[0])
  np.testing.assert_array_equal(places, copied)
  with pytest.raises(ValueError, match='read-only'):
    batch.derived('xipos')[:] = 0
  batch.close()


@pytest.mark.parametrize(
  'name',
  [
    'nothing',
    'time',
    # Its size is the number of constraints, which changes from row to row.
    'efc_force',
  ],
)
def test_unknown_names_are_refused(name):
  with pytest.raises(ValueError, match=f"no array '{name}' of a fixed size"):
    make(names=('xipos', name))


def test_arrays_that_nobody_asked_for():
  batch = make(names=('xipos',))
  with pytest.raises(ValueError, match="'cvel' is not kept: name it in"):
    batch.derived('cvel')
  with pytest.raises(ValueError, match="'cfrc_ext' is not kept: name it in"):
    _ = batch.contact_forces
  batch.close()


def test_a_closed_batch_derives_nothing():
  batch = make()
  batch.close()
  with pytest.raises(RuntimeError, match='closed: make a new one'):
    batch.set_state(batch.qpos, batch.qvel)
