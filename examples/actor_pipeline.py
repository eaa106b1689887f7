"""TF-Agents' Actor plays a Gymnasium environment with an adapted policy.

  python examples/actor_pipeline.py --root_dir=runs/cheetah-...

The environment is Gymnasium's HalfCheetah-v5, whose task is to run forward. The
agent of a `cheetah.gin` run adapts to it by one step on 20 episodes. Then stock
actors collect with stock metrics, first with the meta-learned parameters, then
with the adapted ones. Without --root_dir the agent is untrained, and one step
gains little.
"""

import maml_tf  # isort: skip  Before TensorFlow, which it quiets.

import argparse

import gymnasium
import numpy as np
import tensorflow as tf
from tf_agents.policies import py_tf_eager_policy
from tf_agents.specs import tensor_spec
from tf_agents.train import actor

from maml_tf.environments.gymnasium_bridge import gymnasium_environment
from maml_tf.learning import actor_networks
from maml_tf.run import trained_run


def create_agent(environment):
  """Creates an untrained agent for an environment's specs."""
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  action_spec = tensor_spec.from_spec(environment.action_spec())
  network = actor_networks.create_actor_network(
    time_step_spec.observation, action_spec
  )
  return maml_tf.MamlAgent(time_step_spec, action_spec, network)


def adapt(agent, environment, state, horizon):
  """Plays an episode in every row and adapts the state by one step on them."""
  policy = agent.collect_policy
  rows = environment.batch_size
  buffer = maml_tf.EpisodeBuffer(policy.collect_data_spec, 1, rows, horizon)
  driver = maml_tf.EpisodeDriver(environment, policy, [buffer], horizon)
  generator = np.random.default_rng(0)
  driver.run(state, policy.distributions.draw_noise(generator, (horizon, rows)))
  return agent.adapt(buffer.read(), state)


def play(agent, environment, state, num_episodes):
  """Collects with a stock actor and prints its metrics."""
  policy = agent.adapted_policy([parameter[0] for parameter in state])
  collector = actor.Actor(
    environment,
    # The environment's time steps already have a batch axis.
    py_tf_eager_policy.PyTFEagerPolicy(
      policy, use_tf_function=True, batch_time_steps=False
    ),
    agent.train_step_counter,
    episodes_per_run=num_episodes,
    metrics=actor.collect_metrics(buffer_size=num_episodes),
  )
  collector.run()
  for metric in collector.metrics:
    print(f'  {metric.name:<22}{metric.result():9.2f}')


def main(argv=None):
  """Adapts, then collects with the policy before and after adaptation."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--root_dir', help='a training run of cheetah.gin')
  parser.add_argument('--episodes', type=int, default=20)
  parser.add_argument('--horizon', type=int, default=100)
  flags = parser.parse_args(argv)
  tf.keras.utils.set_random_seed(0)
  environment = gymnasium_environment.GymnasiumEnvironment(
    gymnasium.make_vec(
      'HalfCheetah-v5',
      num_envs=flags.episodes,
      max_episode_steps=flags.horizon,
      ctrl_cost_weight=0.05,  # As in cheetah.gin.
    )
  )
  with environment:
    environment.seed(0)
    if flags.root_dir:
      agent = trained_run.load(flags.root_dir).agent
    else:
      agent = create_agent(environment)
    state = agent.collect_policy.get_initial_state(1)
    adapted = adapt(agent, environment, state, flags.horizon)
    for name, parameters in (('before', state), ('after', adapted)):
      print(f'{name} adaptation:')
      play(agent, environment, parameters, flags.episodes)


if __name__ == '__main__':
  main()
