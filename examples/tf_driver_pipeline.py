"""Meta-learns point navigation with stock TF-Agents parts.

  python examples/tf_driver_pipeline.py

The driver, the replay buffer and the metrics are those of TF-Agents. The
environment and the agent are those of maml_tf. Prints the return before and
after adaptation.
"""

import maml_tf  # isort: skip  First: it quiets the imports of the libraries.

import argparse
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tf_agents.drivers import dynamic_episode_driver
from tf_agents.environments import tf_py_environment
from tf_agents.metrics import tf_metrics
from tf_agents.replay_buffers import tf_uniform_replay_buffer
from tf_agents.utils import common

from maml_tf.environments import point_navigation
from maml_tf.learning import actor_networks


def create_agent(
  environment: tf_py_environment.TFPyEnvironment,
) -> maml_tf.MamlAgent:
  """Creates an agent with the default inner loop and outer update."""
  return maml_tf.MamlAgent(
    environment.time_step_spec(),
    environment.action_spec(),
    actor_networks.create_actor_network(
      environment.observation_spec(), environment.action_spec()
    ),
    gae_lambda=0.9,
  )


def main(argv: Sequence[str] | None = None) -> None:
  """Trains."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--iterations', type=int, default=30)
  parser.add_argument('--tasks', type=int, default=20)
  parser.add_argument('--episodes', type=int, default=10)
  parser.add_argument('--horizon', type=int, default=100)
  flags = parser.parse_args(argv)
  tf.keras.utils.set_random_seed(0)
  rng = np.random.default_rng(0)

  # Each episode of a task has its own row of the batch.
  points = point_navigation.PointNavigation(
    flags.tasks, flags.episodes, flags.horizon
  )
  environment = tf_py_environment.TFPyEnvironment(points)
  agent = create_agent(environment)
  # A row holds one episode and the boundary that ends it. After an early end,
  # it holds the beginning of another episode, too.
  num_rows, num_frames = points.batch_size, flags.horizon + 1
  replay_buffer = tf_uniform_replay_buffer.TFUniformReplayBuffer(
    agent.collect_data_spec, num_rows, max_length=num_frames
  )
  stored = replay_buffer.as_dataset(
    num_rows, num_steps=num_frames, single_deterministic_pass=True
  )
  mean_return = tf_metrics.AverageReturnMetric(
    batch_size=num_rows, buffer_size=2 * num_rows
  )
  env_steps = tf_metrics.EnvironmentSteps()
  driver = dynamic_episode_driver.DynamicEpisodeDriver(
    environment,
    agent.collect_policy,
    [replay_buffer.add_batch, mean_return, env_steps],
    # More episodes than frames: `maximum_iterations` below ends the collection.
    num_episodes=num_rows * num_frames,
  )
  collect, train = map(common.function, (driver.run, agent.train))

  for iteration in range(1, flags.iterations + 1):
    points.set_tasks(points.sample_tasks(flags.tasks, rng))
    state = agent.collect_policy.get_initial_state(flags.tasks)
    stages, returns = [], []
    for step in range(agent.num_adaptation_steps + 1):
      if step:
        state = agent.adapt(stages[-1], state, step - 1)
      replay_buffer.clear()
      mean_return.reset()
      collect(environment.reset(), state, maximum_iterations=num_frames)
      stages.append(next(iter(stored))[0])
      returns.append(float(mean_return.result()))
    loss_info = train(agent.meta_batch(stages, flags.tasks))
    print(
      f'iteration {iteration:3}  env steps {int(env_steps.result()):9,}'
      f'  return {returns[0]:6.1f} -> {returns[-1]:6.1f}'
      f'  loss {float(loss_info.loss):8.4f}'
    )


if __name__ == '__main__':
  main()
