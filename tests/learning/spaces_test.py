"""Default networks learn from the observations and actions of every space."""

from gymnasium import spaces
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf import serving
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


def create_agent(name, values=False, **kwargs):
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
  agent = create_agent(
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


@pytest.mark.slow
def test_the_meta_gradient_is_the_mean_of_the_tasks():
  agent = create_agent('all')
  batch = recorded_batches.create(agent)
  prepared = small_agent.prepared(agent, batch)
  theta, coefficients = small_agent.theta(agent), tf.constant([0.5])
  (_, gradient), _ = agent.functions.means.meta_gradient(
    (theta, coefficients), prepared
  )
  per_task = [
    agent.functions.task.meta_gradient(
      theta, coefficients, recorded_batches.one_task(prepared, task)
    )[1]
    for task in (0, 1)
  ]
  for value, *parts in zip(
    tf.nest.flatten(gradient), *map(tf.nest.flatten, per_task), strict=True
  ):
    np.testing.assert_allclose(
      value, np.mean(parts, axis=0), rtol=2e-3, atol=2e-5
    )


@pytest.mark.slow
def test_compiled_equals_the_graph():
  agents = [create_agent('all', jit_compile=jit) for jit in (False, True)]
  batch = recorded_batches.create(agents[0])
  for agent in agents:
    agent.train(batch)
  for a, b in zip(*map(small_agent.values, agents), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['unequal sizes', 'all'])
def test_the_trust_region(name):
  agent = create_agent(
    name,
    meta_update=trust_region.TrustRegionUpdate(
      max_kl=0.01, num_conjugate_gradient_steps=5, damping=0.1
    ),
    meta_objective_class=meta_objectives.PolicyGradientObjective,
  )
  # If the adapted policy has collected the query, the initial KL is 0.
  state = agent.policy.get_initial_state(2)
  support = recorded_batches.record(agent, state, seed=0)
  query = recorded_batches.record(agent, agent.adapt(support, state), seed=1)
  batch = meta_batch.MetaBatch((support,), query)
  before = agent.loss(batch).loss
  agent.train(batch)
  after = agent.loss(batch)
  assert after.loss < before
  assert 0 < after.extra.kl <= 0.01


@pytest.mark.slow
def test_the_exported_model_acts_and_adapts(tmp_path):
  agent = create_agent('nested')
  stage = recorded_batches.record(
    agent, agent.policy.get_initial_state(2), seed=0
  )
  directory = str(tmp_path / 'model')
  serving.save_adaptive(agent, directory)
  signatures = tf.saved_model.load(directory).signatures
  state = signatures['initial_state'](batch_size=tf.constant(2))
  frames = {
    'step_type': stage.step_type,
    'next_step_type': stage.next_step_type,
    'reward': stage.reward,
    'discount': stage.discount,
    'action_0': stage.action[0],
    'action_1': stage.action[1],
    'policy_info_0_logits': stage.policy_info[0]['logits'],
    'policy_info_1_loc': stage.policy_info[1]['loc'],
    'policy_info_1_scale_diag': stage.policy_info[1]['scale_diag'],
  }
  observation = {
    'observation_arms_0': stage.observation['arms'][0],
    'observation_arms_1': stage.observation['arms'][1],
    'observation_camera': stage.observation['camera'],
    'observation_goal': stage.observation['goal'],
  }
  state = signatures['adapt'](**frames, **observation, **state)
  adapted = agent.adapt(stage, agent.policy.get_initial_state(2))
  for number, parameter in enumerate(adapted):
    np.testing.assert_allclose(
      state[f'state_{number}'], parameter, rtol=1e-4, atol=1e-6
    )
  rows = {name: tensor[:, 0] for name, tensor in observation.items()}
  played = [
    signatures['act_adapted'](**rows, **state)['action_0'].numpy()
    for _ in range(30)
  ]
  assert set(np.ravel(played)) == {1, 2, 3}
  mode = signatures['act_adapted'](**rows, **state)['deterministic_action_0']
  assert set(mode.numpy()) <= {1, 2, 3}
