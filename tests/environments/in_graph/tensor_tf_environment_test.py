"""Stock parts of TF-Agents drive a family of TensorFlow operations."""

import numpy as np
import tensorflow as tf
from tf_agents.drivers import dynamic_episode_driver
from tf_agents.drivers import dynamic_step_driver
from tf_agents.metrics import tf_metrics
from tf_agents.policies import random_tf_policy
from tf_agents.replay_buffers import tf_uniform_replay_buffer
from tf_agents.trajectories import time_step as ts
from tf_agents.utils import nest_utils

from maml_tf.environments.in_graph import classic_control
from maml_tf.environments.in_graph import tensor_environment
from maml_tf.environments.in_graph import tensor_tf_environment
from tests.environments.in_graph import drifting_tasks

_TASKS = [0.2, 0.6, 0.4]


def _numpy_environment():
  environment = tensor_environment.TensorEnvironment(
    3, 2, 4, drifting_tasks.DriftingTasks
  )
  environment.set_tasks(_TASKS)
  environment.seed(5)
  return environment


def _environment():
  return tensor_tf_environment.TensorTFEnvironment(_numpy_environment())


def _equal(one, other):
  tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_plays_as_its_numpy_form():
  one, other = _environment(), _numpy_environment()
  _equal(one.current_time_step(), other.reset())
  for action in np.random.default_rng(0).normal(size=(14, 6, 1)).astype('f'):
    time_step = one.step(action)
    _equal(time_step, other.step(action))
    _equal(one.current_time_step(), time_step)
  # Other tasks and seeds.
  for environment in (one, other):
    environment.set_tasks([0.3] * 3)
    environment.seed(6)
  _equal(one.reset(), other.reset())


def test_time_steps_fit_the_specs():
  environment = _environment()
  spec = environment.time_step_spec()
  action = tf.zeros([6, 1])
  for time_step in (environment.reset(), environment.step(action)):
    assert nest_utils.is_batched_nested_tensors(time_step, spec)
  assert environment.batched and environment.batch_size == 6
  assert environment.num_tasks == 3


def test_a_step_driver_fills_a_replay_buffer_in_a_graph():
  environment = _environment()
  policy = random_tf_policy.RandomTFPolicy(
    environment.time_step_spec(), environment.action_spec()
  )
  buffer = tf_uniform_replay_buffer.TFUniformReplayBuffer(
    policy.collect_data_spec, batch_size=6, max_length=20
  )
  driver = dynamic_step_driver.DynamicStepDriver(
    environment, policy, [buffer.add_batch], num_steps=6 * 12
  )
  tf.function(driver.run)()
  frames = buffer.gather_all()
  # Every row starts anew after its end, and nowhere else.
  step_type, following = frames.step_type.numpy(), frames.next_step_type.numpy()
  assert step_type.shape[0] == 6 and step_type.shape[1] >= 12
  np.testing.assert_array_equal(step_type[:, 1:], following[:, :-1])
  np.testing.assert_array_equal(
    following == ts.StepType.FIRST, step_type == ts.StepType.LAST
  )
  assert (step_type == ts.StepType.LAST).sum() > 6
  np.testing.assert_allclose(
    np.where(frames.is_boundary(), 0, frames.reward - frames.action[..., 0]), 0
  )


def test_an_episode_driver_and_metrics_count_episodes():
  environment = tensor_tf_environment.TensorTFEnvironment(
    classic_control.CartPoleMassTensors(2, 2, 4)
  )
  metric = tf_metrics.AverageEpisodeLengthMetric(batch_size=4)
  policy = random_tf_policy.RandomTFPolicy(
    environment.time_step_spec(), environment.action_spec()
  )
  dynamic_episode_driver.DynamicEpisodeDriver(
    environment, policy, [metric], num_episodes=8
  ).run()
  # A pole cannot fall in four steps.
  assert metric.result() == 4
