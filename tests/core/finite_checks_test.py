"""The search for NaN and infinity finds their first position."""

import numpy as np
import pytest
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from maml_tf.core import finite_checks

FIRST, MID, LAST = (
  int(step_type)
  for step_type in (ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST)
)


def _frames():
  """Two tasks, two episodes each of at most two transitions: [2, 6].

  Frames 0 and 1 of every task are the transitions of an episode that ends in
  frame 2, frame 3 is the one of an episode that ends in frame 4; frame 5 is
  padding.
  """
  step_type = np.array([[FIRST, MID, LAST, FIRST, LAST, LAST]] * 2)
  next_step_type = np.array([[MID, LAST, LAST, LAST, LAST, LAST]] * 2)
  return trajectory.Trajectory(
    step_type=step_type.astype(np.int32),
    observation={
      'position': np.zeros((2, 6, 3), np.float32),
      'room': np.zeros((2, 6), np.int64),
    },
    action=np.zeros((2, 6, 2), np.float32),
    policy_info=({'loc': np.zeros((2, 6, 2), np.float32)},),
    next_step_type=next_step_type.astype(np.int32),
    reward=np.zeros((2, 6), np.float32),
    discount=np.ones((2, 6), np.float32),
  )


def test_a_finite_stage_has_no_finding():
  assert finite_checks.find_in_stage(_frames()) is None


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_finds_each_quantity_of_a_stage(value):
  frames = _frames()
  frames.reward[1, 3] = value
  assert finite_checks.find_in_stage(frames) == ('reward', 1, 1)

  frames = _frames()
  frames.action[0, 1, 1] = frames.action[0, 3] = value
  assert finite_checks.find_in_stage(frames) == ('action', 0, 3)

  frames = _frames()
  frames.policy_info[0]['loc'][1, 0] = value
  assert finite_checks.find_in_stage(frames) == ('policy_info/0/loc', 1, 2)

  frames = _frames()
  frames.observation['position'][1, 0] = value
  assert finite_checks.find_in_stage(frames) == ('observation/position', 1, 3)


@pytest.mark.parametrize('frame', [2, 4])
def test_only_the_observation_of_a_final_frame_is_searched(frame):
  frames = _frames()
  frames.reward[1, frame] = np.nan
  frames.action[1, frame] = np.nan
  frames.policy_info[0]['loc'][1, frame] = np.nan
  assert finite_checks.find_in_stage(frames) is None
  frames.observation['position'][1, frame, 0] = np.nan
  assert finite_checks.find_in_stage(frames) == ('observation/position', 1, 1)


def test_padding_is_ignored():
  frames = _frames()
  frames.observation['position'][:, 5] = np.nan
  frames.action[:, 5] = frames.reward[:, 5] = np.inf
  assert finite_checks.find_in_stage(frames) is None


def test_a_finding_names_the_cause_rather_than_its_consequences():
  # A NaN action, and its consequences in the next frame.
  frames = _frames()
  frames.action[1, 0, 0] = frames.reward[1, 0] = np.nan
  frames.observation['position'][1, 1] = np.nan
  frames.policy_info[0]['loc'][1, 1] = frames.action[1, 1] = np.nan
  assert finite_checks.find_in_stage(frames) == ('action', 1, 3)

  # NaN distribution parameters in every frame.
  frames = _frames()
  frames.policy_info[0]['loc'][:] = np.nan
  frames.action[:] = frames.reward[:] = np.nan
  assert finite_checks.find_in_stage(frames) == ('policy_info/0/loc', 0, 6)


def test_finds_the_first_task_of_the_first_array():
  parameters = {
    'bias': np.zeros(3),
    'kernel': np.zeros((3, 2, 2), np.float32),
    'steps': np.zeros((3, 2), np.int64),
  }
  assert finite_checks.find(parameters) is None
  assert finite_checks.find(()) is None
  parameters['kernel'][1, 0] = np.inf
  parameters['kernel'][2, 0] = np.nan
  assert finite_checks.find(parameters) == ('kernel', 1, 2)
  parameters['bias'][2] = np.nan
  assert finite_checks.find(parameters) == ('bias', 2, 1)
  assert finite_checks.find({'slow': [parameters['kernel']]}) == (
    'slow/0',
    1,
    2,
  )


@pytest.mark.parametrize(
  'arguments, message',
  [
    (
      ('reward', 3, 1, 7),
      'the reward of task 3, stage 1 (after 1 adaptation step) is not finite:'
      ' 7 numbers are NaN or infinite',
    ),
    (
      ('action', 0, 0, 1),
      'the action of task 0, stage 0 (after 0 adaptation steps) is not finite:'
      ' 1 number is NaN or infinite',
    ),
    (
      ('meta-gradient',),
      'the meta-gradient is not finite: it holds NaN or infinity',
    ),
  ],
)
def test_the_error_names_the_quantity(arguments, message):
  error = finite_checks.NonFiniteError(*arguments)
  assert str(error) == message
  assert error.quantity == arguments[0]
  assert (error.task, error.stage) == (*arguments[1:3], None, None)[:2]
  assert isinstance(error, FloatingPointError)
