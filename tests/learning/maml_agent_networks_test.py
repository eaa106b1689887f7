"""The agent with other actions, observations and networks than the default."""

import numpy as np
import tensorflow as tf
from tf_agents.networks import actor_distribution_network
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from maml_tf.core import meta_batch
from maml_tf.learning import baselines
from tests.learning import recorded_batches
from tests.learning import small_agent

DICT_SPEC = {
  'image': tf.TensorSpec((4, 4, 1), tf.float32),
  'vector': small_agent.OBSERVATION_SPEC,
}
FIRST, LAST = ts.StepType.FIRST, ts.StepType.LAST


def _bandit(actions, logits, best):
  """Episodes of one step, in which one action of each task pays: [B, 8].

  Args:
    actions: Four actions, the same in each task.
    logits: The logits [B, 2] of the policy that took the four actions.
    best: The actions that pay, [B].
  """
  num_tasks = len(best)
  step_type = np.tile([FIRST, LAST] * 4, (num_tasks, 1)).astype(np.int32)
  action = np.tile(np.repeat(actions, 2), (num_tasks, 1)).astype(np.int32)
  reward = action == np.array(best)[:, np.newaxis]
  return trajectory.Trajectory(
    step_type=tf.constant(step_type),
    observation=tf.ones([num_tasks, 8, 1]),
    action=tf.constant(action),
    policy_info=(
      {'logits': tf.tile(tf.constant(logits)[:, tf.newaxis], [1, 8, 1])},
    ),
    next_step_type=tf.fill([num_tasks, 8], LAST),
    reward=tf.constant(reward, tf.float32),
    discount=tf.zeros([num_tasks, 8]),
  )


def test_discrete_actions():
  observation_spec = tf.TensorSpec((1,), tf.float32)
  action_spec = tensor_spec.BoundedTensorSpec((), tf.int32, 0, 1)
  agent = small_agent.create_agent(
    observation_spec,
    action_spec,
    actor_distribution_network.ActorDistributionNetwork(
      observation_spec, action_spec, fc_layer_params=None
    ),
    inner_step_size=1.0,
    baseline=baselines.NoBaseline(),
  )
  for variable in agent.meta_parameters:
    variable.assign(tf.zeros_like(variable))
  state = agent.collect_policy.get_initial_state(2)
  support = _bandit([0, 1, 0, 1], np.zeros((2, 2), np.float32), best=[0, 1])
  kernel, bias = agent.adapt(support, state)
  # Advantages 1 and -1; d log pi(a) / d logit_0 is 1/2 for action 0 and -1/2
  # for action 1: the mean of A d log pi is 1/2 where 0 pays, -1/2 where 1 does.
  # The observation is 1: kernel and bias take the same step.
  expected = [[0.5, -0.5], [-0.5, 0.5]]
  np.testing.assert_allclose(bias, expected, rtol=1e-5)
  np.testing.assert_allclose(kernel[:, 0], expected, rtol=1e-5)
  # Their sums are the logits: the action that pays has probability
  # 1 / (1 + e^-2).
  logits = (kernel[:, 0] + bias).numpy()
  time_step = ts.restart(tf.ones([2, 1]), batch_size=2)
  step = agent.collect_policy.distribution(time_step, (kernel, bias))
  np.testing.assert_allclose(
    step.action.prob([0, 1]), [1 / (1 + np.exp(-2))] * 2, rtol=1e-5
  )
  query = _bandit([0, 1, 0, 1], logits, best=[0, 1])
  loss_info = agent.train(meta_batch.MetaBatch((support,), query))
  # Ratios 1, advantages of mean 0.
  np.testing.assert_allclose(loss_info.extra.policy_loss, 0, atol=1e-5)
  np.testing.assert_allclose(
    loss_info.extra.entropy,
    # log(1 + e^-2) + 2 e^-2 / (1 + e^-2)
    np.log1p(np.exp(-2)) + 2 / (1 + np.exp(2)),
    rtol=1e-5,
  )
  assert all(np.isfinite(value).all() for value in small_agent.values(agent))


def test_observations_of_parts_and_preprocessing_layers():
  network = actor_distribution_network.ActorDistributionNetwork(
    DICT_SPEC,
    small_agent.ACTION_SPEC,
    preprocessing_layers={
      'image': tf.keras.Sequential(
        [tf.keras.layers.Conv2D(2, 3), tf.keras.layers.Flatten()]
      ),
      'vector': tf.keras.layers.Dense(8),
    },
    preprocessing_combiner=tf.keras.layers.Add(),
    fc_layer_params=(4,),
  )
  agent = small_agent.create_agent(
    DICT_SPEC, network=network, meta_update=small_agent.sgd(0.1)
  )
  before = small_agent.values(agent)
  assert len(before) == 9  # Two a layer, and the bias of the scale.
  batch = recorded_batches.create(agent)
  theta = small_agent.theta(agent)
  prepared = small_agent.prepared(agent, batch)
  coefficient = tf.constant([5e-4])
  (_, gradient), _ = agent.functions.means.meta_gradient(
    (theta, coefficient), prepared
  )
  gradients = tf.nest.flatten(gradient)
  expected = []
  for task in range(2):
    _, gradient = agent.functions.task.meta_gradient(
      theta, coefficient, recorded_batches.one_task(prepared, task)
    )
    expected.append(tf.nest.flatten(gradient))
  for gradient, parts in zip(gradients, zip(*expected), strict=True):
    np.testing.assert_allclose(
      gradient, np.mean(parts, axis=0), rtol=1e-3, atol=1e-5
    )
  agent.train(batch)
  for old, new, gradient in zip(
    before, small_agent.values(agent), gradients, strict=True
  ):
    assert np.abs(gradient).max() > 0
    np.testing.assert_allclose(new, old - 0.1 * gradient, rtol=1e-4, atol=1e-5)


def test_actions_of_two_parts():
  action_spec = {
    'grip': tensor_spec.BoundedTensorSpec((2,), tf.int32, 0, 2),
    'move': small_agent.ACTION_SPEC,
  }
  agent = small_agent.create_agent(action_spec=action_spec)
  before = small_agent.values(agent)
  loss_info = agent.train(recorded_batches.create(agent))
  assert np.isfinite(loss_info.loss)
  for old, new in zip(before, small_agent.values(agent), strict=True):
    assert np.isfinite(new).all()
    assert np.abs(new - old).max() > 0
