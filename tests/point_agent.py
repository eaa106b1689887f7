"""A small agent that navigates points, and its parts."""

import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf.environments import point_navigation
from maml_tf.learning import actor_networks
from maml_tf.learning import maml_agent
from maml_tf.learning import meta_updates


def create_network(environment):
  """A policy network of eight hidden units for an environment."""
  return actor_networks.create_actor_network(
    tensor_spec.from_spec(environment.observation_spec()),
    tensor_spec.from_spec(environment.action_spec()),
    fc_layer_params=(8,),
    initial_stddev=0.5,
  )


def create_agent(environment=None, optimizer_steps=2, **kwargs):
  """An agent for an environment, with fixed initial parameters."""
  tf.keras.utils.set_random_seed(0)
  environment = environment or point_navigation.PointNavigation()
  return maml_agent.MamlAgent(
    tensor_spec.from_spec(environment.time_step_spec()),
    tensor_spec.from_spec(environment.action_spec()),
    create_network(environment),
    meta_update=meta_updates.GradientUpdate(
      tf.keras.optimizers.Adam(1e-3), num_steps=optimizer_steps
    ),
    **{'train_step_counter': tf.Variable(0, dtype=tf.int64), **kwargs},
  )


def different_parameters(agent, num_tasks, seed=0):
  """Parameters [B, ...] near the meta-parameters, different for each task."""
  generator = tf.random.Generator.from_seed(seed)
  return tuple(
    v + 0.5 * generator.normal([num_tasks, *v.shape])
    for v in agent.meta_parameters
  )
