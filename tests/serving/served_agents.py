"""An agent with every option of the inner loop and nested observations."""

import numpy as np
import tensorflow as tf
from tf_agents.networks import actor_distribution_network
from tf_agents.networks import value_network
from tf_agents.specs import tensor_spec

from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import step_sizes
from tests.learning import small_agent

OBSERVATION_SPEC = {
  'joint': {'angle': tf.TensorSpec((3,), tf.float32)},
  'goal': tf.TensorSpec((2,), tf.float32),
}
ACTION_SPEC = {
  'grip': tensor_spec.BoundedTensorSpec((2,), tf.int32, 0, 2),
  'move': small_agent.ACTION_SPEC,
}


def create_agent():
  """Creates the agent; all its learned numbers differ."""
  tf.keras.utils.set_random_seed(3)
  inputs = {
    'preprocessing_combiner': tf.keras.layers.Concatenate(),
    'fc_layer_params': (4,),
  }
  agent = small_agent.create_agent(
    OBSERVATION_SPEC,
    ACTION_SPEC,
    actor_distribution_network.ActorDistributionNetwork(
      OBSERVATION_SPEC,
      ACTION_SPEC,
      preprocessing_layers=_layers(),
      **inputs,
    ),
    value_network=value_network.ValueNetwork(
      OBSERVATION_SPEC, preprocessing_layers=_layers(), **inputs
    ),
    inner_loop=inner_loop_lib.InnerLoop(
      num_steps=2,
      step_size=step_sizes.LayerStepSizes(0.3),
      # The head of the policy, and all of the value network.
      adapts=inner_loop_lib.names_match('Projection|Value'),
      max_gradient_norm=0.5,
      entropy_coefficient=0.01,
    ),
    normalize_observations=True,
    gae_lambda=0.9,
  )
  rng = np.random.default_rng(5)
  for variable in agent.meta_parameters:
    variable.assign_add(0.3 * rng.normal(size=variable.shape))
  agent.normalizer.update(
    tf.nest.map_structure(
      lambda spec: tf.constant(
        rng.normal(2, 3, size=(1, 50, *spec.shape)), spec.dtype
      ),
      OBSERVATION_SPEC,
    ),
    tf.ones([1, 50]),
  )
  return agent


def _layers():
  return {
    'joint': {'angle': tf.keras.layers.Dense(3)},
    'goal': tf.keras.layers.Dense(2),
  }
