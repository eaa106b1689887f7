"""Meta-batches of random observations and rewards, with a policy's actions."""

import numpy as np
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from maml_tf.core import meta_batch

FIRST, MID, LAST = ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST
# The numbers of transitions of two tasks' episodes. Each episode ends with a
# boundary. The remaining one and two of T = 12 frames are padding.
LENGTHS = ((4, 5), (2, 1, 4))


def near(agent, num_tasks, seed, distance=0.1):
  """Parameters [B, ...] near the policy's own, different for each task."""
  generator = np.random.default_rng(seed)
  return tuple(
    v
    + tf.constant(
      distance * generator.normal(size=(num_tasks, *v.shape)), v.dtype
    )
    for v in agent.policy.get_initial_state(None)
  )


def record(agent, policy_state, seed, lengths=LENGTHS, num_frames=12):
  """Records a stage: random observations and rewards, actions of the policy.

  Every second episode terminates; the others are truncated. Boundaries hold
  zeros, which are not a distribution, and a reward that must not count.

  Args:
    agent: A `MamlAgent`.
    policy_state: The parameters that act, leaves [B, ...].
    seed: The seed of all random numbers.
    lengths: The episodes' transitions, one sequence for each task.
    num_frames: T.

  Returns:
    A `Trajectory` [B, T, ...].
  """
  generator = np.random.default_rng(seed)
  shape = (len(lengths), num_frames)
  step_type, next_step_type, terminates = _step_types(lengths, num_frames)
  valid = step_type != LAST
  observation = tf.nest.map_structure(
    lambda spec: tf.constant(_observations(spec, shape, generator), spec.dtype),
    agent.time_step_spec.observation,
  )
  policy = agent.collect_policy
  step = policy.act(
    ts.TimeStep(
      step_type=tf.reshape(step_type, [-1]),
      reward=(),
      discount=(),
      observation=tf.nest.map_structure(
        lambda t: tf.reshape(t, [-1, *t.shape[2:]]), observation
      ),
    ),
    policy_state,
    policy.distributions.draw_noise(generator, (step_type.size,)),
  )
  action, policy_info = tf.nest.map_structure(
    lambda t: _zero_boundaries(tf.reshape(t, [*shape, *t.shape[1:]]), valid),
    (step.action, step.info),
  )
  reward = np.where(valid, generator.normal(size=shape), 1e3)
  return trajectory.Trajectory(
    step_type=tf.constant(step_type),
    observation=observation,
    action=action,
    policy_info=policy_info,
    next_step_type=tf.constant(next_step_type),
    reward=tf.constant(reward, agent.time_step_spec.reward.dtype),
    discount=tf.constant(1.0 - terminates, agent.time_step_spec.discount.dtype),
  )


def create(agent, seed=0, distance=0.1, **kwargs):
  """A `MetaBatch` whose stages were recorded with different parameters."""
  num_tasks = len(kwargs.get('lengths', LENGTHS))
  stages = [
    record(
      agent,
      near(agent, num_tasks, [seed, stage], distance),
      [seed, stage, 1],
      **kwargs,
    )
    for stage in range(agent.num_adaptation_steps + 1)
  ]
  return meta_batch.MetaBatch(tuple(stages[:-1]), stages[-1])


def one_task(stages, index):
  """One task's part of prepared stages."""
  return tf.nest.map_structure(lambda t: t[index], stages)


def _observations(spec, outer_shape, generator):
  """Normal numbers, or integers between the bounds of the spec."""
  size = (*outer_shape, *spec.shape)
  if not spec.dtype.is_integer:
    return generator.normal(size=size)
  return generator.integers(spec.minimum, spec.maximum, size, endpoint=True)


def _step_types(lengths, num_frames):
  """Step types and next step types [B, T], and where an episode terminates."""
  step_type = np.full((len(lengths), num_frames), LAST, np.int32)
  next_step_type = step_type.copy()
  terminates = np.zeros(step_type.shape)
  for task, episodes in enumerate(lengths):
    start = 0
    for number, length in enumerate(episodes):
      end = start + length
      step_type[task, start:end] = MID
      step_type[task, start] = FIRST
      next_step_type[task, start : end - 1] = MID
      terminates[task, end - 1] = number % 2
      start = end + 1  # The frame that holds the final observation.
  return step_type, next_step_type, terminates


def _zero_boundaries(tensor, valid):
  condition = valid.reshape(*valid.shape, *[1] * (tensor.shape.rank - 2))
  return tf.where(condition, tensor, tf.zeros_like(tensor))
