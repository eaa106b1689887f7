"""A small agent with fixed initial parameters, and access to its theta."""

import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from maml_tf.learning import actor_networks
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import maml_agent
from maml_tf.learning import meta_updates

OBSERVATION_SPEC = tf.TensorSpec((2,), tf.float32)
ACTION_SPEC = tensor_spec.BoundedTensorSpec((2,), tf.float32, -1, 1)


def sgd(learning_rate=1e-2, num_steps=1):
  """Plain gradient steps, so that a step is the learning rate * gradient."""
  return meta_updates.GradientUpdate(
    tf.keras.optimizers.SGD(learning_rate), num_steps=num_steps
  )


def create_agent(
  observation_spec=OBSERVATION_SPEC,
  action_spec=ACTION_SPEC,
  network=None,
  meta_update=None,
  num_adaptation_steps=1,
  inner_step_size=0.1,
  **kwargs,
):
  """An agent with five hidden units, or another network."""
  tf.keras.utils.set_random_seed(1)
  network = network or actor_networks.create_actor_network(
    observation_spec, action_spec, fc_layer_params=(5,)
  )
  return maml_agent.MamlAgent(
    ts.time_step_spec(observation_spec),
    action_spec,
    network,
    inner_loop=kwargs.pop('inner_loop', None)
    or inner_loop_lib.InnerLoop(num_adaptation_steps, inner_step_size),
    meta_update=meta_update or sgd(),
    train_step_counter=tf.Variable(0, dtype=tf.int64),
    **kwargs,
  )


def values(agent):
  """The meta-parameters' values, a list of arrays."""
  return [v.numpy() for v in agent.meta_parameters]


def theta(agent):
  """The agent's theta as tensors."""
  return tf.nest.map_structure(tf.identity, agent.theta)


def tensors(agent, values):
  """Values of the meta-parameters, end to end, as a theta of tensors."""
  return tf.nest.pack_sequence_as(agent.theta, [tf.constant(v) for v in values])


def prepared(agent, batch):
  """A meta-batch as the losses read it, a `PreparedBatch`."""
  return agent.meta_problem(batch).batch
