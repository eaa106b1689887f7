"""A small family in TensorFlow operations, whose faults tests can choose."""

import numpy as np
import tensorflow as tf
from tf_agents.specs import array_spec

from maml_tf.environments.in_graph import tensor_tasks


class DriftingTasks(tensor_tasks.TensorTasks):
  """A number that drifts by its task and the action, until it passes 1.

  The state is {'x': float32, 'age': int32}, the observation {'x': [1], 'age':
  []}, the reward the action.
  """

  def __init__(self, **replaced):
    """Replaces some results of `reset` or `step`, by name."""
    super().__init__(
      observation_spec={
        'x': array_spec.ArraySpec((1,), np.float32),
        'age': array_spec.BoundedArraySpec((), np.int32, 0, 99),
      },
      action_spec=array_spec.BoundedArraySpec((1,), np.float32, -1, 1),
      task_shape=(),
    )
    self._replaced = replaced

  def sample_tasks(self, n, rng):
    return rng.uniform(0.1, 0.6, n)

  def draw_noise(self, generator, num_rows):
    return generator.normal(0, 0.01, (num_rows, 1))

  def reset(self, task, noise):
    state = {'x': noise[0], 'age': tf.constant(0)}
    return state, self._observation(state)

  def step(self, task, state, action):
    x = state['x'] + task + 0.1 * tf.sin(action[0])
    state = {'x': x, 'age': state['age'] + 1}
    results = {
      'state': state,
      'observation': self._observation(state),
      'reward': action[0],
      'terminated': x > 1.0,
    }
    results.update({k: v(results[k]) for k, v in self._replaced.items()})
    return tuple(results.values())

  def _observation(self, state):
    return {'x': state['x'][tf.newaxis], 'age': state['age']}
