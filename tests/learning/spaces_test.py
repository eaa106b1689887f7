"""Default networks learn from the observations and actions of every space."""

from gymnasium import spaces
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf.core import meta_batch
from maml_tf.environments.gymnasium_bridge import gymnasium_spaces
from maml_tf.learning import actor_networks
from maml_tf.learning import meta_objectives
from maml_tf.learning import trust_region
from maml_tf.learning import value_networks
from tests.learning import recorded_batches
from tests.learning import small_agent

VECTOR = spaces.Box(-1, 1, (2,))
SPACES = {
  'start': (spaces.Discrete(5, start=2), spaces.Discrete(3, start=5)),
  'unequal sizes': (
    spaces.MultiDiscrete([2, 9]),
    spaces.MultiDiscrete([3, 5], start=[-1, 2]),
  ),
  'bits': (spaces.MultiBinary(4), spaces.MultiBinary(3)),
  'booleans': (spaces.Box(0, 1, (3,), bool), spaces.Box(0, 1, (2,), bool)),
  'bytes': (
    spaces.Box(0, 255, (4,), np.uint8),
    spaces.Box(250, 255, (2,), np.uint8),
  ),
  'large integers': (
    spaces.Box(-(10**12), 10**12, (3,), np.int64),
    spaces.Box(-2, 2, (1, 2), np.int64),
  ),
  'half precision': (
    spaces.Box(-1, 1, (2, 3), np.float16),
    spaces.Box(-1, 1, (2,), np.float16),
  ),
  'picture': (
    spaces.Box(0, 255, (6, 5, 3), np.uint8),
    spaces.Box(np.float32([-1, 0]), np.float32([1, 0])),
  ),
  'nested': (
    spaces.Dict(
      goal=spaces.Discrete(4),
      camera=spaces.Box(0, 255, (5, 5, 1), np.uint8),
      arms=spaces.Tuple([VECTOR, spaces.Box(-1, 1, ())]),
    ),
    spaces.Tuple([spaces.Discrete(3, start=1), VECTOR]),
  ),
}
SPACES['all'] = tuple(
  spaces.Tuple([pair[i] for pair in SPACES.values()]) for i in (0, 1)
)


def _create_agent(name, values=False, **kwargs):
  tf.keras.utils.set_random_seed(1)
  observation_spec, action_spec = (
    tensor_spec.from_spec(gymnasium_spaces.to_spec(space, part))
    for space, part in zip(SPACES[name], ('observation', 'action'))
  )
  network = actor_networks.create_actor_network(
    observation_spec, action_spec, fc_layer_params=(5,)
  )
  value_network = None
  if values:
    value_network = value_networks.create_value_network(
      observation_spec, network, (5,)
    )
  return small_agent.create_agent(
    observation_spec,
    action_spec,
    network,
    value_network=value_network,
    **kwargs,
  )


def _check_actions(name, experience):
  """Asserts that the space contains the actions and that all are played."""
  space = SPACES[name][1]
  valid = ~experience.is_boundary().numpy()
  actions = tf.nest.map_structure(lambda t: t.numpy()[valid], experience.action)
  for row in range(valid.sum()):
    action = tf.nest.map_structure(lambda a, row=row: a[row], actions)
    value = gymnasium_spaces.to_value(space, action)
    assert space.contains(value)
    for part, number in zip(
      tf.nest.flatten(value), tf.nest.flatten(action), strict=True
    ):
      # The box clips floats; integers it must have sampled itself.
      if not np.issubdtype(np.asarray(number).dtype, np.floating):
        np.testing.assert_array_equal(part, number)
  for number, spec in zip(
    tf.nest.flatten(actions),
    tf.nest.flatten(gymnasium_spaces.to_spec(space)),
    strict=True,
  ):
    if np.issubdtype(spec.dtype, np.integer):
      # 16 transitions; seeds are fixed.
      assert (number.min(0) < number.max(0)).all()


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(name, marks=() if name == 'all' else pytest.mark.slow)
    for name in SPACES
  ],
)
def test_an_agent_learns(name):
  agent = _create_agent(
    name, values=name == 'nested', normalize_observations=name == 'all'
  )
  batch = recorded_batches.create(agent)
  _check_actions(name, batch.query)
  before = small_agent.values(agent)
  info = agent.train(batch)
  assert info.extra.is_taken == 1
  after = small_agent.values(agent)
  changes = [np.abs(a - b).max() for a, b in zip(after, before, strict=True)]
  assert np.isfinite(changes).all() and min(changes) > 0
