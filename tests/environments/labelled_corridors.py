"""Corridors whose tasks are dicts: nested observations, successes, a list."""

import gin
import numpy as np
import tensorflow as tf
from tf_agents.networks import actor_distribution_network
from tf_agents.specs import array_spec

from maml_tf.environments import task_environment
from maml_tf.environments import tasks as tasks_lib
from maml_tf.environments.rendering import renderer

TRAINING = (
  {'door': 'left', 'length': 2},
  {'door': 'right', 'length': 2},
  {'door': 'left', 'length': 3},
  {'door': 'right', 'length': 4},
)
HELD_OUT = (
  {'door': 'right', 'length': 3},
  {'door': 'left', 'length': 4},
  {'door': 'right', 'length': 1},
)


@gin.configurable
class DarkCorridors(task_environment.TaskEnvironment):
  """Walks along cells -length, ..., length, and cannot be rendered.

  At one end is the door: reaching it is a success, has a reward of 1 and
  terminates the episode. The other end truncates it. Other steps cost 0.1.

  The start is cell 0 or, in corridors of more than one cell, also -1 or 1. The
  three actions go one cell to the left, stay, and go to the right.
  """

  def __init__(
    self,
    num_tasks=2,
    environments_per_task=2,
    horizon=6,
    lowest_action=-1,
    has_held_out=True,
    is_finite=True,
  ):
    self._lowest_action = lowest_action
    self._has_held_out = has_held_out
    self._is_finite = is_finite
    super().__init__(
      observation_spec={
        'body': {'cell': array_spec.ArraySpec((1,), np.float32)},
        'age': (array_spec.ArraySpec((2,), np.float32),),
      },
      action_spec=array_spec.BoundedArraySpec(
        (), np.int32, lowest_action, lowest_action + 2
      ),
      task_shape=None,
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
    )
    self._cell = np.zeros(self.batch_size, np.int64)
    self._age = np.zeros(self.batch_size, np.int64)
    self._success = np.zeros(self.batch_size, bool)
    self.last_action = None

  @property
  def task_list(self):
    if not self._is_finite:
      return None
    return tasks_lib.TaskList(TRAINING, HELD_OUT if self._has_held_out else ())

  @property
  def success(self):
    return self._success

  def sample_tasks(self, n, rng):
    return [TRAINING[i] for i in rng.integers(len(TRAINING), size=n)]

  def _check_tasks(self, tasks):
    for task in tasks:
      if not isinstance(task, dict) or task['door'] not in ('left', 'right'):
        raise ValueError(f'{task!r} is not a corridor')

  def _draw_starts(self, generator, num_rows):
    return generator.integers(-1, 2, num_rows)

  def _reset_rows(self, rows, starts):
    self._cell[rows] = np.where(self._lengths()[rows] > 1, starts, 0)
    self._age[rows] = 0
    return tf.nest.map_structure(lambda a: a[rows], self._observation())

  def _advance(self, action):
    self.last_action = action
    self._age += 1
    self._cell += action - self._lowest_action - 1
    self._success = self._cell == self._doors() * self._lengths()
    reward = np.where(self._success, 1, -0.1).astype(np.float32)
    return self._observation(), reward, self._success.copy()

  def _truncated_rows(self):
    return self._cell == -self._doors() * self._lengths()

  def _lengths(self):
    return np.array([task['length'] for task in self._row_tasks])

  def _doors(self):
    return np.array([2 * (t['door'] == 'right') - 1 for t in self._row_tasks])

  def _observation(self):
    cell = self._cell[:, np.newaxis].astype(np.float32)
    age = self._age[:, np.newaxis] / np.float32(self.horizon)
    return {
      'body': {'cell': cell},
      'age': (np.concatenate([age, age**2], axis=1).astype(np.float32),),
    }


@gin.configurable
class LabelledCorridors(DarkCorridors):
  """The same, and a picture is as grey as its cell."""

  def render_state(self):
    return self._cell[:, np.newaxis].astype(np.float64)

  def create_renderer(self, task, states, width, height):
    assert task in (*TRAINING, *HELD_OUT)
    return _GreyRenderer(width, height)


class _GreyRenderer(renderer.Renderer):
  """Paints the last cell."""

  def __init__(self, width, height):
    self._shape = (height, width, 3)

  def __call__(self, states):
    return np.full(self._shape, 100 + 10 * states[-1, 0], np.uint8)


@gin.configurable
def create_corridor_network(observation_spec, action_spec):
  """Creates a small network that encodes each part of the observation."""
  return actor_distribution_network.ActorDistributionNetwork(
    observation_spec,
    action_spec,
    preprocessing_layers=tf.nest.map_structure(
      lambda spec: tf.keras.layers.Dense(4), observation_spec
    ),
    preprocessing_combiner=tf.keras.layers.Concatenate(),
    fc_layer_params=(4,),
    activation_fn=tf.keras.activations.tanh,
  )
