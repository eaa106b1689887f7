"""Values of `reset` and `step`, right and wrong, and what is said of them."""

import decimal
import warnings

import gym
import gymnasium
from gymnasium import spaces
import numpy as np
import pytest

from maml_tf.environments.gymnasium_bridge import returned_values
from tests.environments import corridor
from tests.environments.gymnasium_bridge import scripted_returns

OBSERVATION = scripted_returns.OBSERVATION
STEP = scripted_returns.STEP
BOX = spaces.Box(-1, 1, (3,), np.float32)
PICTURE = spaces.Box(0, 255, (2, 2, 3), np.uint8)
NESTED = corridor.Corridor.observation_space
INSIDE = {'cell': 3, 'sides': (np.zeros(2), [1])}


def _step(**replaced):
  names = ('observation', 'reward', 'terminated', 'truncated', 'info')
  values = dict(zip(names, STEP))
  return tuple({**values, **replaced}.values())


def _error(check, *arguments):
  """Returns the message of a `ValueError`, which is one line."""
  with pytest.raises(ValueError) as error:
    check(*arguments)
  message = str(error.value)
  assert '\n' not in message and len(message) < 400
  return message


@pytest.fixture(name='environment')
def make_environment():
  # The wrapper is not named: the class inside has to be mended.
  return gymnasium.wrappers.OrderEnforcing(scripted_returns.ScriptedReturns())


@pytest.mark.parametrize(
  ('returned', 'message'),
  [
    (
      STEP[:2] + STEP[3:],
      "step of ScriptedReturns returned 4 values, Gymnasium's has 5"
      ' (observation, reward, terminated, truncated, info): return terminated'
      ' and truncated in place of done',
    ),
    (STEP[:3], 'returned 3 values, Gymnasium'),
    (OBSERVATION, "returned one value, of type ndarray, Gymnasium's has 5"),
    (None, 'returned one value, of type NoneType'),
    (
      _step(observation=OBSERVATION[None]),
      'the observation of ScriptedReturns has shape (1, 3), its space'
      ' Box(-1.0, 1.0, (3,), float32) says (3,): make them equal',
    ),
    (_step(observation=None), 'the observation of ScriptedReturns is None'),
    (_step(observation='abc'), "is 'abc', its space Box(-1.0, 1.0, (3,)"),
    (_step(observation=[[1], [2, 3]]), 'is [[1], [2, 3]], its space'),
    (_step(observation=1j * OBSERVATION), 'has numbers: return an array of'),
    (
      _step(reward=None),
      'the reward of ScriptedReturns is None: return a number',
    ),
    (_step(reward='1'), "reward of ScriptedReturns is '1': return a number"),
    (_step(reward=np.ones(2)), 'is array([1., 1.]): return a number'),
    (_step(reward=1 + 1j), 'is (1+1j): return a number'),
    (
      _step(truncated={}),
      'truncated of ScriptedReturns is {}: return True or False',
    ),
    (_step(terminated='no'), "terminated of ScriptedReturns is 'no': return"),
    (_step(terminated=[True, False]), 'is [True, False]: return True or False'),
  ],
)
def test_wrong_steps(environment, returned, message):
  found = _error(returned_values.check_step, environment, returned)
  assert message in found


@pytest.mark.parametrize(
  ('returned', 'message'),
  [
    (
      OBSERVATION,
      'reset of ScriptedReturns returned one value, of type ndarray,'
      " Gymnasium's has 2 (observation, info): return these",
    ),
    ((OBSERVATION,), 'reset of ScriptedReturns returned 1 values, Gymnasium'),
    ((OBSERVATION[:2], {}), 'has shape (2,), its space Box(-1.0, 1.0, (3,)'),
  ],
)
def test_wrong_resets(environment, returned, message):
  assert message in _error(returned_values.check_reset, environment, returned)


@pytest.mark.parametrize(
  ('space', 'observation', 'message'),
  [
    (
      NESTED,
      [3, 4],
      "of Walk is of type list and lacks ['cell', 'sides'], whi",
    ),
    (NESTED, {'cell': 3}, "of Walk is of type dict and lacks ['sides'], which"),
    (
      NESTED,
      {**INSIDE, 'sides': (np.zeros(2),)},
      "the observation of Walk['sides'] is (array([0., 0.]),), its space is a"
      ' Tuple of 2 spaces: return a tuple of 2 values',
    ),
    (
      NESTED,
      {**INSIDE, 'sides': (np.zeros(3), [1])},
      "the observation of Walk['sides'][0] has shape (3,), its space",
    ),
    (
      PICTURE,
      np.full((2, 2, 3), 0.5),
      'the observation of Walk has fractions, its space Box(0, 255, (2, 2, 3),'
      ' uint8) has integers: scale the observation, or give the space a float',
    ),
    (spaces.Discrete(3), 0.5, 'has fractions, its space Discrete(3) has'),
    (spaces.Discrete(3), [1], 'has shape (1,), its space Discrete(3) says ()'),
    (spaces.Discrete(3), np.nan, 'has fractions, its space Discrete(3)'),
    (
      spaces.Box(-np.arange(1.0, 999), np.arange(1.0, 999), dtype=np.float64),
      np.zeros(3),
      'says (998,): make them equal',
    ),
  ],
)
def test_wrong_observations(space, observation, message):
  assert message in _error(
    returned_values.check_observation, space, observation, 'Walk'
  )


