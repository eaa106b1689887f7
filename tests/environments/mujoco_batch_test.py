"""Batched MuJoCo simulations equal single ones."""

import os
import pathlib
import subprocess
import sys
import textwrap

import gymnasium
import mujoco
import numpy as np
import pytest

from maml_tf.environments import locomotion
from maml_tf.environments import mujoco_batch
from maml_tf.environments import mujoco_body

_PENDULUM = """
<mujoco>
  <option timestep="0.01"/>
  <worldbody>
    <body>
      <joint name="hinge" type="hinge" axis="0 1 0"/>
      <geom type="sphere" size="0.1" pos="0 0 -1" mass="{mass}"/>
    </body>
  </worldbody>
  <actuator>
    <motor joint="hinge" ctrllimited="true" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""


@pytest.fixture
def cheetah():
  """Yields a half-cheetah environment of 1,000 rows."""
  environment = locomotion.HalfCheetahDirection(
    num_tasks=1, environments_per_task=1000, horizon=1000
  )
  environment.set_tasks([1.0])
  environment.seed(0)
  yield environment
  environment.close()


def test_agrees_with_gymnasium_on_states_that_random_actions_reach(cheetah):
  rng = np.random.default_rng(0)
  cheetah.reset()
  walk = mujoco_batch.MujocoBatch(
    mujoco_batch.load_model(_cheetah_path()), num_rows=10, frame_skip=5
  )
  qpos, qvel = [], []
  for _ in range(100):
    qpos.append(walk.qpos)
    qvel.append(walk.qvel)
    walk.step(rng.normal(0, 1, (10, 6)))
  walk.close()
  qpos, qvel = np.concatenate(qpos), np.concatenate(qvel)
  # With a deviation of 2, 62 percent of the torques are outside [-1, 1].
  _assert_agrees_with_gymnasium(
    cheetah, qpos, qvel, rng.normal(0, 2, (1000, 6))
  )


def test_agrees_with_gymnasium_on_arbitrary_states(cheetah):
  rng = np.random.default_rng(1)
  cheetah.reset()
  # Bodies are in the air, on the floor and half in it, at any angle.
  qpos = rng.uniform(-0.5, 0.5, (1000, 9))
  qpos[:, 2] = rng.uniform(-np.pi, np.pi, 1000)
  qvel = rng.normal(0, 2, (1000, 9))
  _assert_agrees_with_gymnasium(
    cheetah, qpos, qvel, rng.uniform(-3, 3, (1000, 6))
  )


def _assert_agrees_with_gymnasium(environment, qpos, qvel, actions):
  environment.physics.set_state(qpos, qvel)
  reward = environment.step(actions).reward
  terms = environment.reward_terms
  single = gymnasium.make('HalfCheetah-v5', ctrl_cost_weight=0.05).unwrapped
  for row in range(len(qpos)):
    single.reset()
    single.set_state(qpos[row], qvel[row])
    _, single_reward, _, _, info = single.step(actions[row])
    expected = [
      *single.data.qpos,
      *single.data.qvel,
      info['x_velocity'],
      info['reward_forward'],
      info['reward_ctrl'],
      single_reward,
    ]
    actual = [
      *environment.physics.qpos[row],
      *environment.physics.qvel[row],
      terms.velocity[row],
      terms.task_reward[row],
      -terms.control_cost[row],
      terms.task_reward[row] - terms.control_cost[row],
    ]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9)
    assert reward[row] == np.float32(actual[-1])


def _cheetah_states(num_steps, rows, num_threads):
  """Returns the states [num_steps, K, nstate] of K of 12 rows in one batch."""
  model = mujoco_batch.load_model(_cheetah_path())
  rng = np.random.default_rng(0)
  qpos = rng.uniform(-0.1, 0.1, (12, model.nq))[rows]
  qvel = rng.normal(0, 0.1, (12, model.nv))[rows]
  controls = rng.normal(0, 1, (num_steps, 12, model.nu))[:, rows]
  batch = mujoco_batch.MujocoBatch(
    model, len(qpos), frame_skip=5, num_threads=num_threads
  )
  batch.set_state(qpos, qvel)
  states = []
  for t in range(num_steps):
    batch.step(controls[t])
    states.append(batch.state)
  batch.close()
  return np.stack(states)


def _cheetah_path():
  return mujoco_body.asset_path('half_cheetah.xml')


def test_the_number_of_threads_changes_no_bit():
  one = _cheetah_states(60, slice(None), num_threads=1)
  for num_threads in (2, 3, 16, None):
    several = _cheetah_states(60, slice(None), num_threads)
    np.testing.assert_array_equal(several, one)


def test_the_other_rows_of_the_batch_change_no_bit():
  whole = _cheetah_states(60, slice(None), num_threads=2)
  for rows in (slice(0, 5), slice(5, 12), slice(3, 4), slice(None, None, -1)):
    part = _cheetah_states(60, rows, num_threads=2)
    np.testing.assert_array_equal(part, whole[:, rows])


def test_holds_the_control_for_the_skipped_frames():
  model = mujoco.MjModel.from_xml_string(_PENDULUM.format(mass=1))
  data = mujoco.MjData(model)
  batch = mujoco_batch.MujocoBatch(model, num_rows=2, frame_skip=3)
  for control in (0.5, 7.0, -0.2):
    data.ctrl[:] = control
    mujoco.mj_step(model, data, 3)
    batch.step(np.full((2, 1), control))
  # Nine steps of 0.01 s.
  np.testing.assert_allclose(batch.state[:, 0], [0.09, 0.09])
  np.testing.assert_allclose(batch.qpos, np.tile(data.qpos, (2, 1)), atol=1e-12)
  np.testing.assert_allclose(batch.qvel, np.tile(data.qvel, (2, 1)), atol=1e-12)
  batch.close()


def test_clamps_the_control_to_its_range():
  model = mujoco.MjModel.from_xml_string(_PENDULUM.format(mass=1))
  batch = mujoco_batch.MujocoBatch(model, num_rows=3)
  batch.step(np.array([[1.0], [50.0], [0.9]]))
  np.testing.assert_array_equal(batch.qvel[0], batch.qvel[1])
  assert batch.qvel[2] < batch.qvel[1]
  batch.close()


def test_rows_may_have_different_models():
  models = [
    mujoco.MjModel.from_xml_string(_PENDULUM.format(mass=mass))
    for mass in (1, 2)
  ]
  batch = mujoco_batch.MujocoBatch(models)
  batch.step(np.full((2, 1), 1.0))
  # Gravity acts along the rod. A torque of 1 accelerates the inertia about the
  # hinge, m * (1 + 2/5 * 0.1^2), for 0.01 s.
  inertia = np.array([[1.0], [2.0]]) * (1 + 0.4 * 0.01)
  np.testing.assert_allclose(batch.qvel, 0.01 / inertia, rtol=1e-9)
  batch.close()


def test_models_of_different_structure_are_refused():
  pendulum = mujoco.MjModel.from_xml_string(_PENDULUM.format(mass=1))
  cheetah = mujoco_batch.load_model(_cheetah_path())
  with pytest.raises(ValueError, match='model 1 has sizes'):
    mujoco_batch.MujocoBatch([pendulum, cheetah])
  with pytest.raises(ValueError, match='num_rows is 3, but there are 2'):
    mujoco_batch.MujocoBatch([pendulum, pendulum], num_rows=3)
  with pytest.raises(ValueError, match='num_rows is missing'):
    mujoco_batch.MujocoBatch(pendulum)


def test_an_unstable_row_keeps_its_state_and_is_reported():
  model = mujoco_batch.load_model(_cheetah_path())
  rng = np.random.default_rng(0)
  qpos, qvel = rng.normal(0, 0.1, (2, 4, 9))
  controls = rng.uniform(-1, 1, (4, 6))
  healthy = mujoco_batch.MujocoBatch(model, num_rows=4, frame_skip=5)
  healthy.set_state(qpos, qvel)
  healthy.step(controls)
  assert not healthy.unstable.any()

  # Joints that turn at 1e6 rad/s accelerate each other beyond 1e10 rad/s^2.
  qvel[1] = 1e6
  batch = mujoco_batch.MujocoBatch(model, num_rows=4, frame_skip=5)
  batch.set_state(qpos, qvel)
  before = batch.state
  batch.step(controls)
  np.testing.assert_array_equal(batch.unstable, [False, True, False, False])
  np.testing.assert_array_equal(batch.state[1], before[1])
  others = [0, 2, 3]
  np.testing.assert_array_equal(batch.state[others], healthy.state[others])

  batch.set_state(qpos[:1], np.zeros((1, 9)), rows=np.array([1]))
  batch.step(controls)
  assert not batch.unstable.any()
  healthy.close()
  batch.close()


@pytest.mark.parametrize('frame_skip', [1, 4])
def test_reports_the_instabilities_that_mujoco_warns_of(frame_skip):
  model = mujoco_batch.load_model(_cheetah_path())
  model.opt.timestep = 0.1  # Ten times the model's own.
  model.actuator_gear *= 300
  batch = mujoco_batch.MujocoBatch(model, num_rows=20, frame_skip=frame_skip)
  rng = np.random.default_rng(0)
  # Some rows become unstable in their first step.
  speed = 10 ** rng.uniform(-1, 6, (20, 1))
  batch.set_state(np.zeros((20, 9)), speed * rng.normal(0, 1, (20, 9)))
  data = mujoco.MjData(model)
  found = []
  for _ in range(10):
    before = batch.state
    controls = rng.uniform(-1, 1, (20, 6))
    batch.step(controls)
    for row in range(20):
      warned = _is_warned_of(
        data, model, before[row], controls[row], frame_skip
      )
      assert batch.unstable[row] == warned
      if warned:
        np.testing.assert_array_equal(batch.state[row], before[row])
      else:
        assert batch.state[row, 0] == data.time
        np.testing.assert_allclose(
          batch.state[row, 1:], [*data.qpos, *data.qvel], rtol=1e-6
        )
      found.append(warned)
  assert np.isfinite(batch.state).all()
  assert 0 < np.sum(found[:20]) < np.sum(found) < 190
  batch.close()


def _is_warned_of(data, model, state, control, num_steps):
  """Steps a single simulation; returns whether MuJoCo finds it unstable."""
  mujoco.mj_resetData(model, data)
  mujoco.mj_setState(model, data, state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
  data.ctrl[:] = control
  for _ in range(num_steps):
    mujoco.mj_step(model, data)
    for warning in ('BADQPOS', 'BADQVEL', 'BADQACC'):
      kind = getattr(mujoco.mjtWarning, f'mjWARN_{warning}')
      if data.warning[kind].number:
        return True
  return False


@pytest.mark.parametrize('frame_skip', [1, 3])
def test_nan_controls_do_not_count_as_instability(frame_skip):
  model = mujoco.MjModel.from_xml_string(_PENDULUM.format(mass=1))
  batch = mujoco_batch.MujocoBatch(model, num_rows=2, frame_skip=frame_skip)
  for _ in range(2):
    batch.step(np.array([[np.nan], [0.5]]))
    assert not batch.unstable.any()
  # MuJoCo uses a control of zero: the pendulum hangs still.
  np.testing.assert_allclose(batch.state[0, 1:], [0, 0], atol=1e-12)
  batch.close()


def test_set_state_changes_only_the_given_rows():
  model = mujoco.MjModel.from_xml_string(_PENDULUM.format(mass=1))
  batch = mujoco_batch.MujocoBatch(model, num_rows=3)
  batch.step(np.ones((3, 1)))
  before = batch.state
  batch.set_state([[0.3], [0.4]], [[3.0], [4.0]], rows=np.array([0, 2]))
  np.testing.assert_array_equal(batch.state[0], [0, 0.3, 3.0])
  np.testing.assert_array_equal(batch.state[1], before[1])
  np.testing.assert_array_equal(batch.state[2], [0, 0.4, 4.0])
  batch.close()


def test_snapshots_do_not_change():
  model = mujoco.MjModel.from_xml_string(_PENDULUM.format(mass=1))
  batch = mujoco_batch.MujocoBatch(model, num_rows=2)
  batch.step(np.ones((2, 1)))
  qpos, copied = batch.qpos, batch.qpos.copy()
  for _ in range(3):
    batch.step(np.ones((2, 1)))
  batch.set_state([[1.0], [1.0]], [[1.0], [1.0]])
  np.testing.assert_array_equal(qpos, copied)
  with pytest.raises(ValueError, match='read-only'):
    batch.qpos[:] = 0
  batch.close()


def test_stepping_a_closed_batch_is_an_error():
  model = mujoco.MjModel.from_xml_string(_PENDULUM.format(mass=1))
  batch = mujoco_batch.MujocoBatch(model, num_rows=1)
  batch.close()
  batch.close()
  with pytest.raises(RuntimeError, match='closed'):
    batch.step(np.zeros((1, 1)))


def test_loading_is_silent_and_instability_is_logged_without_a_file(tmp_path):
  script = textwrap.dedent("""
    import sys
    import numpy as np
    from maml_tf.environments import mujoco_batch

    def mark(text):
      print(text, file=sys.stderr, flush=True)
      print(text, flush=True)

    mark('LOAD')
    model = mujoco_batch.load_model(sys.argv[1])
    batch = mujoco_batch.MujocoBatch(model, num_rows=2)
    batch.step(np.zeros((2, model.nu)))
    mark('BREAK')
    batch.set_state(np.full((2, model.nq), np.nan), np.zeros((2, model.nv)))
    batch.step(np.zeros((2, model.nu)))
    mark('END')
  """)
  root = pathlib.Path(mujoco_batch.__file__).parents[2]
  ran = subprocess.run(
    [sys.executable, '-c', script, _cheetah_path()],
    cwd=tmp_path,
    env={**os.environ, 'PYTHONPATH': str(root)},
    capture_output=True,
    text=True,
    check=True,
  )
  for stream in (ran.stdout, ran.stderr):
    loading = stream.split('LOAD\n')[1].split('BREAK\n')[0]
    assert loading == ''
  breaking = ran.stderr.split('BREAK\n')[1].split('END\n')[0]
  assert 'MuJoCo: Nan, Inf or huge value in QPOS' in breaking
  assert list(tmp_path.iterdir()) == []


def test_steps_with_contact_forces_equal_those_of_the_rollout():
  model = mujoco_batch.load_model(mujoco_body.asset_path('half_cheetah.xml'))
  rng = np.random.default_rng(0)
  qpos = model.qpos0 + rng.uniform(-0.1, 0.1, (5, model.nq))
  qvel = rng.normal(size=(5, model.nv))
  batches = [
    mujoco_batch.MujocoBatch(model, 5, 5, threads, contact_forces=with_forces)
    for with_forces, threads in ((False, 2), (True, 1), (True, 3))
  ]
  for batch in batches:
    batch.set_state(qpos, qvel)
  controls = rng.normal(size=(30, 5, model.nu))
  # One row becomes unstable.
  largest = 0.0
  for t, control in enumerate(controls):
    if t == 4:
      for batch in batches:
        batch.set_state(
          batch.qpos[3:4], np.full((1, model.nv), 1e11), np.array([3])
        )
    for batch in batches:
      batch.step(control)
    for other in batches[1:]:
      np.testing.assert_array_equal(other.state, batches[0].state)
      np.testing.assert_array_equal(other.unstable, batches[0].unstable)
    assert batches[0].unstable[3] == (t >= 4)
    forces = batches[1].contact_forces
    np.testing.assert_array_equal(forces, batches[2].contact_forces)
    largest = max(largest, np.abs(forces).max())
  np.testing.assert_array_equal(forces[3], 0)
  assert largest > 0
  batches[1].set_state(qpos[:1], qvel[:1], np.array([0]))
  np.testing.assert_array_equal(batches[1].contact_forces[0], 0)
  batches[1].close()
  with pytest.raises(RuntimeError, match='closed'):
    batches[1].step(controls[0])


@pytest.mark.parametrize('contact_forces', [False, True])
def test_resting_rows_stay_and_change_no_other(contact_forces):
  model = mujoco_batch.load_model(mujoco_body.asset_path('half_cheetah.xml'))
  rng = np.random.default_rng(0)
  qvel = rng.standard_normal((8, model.nv))
  controls = rng.uniform(-1, 1, (3, 8, model.nu))
  resting = np.isin(np.arange(8), (0, 3, 4))
  plain, batch = (
    mujoco_batch.MujocoBatch(model, 8, 5, 2, contact_forces=contact_forces)
    for _ in range(2)
  )
  for physics in (plain, batch):
    physics.set_state(np.tile(model.qpos0, (8, 1)), qvel)
    physics.step(controls[0])
  before = batch.state
  batch.rest(resting)
  for control in controls[1:]:
    plain.step(control)
    batch.step(control)
  np.testing.assert_array_equal(batch.state[resting], before[resting])
  np.testing.assert_array_equal(batch.state[~resting], plain.state[~resting])
  if contact_forces:
    np.testing.assert_array_equal(
      batch.contact_forces[~resting], plain.contact_forces[~resting]
    )
  batch.rest(np.zeros(8, bool))
  batch.step(controls[0])
  assert (batch.state[:, 0] > before[:, 0]).all()


@pytest.mark.parametrize('num_threads', [1, 2])
def test_all_rows_may_rest(num_threads):
  model = mujoco.MjModel.from_xml_string(_PENDULUM.format(mass=1))
  batch = mujoco_batch.MujocoBatch(model, 3, num_threads=num_threads)
  batch.rest(np.ones(3, bool))
  before = batch.state
  batch.step(np.ones((3, 1)))
  np.testing.assert_array_equal(batch.state, before)
  assert not batch.unstable.any()


def test_a_resting_row_is_not_unstable():
  models = [mujoco.MjModel.from_xml_string(_PENDULUM.format(mass=1))] * 2
  batch = mujoco_batch.MujocoBatch(models)
  batch.set_state(np.full((2, 1), np.nan), np.zeros((2, 1)))
  batch.rest(np.array([True, False]))
  batch.step(np.zeros((2, 1)))
  np.testing.assert_array_equal(batch.unstable, [False, True])


def test_threads_can_be_changed_later():
  model = mujoco_batch.load_model(mujoco_body.asset_path('half_cheetah.xml'))
  batch = mujoco_batch.MujocoBatch(model, 7, 5)
  controls = np.random.default_rng(0).uniform(-1, 1, (7, model.nu))
  states = []
  for num_threads in (1, 2, 3, 1):
    batch.use_threads(num_threads)
    assert batch.num_threads == num_threads
    batch.set_state(np.tile(model.qpos0, (7, 1)), np.ones((7, model.nv)))
    batch.step(controls)
    states.append(batch.state)
  for state in states[1:]:
    np.testing.assert_array_equal(state, states[0])
