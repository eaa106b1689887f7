"""Each check finds the environment that breaks it; ours break none."""

import re
import warnings

import pytest

import maml_tf
from maml_tf.environments import ant
from maml_tf.environments import classic_control
from maml_tf.environments import goal_reaching
from maml_tf.environments import half_cheetah_bodies
from maml_tf.environments import humanoid
from maml_tf.environments import locomotion
from maml_tf.environments import point_navigation
from maml_tf.environments import random_bodies
from maml_tf.environments import sparse_point
from maml_tf.environments import swimmer
from maml_tf.environments import walkers
from maml_tf.environments.gymnasium_bridge import gymnasium_tasks
from tests.environments import countdown_environment
from tests.environments import labelled_corridors
from tests.testing import broken_corridors as broken

OUR_FAMILIES = (
  ant.AntDirection,
  ant.AntPlanarDirection,
  ant.AntVelocity,
  classic_control.CartPoleMass,
  classic_control.PendulumMass,
  countdown_environment.CountdownEnvironment,
  goal_reaching.AntGoal,
  half_cheetah_bodies.HalfCheetahBody,
  half_cheetah_bodies.HalfCheetahMass,
  humanoid.HumanoidPlanarDirection,
  labelled_corridors.LabelledCorridors,
  locomotion.HalfCheetahDirection,
  locomotion.HalfCheetahVelocity,
  point_navigation.PointNavigation,
  random_bodies.HopperRandomDynamics,
  random_bodies.Walker2dRandomDynamics,
  sparse_point.SparsePoint,
  swimmer.SwimmerVelocity,
  walkers.Walker2dDirection,
  walkers.Walker2dVelocity,
)


def _check(environment):
  try:
    maml_tf.testing.check_task_environment(environment)
  finally:
    environment.close()


@pytest.mark.parametrize(
  'cls', (*OUR_FAMILIES, broken.Corridor), ids=lambda cls: cls.__name__
)
def test_our_families_keep_the_contract(cls):
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    _check(cls(num_tasks=3, environments_per_task=2, horizon=5))


def test_the_horizon_may_be_one():
  _check(broken.Corridor(horizon=1))


@pytest.mark.parametrize(
  'cls, message',
  [
    (broken.LoneRow, 'batch_size is 6 for 3 tasks of 2 environments: leave'),
    (broken.OneTensorSpec, 'observation_spec is a TensorSpec: give an Array'),
    (broken.TooFewTasks, r'sample_tasks\(5\) returned 1 tasks: return 5'),
    (broken.OwnRandomTasks, 'sample_tasks drew other tasks .*: draw from its'),
    (broken.TasksOfAnotherShape, 'set_tasks refuses what sample_tasks drew'),
    (broken.RoundedTasks, 'tasks differs from what set_tasks was given'),
    (broken.LateTasks, r'the step after set_tasks has the step types \[[12], '),
    (broken.AnyNumberOfTasks, 'set_tasks accepts 4 tasks for 3: raise a'),
    (broken.KeepsRefusedTasks, 'set_tasks refused 4 tasks, but kept them'),
    (broken.RewardColumn, r'reward has the shape \(6, 1\), expected \(6,\)'),
    (broken.DoublePrecisionReward, 'reward has the dtype float64, expected'),
    (broken.WideObservation, r'observation has the shape \(6, 2\), expected'),
    (broken.NamedObservation, r"parts \['observation/place'\], its spec \['ob"),
    (broken.ObservationOfLists, 'observation has the dtype object, expected'),
    (broken.ReadOnlyObservation, 'observation is read-only: return a new'),
    (broken.NotANumber, 'observation of row 0 is not finite: end the episode'),
    (broken.SuccessOfTheBatch, r'success is not a bool array of shape \(6,\)'),
    (broken.NeverLast, 'step type of row 0 is not LAST after 5 steps, the hor'),
    (broken.NoRestart, 'step type of row 0 is not FIRST after LAST: the step'),
    (broken.FirstTwice, 'step type of row 0 is neither MID nor LAST within'),
    (broken.RewardedReset, 'row 0 has a reward at its reset: the reward of'),
    (broken.OwnDiscount, 'row 0 has a discount other than 1 before its end'),
    (broken.HalfTermination, 'row 0 ends with a discount other than 0 or 1'),
    (broken.SameArray, 'observation shares memory with observation of an ear'),
    (broken.OwnRandomStarts, 'the same seeds give another first observation'),
    (broken.KeepsState, 'the same seeds give another first observation: draw'),
    (broken.OwnKeys, r'seed\(0\) gives another first observation than its k'),
    (broken.AnyNumberOfKeys, 'seed accepts 2 keys for 3 tasks: leave seed to'),
    (broken.StateIsObservation, 'if the caller writes to returned arrays, the'),
    (broken.SamplingMoves, 'after calls of sample_tasks, the same seeds give'),
    (broken.LastActionCounts, 'with other actions after LAST, the same seeds'),
    (broken.SharedStarts, 'with the same tasks in another order, the same se'),
    (broken.MeanReward, 'with the same tasks in another order, the same seeds'),
  ],
  ids=lambda value: getattr(value, '__name__', ''),
)
def test_a_broken_environment_is_refused_in_one_line(cls, message):
  with pytest.raises(AssertionError, match=message) as caught:
    _check(cls())
  assert re.fullmatch(f'{cls.__name__}: .+: .+', str(caught.value))


@pytest.mark.parametrize(
  'make, message',
  [
    (broken.NoEffect, 'different tasks give the same rewards and observations'),
    (broken.OneTaskOnly, 'all of 19 sampled tasks are equal'),
    (broken.TerminatesAtTheHorizon, 'every episode that reached the horizon'),
    (broken.TightBounds, 'observation leaves its bounds: widen its spec'),
    (broken.OtherArguments, 'constructor has no parameter horizon: train_eval'),
  ],
  ids=lambda value: getattr(value, '__name__', ''),
)
def test_doubtful_environments_are_warned_of(make, message):
  with pytest.warns(UserWarning, match=f'^[A-Za-z]+: .*{message}'):
    _check(make())


def test_a_gymnasium_family_with_random_numbers_of_its_own_is_refused():
  environment = gymnasium_tasks.GymnasiumTasks(
    2, 2, 4, make_environment=broken.GloballyRandomDoorCorridor
  )
  with pytest.raises(AssertionError, match='from self.np_random'):
    _check(environment)


def test_what_is_no_task_environment_or_has_one_task_is_refused():
  with pytest.raises(ValueError, match='a DoorCorridor is not a TaskEnvironm'):
    maml_tf.testing.check_task_environment(broken.DoorCorridor())
  with pytest.raises(ValueError, match='Corridor has 1 task: make it with'):
    maml_tf.testing.check_task_environment(broken.Corridor(num_tasks=1))
  with pytest.raises(ValueError, match='seed is -1'):
    maml_tf.testing.check_task_environment(broken.Corridor(), seed=-1)
