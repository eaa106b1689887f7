"""A policy acts on the device that is beside the environment."""

import numpy as np
import tensorflow as tf
from tf_agents.trajectories import time_step as ts

from maml_tf.collection import compiled_actor
from maml_tf.core import devices
from tests.learning import recorded_batches
from tests.learning import small_agent


def test_the_device_changes_no_action(monkeypatch):
  agent = small_agent.create_agent()
  state = recorded_batches.near(agent, 2, seed=0)
  frames = recorded_batches.create(agent).query
  policy = agent.collect_policy
  noise = policy.distributions.draw_noise(np.random.default_rng(0), (24,))
  time_step = ts.restart(tf.reshape(frames.observation, [24, 2]), 24)
  time_step = tf.nest.map_structure(np.array, time_step)
  copies, identity = [], tf.identity

  def record_copies(tensor, *args):
    copy = identity(tensor, *args)
    if tf.executing_eagerly():
      copies.append(copy)
    return copy

  monkeypatch.setattr(tf, 'identity', record_copies)
  actions = []
  for device in (None, '/CPU:1'):
    # Stands for the CPU beside a GPU: the other logical CPU of the tests.
    monkeypatch.setattr(devices, 'acting_device', lambda device=device: device)
    act = compiled_actor.CompiledActor(policy).for_episode(
      state, lambda t: noise
    )
    copies.clear()
    actions.append([act(time_step, t).action for t in range(2)])
    assert not copies  # The state is copied once an episode, not at each step.
  np.testing.assert_array_equal(*actions)


def test_the_state_is_copied_to_the_device_once(monkeypatch):
  agent = small_agent.create_agent()
  state = recorded_batches.near(agent, 2, seed=0)
  copied = []
  monkeypatch.setattr(devices, 'acting_device', lambda: '/CPU:1')
  monkeypatch.setattr(
    tf, 'identity', lambda t: copied.append(tf.constant(0).device)
  )
  compiled_actor.CompiledActor(agent.collect_policy).for_episode(state, None)
  assert len(copied) == len(state)
  assert all(device.endswith('CPU:1') for device in copied)
