"""MuJoCo's clock is off, unless the program has set its own."""

import mujoco
import numpy as np
import pytest

from maml_tf.environments import mujoco_batch
from maml_tf.environments import mujoco_process

_STEP = mujoco.mjtTimer.mjTIMER_STEP


@pytest.fixture
def model():
  return mujoco_batch.load_model(
    '<mujoco><worldbody><body><freejoint/><geom size="1"/></body></worldbody>'
    '</mujoco>'
  )


def test_physics_reads_no_clock(model):
  mujoco_process.switch_off_clock()
  data = mujoco.MjData(model)
  mujoco.mj_step(model, data)
  assert data.timer[_STEP].number == 1
  assert data.timer[_STEP].duration == 0


def test_the_programs_own_clock_stays(model):
  times = iter(np.arange(1e3))
  mujoco.set_mjcb_time(lambda: next(times))
  try:
    mujoco_process.switch_off_clock()
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data)
    assert data.timer[_STEP].duration > 0
  finally:
    mujoco.set_mjcb_time(None)
    mujoco_process.switch_off_clock()
