"""All values for `set_tasks` are played or refused with a ValueError."""

import hypothesis
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
import numpy as np
import pytest

from maml_tf.environments import half_cheetah_bodies
from maml_tf.environments import locomotion
from maml_tf.environments import point_navigation
from maml_tf.environments import random_bodies

NUM_TASKS = 2

_DTYPES = st.sampled_from(
  ['f8', 'f4', 'f2', 'i8', 'u1', '?', 'c16', 'U2', 'S2', 'M8[s]']
)
_SHAPES = st.sampled_from([(2,), (2, 2), (), (0,), (1,), (3,), (2, 1), (2, 3)])
_LEAVES = st.one_of(
  st.floats(),
  st.integers(),
  st.sampled_from([1, -1, 1.0, 1e30, -1e300, 10**400]),
  st.text('1a', max_size=2),
  st.none(),
  st.complex_numbers(),
)
_TASKS = st.one_of(
  st_numpy.arrays(_DTYPES, _SHAPES),
  # Lists of equal or different lengths.
  st.lists(st.one_of(_LEAVES, st.lists(_LEAVES, max_size=3)), max_size=3),
  st.lists(st.sampled_from([1, -1]), min_size=2, max_size=2),
  st.lists(
    st.lists(st.floats(width=32), min_size=2, max_size=2),
    min_size=2,
    max_size=2,
  ),
  _LEAVES,
  st.dictionaries(st.integers(0, 1), st.floats(), max_size=2),
)


@pytest.fixture(
  name='environment',
  scope='module',
  params=[
    point_navigation.PointNavigation,
    locomotion.HalfCheetahDirection,
    locomotion.HalfCheetahVelocity,
    random_bodies.HopperRandomDynamics,
    half_cheetah_bodies.HalfCheetahMass,
  ],
)
def make_environment(request):
  """Yields each environment with tasks, with two rows."""
  environment = request.param(NUM_TASKS, 1, horizon=10)
  yield environment
  environment.close()


@pytest.mark.fuzz
@hypothesis.example([10**400, 1])
@hypothesis.example(np.array([1 + 1j, 1]))
@hypothesis.example([[1e300, 0.0], [0.0, 0.0]])
@hypothesis.example([1e300, -1e300])
@hypothesis.example(np.array(['1', '1']))
@hypothesis.given(_TASKS)
def test_any_tasks_are_played_or_refused(environment, tasks):
  before = environment.tasks
  try:
    environment.set_tasks(tasks)
  except ValueError as error:
    assert 'task' in str(error)
    # The environment still plays its previous tasks.
    np.testing.assert_array_equal(environment.tasks, before)
  else:
    np.testing.assert_array_equal(
      environment.tasks, np.array(tasks, np.float64)
    )
  action = np.full(
    (NUM_TASKS, *environment.action_spec().shape), 0.05, np.float32
  )
  environment.reset()
  for _ in range(3):
    time_step = environment.step(action)
    assert np.isfinite(time_step.reward).all()
    assert np.isfinite(time_step.observation).all()
