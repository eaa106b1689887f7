"""Environments get every integer of their action spec, and no other."""

from gymnasium import spaces
import pytest
from tf_agents.specs import tensor_spec

import maml_tf
from maml_tf.environments.gymnasium_bridge import gymnasium_environment
from maml_tf.learning import actor_networks
from tests.environments import stairs
from tests.environments.gymnasium_bridge import dial


def _create_agent(environment):
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  action_spec = tensor_spec.from_spec(environment.action_spec())
  network = actor_networks.create_actor_network(
    time_step_spec.observation, action_spec, fc_layer_params=(4,)
  )
  return maml_tf.MamlAgent(time_step_spec, action_spec, network)


@pytest.mark.parametrize(
  'space, expected',
  [
    (spaces.Discrete(3, start=5), [{5, 6, 7}]),
    (
      spaces.MultiDiscrete([3, 2], start=[-1, 4]),
      [{-1, 0, 1}, {4, 5}],
    ),
  ],
  ids=str,
)
def test_a_gymnasium_environment_gets_all_its_actions(space, expected):
  environment = dial.Dial(space)
  bridge = gymnasium_environment.GymnasiumEnvironment(environment)
  agent = _create_agent(bridge)
  maml_tf.adapt(agent, bridge, num_steps=0, episodes_per_step=5)
  # 100 actions.
  assert [set(numbers) for numbers in zip(*environment.played)] == expected


def test_a_task_environment_gets_its_negative_actions():
  environment = stairs.Stairs()
  agent = _create_agent(environment)
  collector = maml_tf.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 1, seed=0
  )
  next(iter(collector.stages(1)))
  assert environment.sent == {-1, 0, 1}
