"""Policies under TF-Agents' wrappers, with NumPy inputs and in threads."""

from concurrent import futures

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.policies import epsilon_greedy_policy
from tf_agents.policies import gaussian_policy
from tf_agents.policies import greedy_policy
from tf_agents.policies import ou_noise_policy
from tf_agents.policies import policy_saver
from tf_agents.policies import py_tf_eager_policy
from tf_agents.trajectories import time_step as ts

from maml_tf.learning import maml_agent
from tests import point_agent

# Without noise, each acts by the wrapped policy.
WRAPPERS = {
  'greedy': greedy_policy.GreedyPolicy,
  'epsilon': lambda policy: epsilon_greedy_policy.EpsilonGreedyPolicy(
    policy, epsilon=0.0
  ),
  'gaussian': lambda policy: gaussian_policy.GaussianPolicy(policy, scale=1e-9),
  'ou_noise': lambda policy: ou_noise_policy.OUNoisePolicy(
    policy, ou_stddev=0.0
  ),
}


@pytest.fixture(name='agent', scope='module')
def create_agent():
  return point_agent.create_agent()


def _first(num_rows=2):
  observation = np.linspace(-1, 1, 2 * num_rows, dtype=np.float32)
  return ts.restart(
    tf.constant(observation.reshape(num_rows, 2)), batch_size=num_rows
  )


def _adapted(agent, deterministic=True):
  """Returns a policy with other parameters than theta, and these."""
  parameters = point_agent.different_parameters(agent, 1)
  policy = agent.adapted_policy(
    tuple(p[0] for p in parameters), deterministic=deterministic
  )
  return policy, parameters


def _clipped(step):
  """The actions as TF-Agents' wrappers clip them."""
  return np.clip(step.action, -0.1, 0.1)


@pytest.mark.parametrize('name', list(WRAPPERS))
def test_wrappers_keep_the_parameters_of_an_adapted_policy(agent, name):
  policy, _ = _adapted(agent)
  wanted = _clipped(policy.action(_first()))
  theta = agent.adapted_policy(agent.meta_parameters, deterministic=True)
  assert np.abs(wanted - theta.action(_first()).action).min() > 1e-3
  wrapped = WRAPPERS[name](policy)
  # They make a state of zeros, and put zeros into any state at FIRST steps.
  for state in (wrapped.get_initial_state(2), policy.get_initial_state(2)):
    np.testing.assert_allclose(
      wrapped.action(_first(), state).action, wanted, atol=1e-6
    )


def test_the_stock_eager_policy_keeps_the_parameters(agent):
  policy, _ = _adapted(agent, deterministic=False)
  wanted = _clipped(_adapted(agent)[0].action(_first()))
  eager = py_tf_eager_policy.PyTFEagerPolicy(
    greedy_policy.GreedyPolicy(policy), batch_time_steps=False
  )
  time_step = tf.nest.map_structure(lambda t: t.numpy(), _first())
  step = eager.action(time_step, eager.get_initial_state(2))
  np.testing.assert_allclose(step.action, wanted, atol=1e-6)


def test_a_saved_greedy_policy_keeps_the_parameters(agent, tmp_path):
  policy, _ = _adapted(agent)
  saver = policy_saver.PolicySaver(greedy_policy.GreedyPolicy(policy))
  saver.save(str(tmp_path))
  loaded = tf.saved_model.load(str(tmp_path))
  step = loaded.action(_first(), loaded.get_initial_state(2))
  np.testing.assert_allclose(
    step.action, _clipped(policy.action(_first())), atol=1e-6
  )


@pytest.mark.parametrize('name', list(WRAPPERS))
def test_wrappers_do_not_silently_lose_adapted_parameters(agent, name):
  _, parameters = _adapted(agent)
  state = tuple(tf.repeat(p, 2, axis=0) for p in parameters)
  wrapped = WRAPPERS[name](agent.policy)
  with pytest.raises(ValueError, match='adapted_policy'):
    wrapped.action(_first(), state)
  # A step that is not FIRST resets nothing.
  middle = _first()._replace(step_type=tf.ones([2], tf.int32))
  assert np.isfinite(wrapped.action(middle, state).action).all()


def test_a_reset_state_is_an_error_in_a_function_too(agent):
  wrapped = greedy_policy.GreedyPolicy(agent.policy)
  with pytest.raises(tf.errors.InvalidArgumentError, match='adapted_policy'):
    tf.function(wrapped.action)(_first(), agent.policy.get_initial_state(2))


def test_parameters_of_zeros_are_not_a_reset():
  agent = point_agent.create_agent()
  for variable in agent.meta_parameters:
    variable.assign(tf.zeros_like(variable))
  state = agent.policy.get_initial_state(2)
  assert np.isfinite(agent.policy.action(_first(), state).action).all()


def test_numpy_time_steps_and_states(agent):
  policy, parameters = _adapted(agent)
  wanted = policy.action(_first()).action
  time_step = ts.restart(_first().observation.numpy().astype(float), 2)
  state = tuple(p.numpy() for p in parameters)
  np.testing.assert_allclose(policy.action(time_step).action, wanted, atol=1e-6)
  for given in (state, parameters):
    step = agent.policy.distribution(time_step, given)
    np.testing.assert_allclose(step.action.mode(), wanted, atol=1e-6)


def test_what_is_not_an_array_of_numbers(agent):
  time_step = ts.restart(np.array([['a', 'b']]), 1)
  with pytest.raises(ValueError, match='the observation .*float32'):
    agent.policy.action(time_step)


def test_parameters_of_several_tasks_are_not_those_of_one(agent):
  _, parameters = _adapted(agent)
  with pytest.raises(ValueError, match=r'p\[0\] for p in policy_state'):
    agent.adapted_policy(parameters)
  with pytest.raises(ValueError, match='expected'):
    agent.adapted_policy(tuple(p[0] for p in parameters[1:]))


def test_policies_in_threads():
  agent = point_agent.create_agent()
  # A second agent swaps the parameters of the same network.
  other = maml_agent.MamlAgent(
    agent.time_step_spec,
    agent.action_spec,
    agent.policy._network.network,
  )
  policies = [
    a.adapted_policy(
      tuple(p + shift for p in agent.meta_parameters), deterministic=True
    )
    for a, shift in ((agent, 0.0), (other, 0.5), (agent, 1.0))
  ]
  alone = [p.action(_first()).action for p in policies]
  with futures.ThreadPoolExecutor(3) as threads:
    together = list(
      threads.map(lambda i: policies[i % 3].action(_first()).action, range(12))
    )
  for i, action in enumerate(together):
    np.testing.assert_allclose(action, alone[i % 3], rtol=1e-5, atol=1e-6)
