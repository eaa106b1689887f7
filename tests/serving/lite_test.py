"""The TFLite model does what the SavedModel does, on one task."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.networks import actor_distribution_network
from tf_agents.networks import normal_projection_network
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from examples import lite_client
from maml_tf import serving
from maml_tf.learning import baselines
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import step_sizes
from maml_tf.learning import surrogates
from maml_tf.learning import value_networks
from maml_tf.run import trained_run
from maml_tf.serving import named_tensors
from tests import point_agent
from tests.learning import double_precision_network
from tests.learning import recorded_batches
from tests.learning import small_agent
from tests.learning import spaces_test
from tests.serving import served_agents

# The last frame of 12 is padding.
_LENGTHS = ((4, 5),)
_NUM_FRAMES = 12


def _export(agent, directory):
  """The path of an agent's model."""
  path = serving.save_adaptive_lite(agent, str(directory), _NUM_FRAMES)
  # The names of operations that are not builtin would begin so.
  assert b'Flex' not in pathlib.Path(path).read_bytes()
  return path


def _record(agent, seed):
  """A stage of one task."""
  parameters = recorded_batches.near(agent, 1, seed)
  num_parameters = len(agent.policy.policy_state_spec)
  return recorded_batches.record(
    agent, parameters[:num_parameters], seed, lengths=_LENGTHS
  )


def _named(nest, spec, prefix=''):
  spec = named_tensors.name_specs(spec, prefix)
  return named_tensors.name_leaves(nest, spec)


def _frames(agent, stage):
  """The frames of a stage as the client records them."""
  named = _named(stage, agent.collect_data_spec)
  return [
    {name: tensor[0, t].numpy() for name, tensor in named.items()}
    for t in range(_NUM_FRAMES)
  ]


def _assert_close(ours, theirs):
  np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_it_does_what_the_saved_model_does(point_run, tmp_path):
  agent = trained_run.load(str(point_run.root_dir)).agent
  client = lite_client.AdaptivePolicy(_export(agent, tmp_path))
  model = tf.saved_model.load(str(point_run.root_dir / 'saved_model'))
  state = model.signatures['initial_state'](batch_size=tf.constant(1))
  for name, tensor in state.items():
    np.testing.assert_array_equal(client.state[name], tensor[0])
  for seed in range(2):
    stage = _record(agent, seed)
    # The client fills the rest.
    client.adapt(_frames(agent, stage)[:-1])
    state = model.signatures['adapt'](
      **_named(stage, agent.collect_data_spec), **state
    )
    for name, tensor in state.items():
      _assert_close(client.state[name], tensor[0])
  assert client.state['state_steps'] == 2

  observation = np.float32([0.3, -0.2])
  theirs = model.signatures['act_adapted'](
    observation=tf.constant([observation]), **state
  )
  ours = client.act(observation, np.zeros(2, np.float32))
  _assert_close(ours['action'], theirs['deterministic_action'][0])
  noise = np.float32([0.5, -2.0])
  exploring = client.act(observation, noise)
  loc, scale = (
    theirs[f'policy_info_0_{name}'][0] for name in ('loc', 'scale_diag')
  )
  _assert_close(exploring['action'], loc + scale * noise)
  _assert_close(exploring['policy_info_0_scale_diag'], scale)


def _squashed_agent():
  """A tanh-Gaussian, whose deviation depends on the state."""
  network = actor_distribution_network.ActorDistributionNetwork(
    small_agent.OBSERVATION_SPEC,
    small_agent.ACTION_SPEC,
    fc_layer_params=(5,),
    continuous_projection_net=lambda spec: (
      normal_projection_network.NormalProjectionNetwork(
        spec,
        state_dependent_std=True,
        std_transform=tf.nn.softplus,
        scale_distribution=True,
      )
    ),
  )
  return small_agent.create_agent(
    network=network,
    inner_loop=inner_loop_lib.InnerLoop(entropy_coefficient=0.1),
  )


def _shared_values_agent():
  """A value network on the policy's layers, and normalised observations."""
  network = actor_distribution_network.ActorDistributionNetwork(
    small_agent.OBSERVATION_SPEC,
    small_agent.ACTION_SPEC,
    fc_layer_params=(5,),
    activation_fn=tf.keras.activations.elu,
  )
  return small_agent.create_agent(
    network=network,
    value_network=value_networks.create_value_network(
      small_agent.OBSERVATION_SPEC, network, share_layers=True
    ),
    normalize_observations=True,
  )