@pytest.mark.parametrize(
  ('space', 'inside', 'outside'),
  [
    (BOX, [[0, 0, 0], np.ones(3)], [[0, 0, 1.5], np.full(3, np.nan)]),
    # In float32 the number is 1.
    (BOX, [np.full(3, 1 + 1e-9)], [np.full(3, 1e300)]),
    (PICTURE, [np.full((2, 2, 3), 255)], [np.full((2, 2, 3), 256)]),
    (spaces.Discrete(3, start=-1), [-1, np.int64(1), 0.0], [-2, 2]),
    (spaces.Discrete(100, start=28, dtype=np.int8), [28, 127], [27, 128]),
    (
      spaces.MultiDiscrete([3, 2], start=[1, 5]),
      [[1, 5], np.array([3, 6])],
      [[0, 5], [3, 7]],
    ),
    (spaces.MultiBinary(2), [[0, 1], [False, True]], [[0, 2]]),
    (NESTED, [INSIDE], [{**INSIDE, 'cell': 10}, {**INSIDE, 'more': 1}]),
  ],
)
def test_an_observation_outside_its_space_is_a_warning(space, inside, outside):
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    for observation in inside:
      returned_values.check_observation(space, observation, 'Walk')
    for observation in outside:
      returned_values.check_observation(space, observation, 'Walk', warn=False)
  for observation in outside:
    with pytest.warns(
      UserWarning, match='the observation of Walk lies outside'
    ):
      returned_values.check_observation(space, observation, 'Walk')


def test_right_values_come_back_as_they_are(environment):
  for values in (
    STEP,
    _step(observation=[0, 0, 0], reward=np.float32(2), terminated=np.True_),
    _step(reward=decimal.Decimal('1.5'), truncated=None),
    _step(reward=[1.0], terminated=np.array([True]), truncated=0),
    _step(info={'any': object()}),
  ):
    checked = returned_values.check_step(environment, values)
    assert all(mine is own for mine, own in zip(checked, values, strict=True))
    # A list is as good as a tuple.
    assert returned_values.check_step(environment, list(values)) == checked


@pytest.mark.parametrize('info', [None, [], 'text', 3])
def test_an_info_of_another_type_is_empty(environment, info):
  assert returned_values.check_step(environment, _step(info=info))[-1] == {}
  assert returned_values.check_reset(environment, (OBSERVATION, info))[1] == {}


def test_vector_environments_return_batches():
  vector = corridor.corridors([2, 4])
  returned_values.check_reset(vector, vector.reset())
  action = np.array([1, 1]), np.zeros([2, 1])
  right = vector.step(action)
  returned_values.check_step(vector, right)
  observation, _, terminated, truncated, info = right
  message = _error(
    returned_values.check_step,
    vector,
    (observation, 1.0, terminated, truncated, info),
  )
  assert message == 'the reward of Corridor is 1.0: return 2 numbers'
  message = _error(
    returned_values.check_step, vector, (observation, [1, 1], True, [0, 0], {})
  )
  assert message == 'terminated of Corridor is True: return 2 booleans'
  message = _error(
    returned_values.check_reset, vector, ({**observation, 'cell': 1}, {})
  )
  assert "['cell'] has shape (), its space Discrete(10) says (2,)" in message


class _NoSeed(scripted_returns.ScriptedReturns):
  def reset(self):
    return scripted_returns.RESET


class _Spaceless(gymnasium.Env):
  action_space = BOX


class _OldSpace(scripted_returns.ScriptedReturns):
  observation_space = gym.spaces.Box(-1, 1, (3,), np.float32)


@pytest.mark.parametrize(
  ('environment_class', 'message'),
  [
    (
      _NoSeed,
      'reset of _NoSeed takes no seed: define it as reset(self, *, seed=None,'
      ' options=None)',
    ),
    (_Spaceless, '_Spaceless has no observation_space: set it in its __init__'),
    (
      _OldSpace,
      'the observation_space of _OldSpace is of gym.spaces.box.Box: give one of'
      ' gymnasium.spaces',
    ),
  ],
)
def test_environments_of_another_api(environment_class, message):
  environment = environment_class()
  assert _error(returned_values.interface_of, environment) == message
  if environment_class is _NoSeed:
    wrapped = gymnasium.wrappers.OrderEnforcing(environment)
    assert _error(returned_values.interface_of, wrapped) == message


def test_values_that_a_wrapper_could_not_unpack():
  inside = scripted_returns.ScriptedReturns(
    reset_values=OBSERVATION, steps=[STEP[:4]]
  )
  wrapped = gymnasium.wrappers.TimeLimit(inside, 9)
  with pytest.raises(ValueError) as error:
    wrapped.step(None)
  assert _error(
    returned_values.explain, wrapped, 'step', error.value
  ).startswith(
    "step of ScriptedReturns does not return Gymnasium's 5 (observation,"
    ' reward, terminated, truncated, info): not enough values'
  )
  # Other errors, and those of the environment itself, are not explained.
  for function in (lambda: np.zeros(2) + np.zeros(3), lambda: _unpack(STEP)):
    with pytest.raises(ValueError) as error:
      function()
    returned_values.explain(wrapped, 'step', error.value)


def _unpack(values):
  one, two = values
  return one, two
