"""Environments that match an agent, and the errors for others."""

import re
from typing import NamedTuple

import numpy as np
import pytest
from tf_agents.specs import array_spec
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from maml_tf.collection import environment_specs


class _Specs(NamedTuple):
  """Stands for an environment: the check reads only its specs."""

  observation: object
  action: object

  def observation_spec(self):
    return self.observation

  def action_spec(self):
    return self.action


class _Policy:
  """Stands for a policy."""

  def __init__(self, observation, action):
    observation, action = tensor_spec.from_spec((observation, action))
    self.time_step_spec = ts.time_step_spec(observation)
    self.action_spec = action


def _floats(*shape, dtype=np.float32):
  return array_spec.ArraySpec(shape, dtype)


def _bounded(*shape, bound=1.0):
  return array_spec.BoundedArraySpec(shape, np.float32, -bound, bound)


def _choice(num, shape=(), dtype=np.int64):
  return array_spec.BoundedArraySpec(shape, dtype, 0, num - 1)


@pytest.mark.parametrize(
  ('theirs', 'ours'),
  [
    ((_floats(3), _bounded(2)), (_floats(3), _bounded(2))),
    # Numbers are converted, actions clipped.
    ((_floats(3, dtype=np.float64), _bounded(2)), (_floats(3), _bounded(2))),
    ((_bounded(3), _bounded(2, bound=0.1)), (_floats(3), _bounded(2))),
    ((_floats(3), _choice(4, dtype=np.int32)), (_floats(3), _choice(4))),
    (
      ({'a': _floats(3), 'b': _choice(9)}, (_choice(2), _bounded(1))),
      ({'a': _floats(3), 'b': _choice(5)}, (_choice(2), _bounded(1))),
    ),
  ],
)
def test_specs_that_match(theirs, ours):
  environment_specs.check_match(_Specs(*theirs), _Policy(*ours))


@pytest.mark.parametrize(
  ('theirs', 'ours', 'message'),
  [
    (
      (_floats(4), _bounded(2)),
      (_floats(3), _bounded(2)),
      "observations are float32 [4], but the policy's are float32 [3]: ",
    ),
    (
      (_floats(3), _choice(2)),
      (_floats(3), _bounded(2)),
      "actions are int64 [] from 0 to 1, but the policy's are float32 [2]: ",
    ),
    (
      (_floats(3), _choice(2)),
      (_floats(3), _choice(3)),
      "int64 [] from 0 to 1, but the policy's are int64 [] from 0 to 2: ",
    ),
    (
      (_floats(3, dtype=np.uint8), _bounded(2)),
      (_floats(3), _bounded(2)),
      "observations are uint8 [3], but the policy's are float32 [3]: ",
    ),
    (
      ({'a': _floats(3)}, _bounded(2)),
      (_floats(3), _bounded(2)),
      "observations are {a: float32 [3]}, but the policy's are float32 [3]: ",
    ),
    (
      ({'a': _floats(3)}, _bounded(2)),
      ({'b': _floats(3)}, _bounded(2)),
      "are {a: float32 [3]}, but the policy's are {b: float32 [3]}: ",
    ),
  ],
)
def test_the_error_shows_both_specs_in_one_line(theirs, ours, message):
  with pytest.raises(ValueError, match=re.escape(message)) as error:
    environment_specs.check_match(_Specs(*theirs), _Policy(*ours))
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  ('theirs', 'ours', 'message'),
  [
    (
      (_floats(3), _bounded(2, bound=2.0)),
      (_floats(3), _bounded(2)),
      "actions are from -2.0 to 2.0, the policy's from -1.0 to 1.0: ",
    ),
    (
      (_choice(9), _bounded(2)),
      (_choice(5), _bounded(2)),
      "observations are from 0 to 8, the policy's from 0 to 4: the policy has",
    ),
  ],
)
def test_other_bounds_are_told(theirs, ours, message):
  with pytest.warns(UserWarning, match=re.escape(message)):
    environment_specs.check_match(_Specs(*theirs), _Policy(*ours))


def test_fewer_observations_are_no_reason_to_warn(recwarn):
  environment_specs.check_match(
    _Specs(_choice(4), _bounded(2)), _Policy(_choice(5), _bounded(2))
  )
  assert not recwarn