def _dice_agent():
  return small_agent.create_agent(
    inner_loop=inner_loop_lib.InnerLoop(
      step_size=step_sizes.ParameterStepSizes(0.3), surrogate=surrogates.dice
    ),
    baseline=baselines.PolynomialFeatureBaseline(),
  )


@pytest.mark.slow
@pytest.mark.parametrize(
  'create_agent',
  [
    # Nested observations, discrete actions, relu layers, learned step sizes.
    served_agents.create_agent,
    _squashed_agent,
    _shared_values_agent,
    _dice_agent,
    lambda: spaces_test.create_agent('all'),
    lambda: spaces_test.create_agent('picture', values=True),
  ],
  ids=['nested', 'squashed', 'values', 'dice', 'all spaces', 'picture'],
)
def test_kinds_of_agents(create_agent, tmp_path):
  agent = create_agent()
  path = _export(agent, tmp_path)
  client = lite_client.AdaptivePolicy(path)
  state = agent.policy.get_initial_state(1)
  for step in range(2):
    stage = _record(agent, step)
    client.adapt(_frames(agent, stage))
    state = agent.adapt(stage, state, step)
    for number, parameter in enumerate(state):
      _assert_close(client.state[f'state_{number}'], parameter[0])
  rng = np.random.default_rng(0)
  noise = agent.collect_policy.distributions.draw_noise(rng, (1,))
  observation = tf.nest.map_structure(lambda t: t[:, 1], stage.observation)
  theirs = agent.collect_policy.act(
    ts.TimeStep(tf.constant([1]), tf.zeros([1]), tf.ones([1]), observation),
    state,
    noise,
  )
  noise = tf.nest.pack_sequence_as(agent.action_spec, noise)
  inputs = _named(noise, agent.action_spec, 'noise') | _named(
    observation, agent.time_step_spec.observation, 'observation'
  )
  interpreter = lite_client.Interpreter(path)
  ours = interpreter.get_signature_runner('act')(
    **{name: np.array(tensor[0]) for name, tensor in inputs.items()},
    **client.state,
  )
  actions = _named(theirs.action, agent.action_spec, 'action')
  for name, tensor in actions.items():
    _assert_close(ours[name], tensor[0])


def test_one_task_has_no_state(tmp_path):
  agent = point_agent.create_agent()
  parameters = tuple(
    p[0] for p in point_agent.different_parameters(agent, 1, seed=4)
  )
  path = serving.save_fixed_task_lite(
    agent, parameters, str(tmp_path), deterministic=True
  )
  interpreter = lite_client.Interpreter(path)
  assert set(interpreter.get_signature_list()) == {'act'}
  observation = np.float32([0.1, 0.2])
  answer = interpreter.get_signature_runner('act')(observation=observation)
  policy = agent.adapted_policy(parameters, deterministic=True)
  expected = policy.action(ts.restart(tf.constant([observation]), 1)).action
  _assert_close(answer['action'], expected[0])


def test_float64_is_refused(tmp_path):
  tf.keras.backend.set_floatx('float64')
  specs = (
    tf.TensorSpec((2,), tf.float64),
    tensor_spec.BoundedTensorSpec((2,), tf.float64, -1, 1),
  )
  network = double_precision_network.create_network(*specs)
  agent = small_agent.create_agent(*specs, network)
  with pytest.raises(ValueError, match='TFLite adapts in float32'):
    serving.save_adaptive_lite(agent, str(tmp_path), _NUM_FRAMES)
  assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_missing_operation_is_named(tmp_path, capfd):
  # More features than frames: their equations want a Cholesky decomposition.
  agent = small_agent.create_agent(tf.TensorSpec((600,), tf.float32))
  with pytest.raises(ValueError, match='no builtin operation for .*Cholesky'):
    serving.save_adaptive_lite(agent, str(tmp_path), _NUM_FRAMES)
  assert not list(tmp_path.iterdir())
  assert 'error' not in capfd.readouterr().err
