"""A family of TensorFlow operations as a `TFEnvironment` of TF-Agents."""

from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.environments import tf_environment
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from maml_tf.environments.in_graph import tensor_environment


class TensorTFEnvironment(tf_environment.TFEnvironment):
  """N rows that drivers, buffers and metrics of TF-Agents step in a graph.

  It plays like the `TensorEnvironment` that it is made from: the same tasks,
  streams of random numbers, horizon and automatic resets. Its rows live in
  variables. Only the noise of starts comes from Python, and only in steps in
  which an episode starts.
  """

  def __init__(self, environment: tensor_environment.TensorEnvironment):
    """Resets all rows.

    Args:
      environment: Gives the rows and draws their starts. Nobody else may step
        or seed it.
    """
    super().__init__(
      tensor_spec.from_spec(environment.time_step_spec()),
      tensor_spec.from_spec(environment.action_spec()),
      environment.batch_size,
    )
    self._environment = environment
    self._rows = environment.tensor_rows
    self._noise_shape = (environment.batch_size, *self._rows.noise_shape)
    self._tasks = _variable(environment.row_tasks())
    self._state = _zeros(self._rows.state_spec, environment.batch_size)
    self._time_step = _zeros(self.time_step_spec(), environment.batch_size)
    self._elapsed = _variable(np.zeros(environment.batch_size, np.int32))
    self._compiled_reset = tf.function(self._reset_all, autograph=False)
    self._compiled_step = tf.function(self._step_all, autograph=False)
    self.reset()

  @property
  def num_tasks(self) -> int:
    """B, the number of tasks; the N rows are grouped by task."""
    return self._environment.num_tasks

  def set_tasks(self, tasks: Any) -> None:
    """Assigns tasks and resets all rows; see `TaskEnvironment.set_tasks`."""
    self._environment.set_tasks(tasks)
    self._tasks.assign(self._environment.row_tasks())
    self.reset()

  def seed(self, seed: Any) -> None:
    """Seeds the tasks' streams, see `TaskEnvironment.seed`; then reset."""
    self._environment.seed(seed)

  def _current_time_step(self):
    return tf.nest.map_structure(tf.identity, self._time_step)

  def _reset(self):
    return self._compiled_reset()

  def _step(self, action):
    return self._compiled_step(action)

  def _reset_all(self):
    every = tf.fill([self.batch_size], True)
    state, observation = self._rows.reset(self._tasks, self._noise(every))
    self._elapsed.assign(tf.zeros_like(self._elapsed))
    return self._assign(
      state,
      ts.TimeStep(
        tf.fill([self.batch_size], ts.StepType.FIRST),
        tf.zeros([self.batch_size]),
        tf.ones([self.batch_size]),
        observation,
      ),
    )

  def _step_all(self, action):
    starts = self._time_step.is_last()
    state, observation, reward, terminated = self._rows.step(
      tf.identity(self._tasks),
      tf.nest.map_structure(tf.identity, self._state),
      action,
    )
    elapsed = self._elapsed + 1
    ended = terminated | (elapsed >= self._environment.horizon)
    time_step = ts.TimeStep(
      tf.where(ended, ts.StepType.LAST, ts.StepType.MID),
      reward,
      tf.where(terminated, 0.0, 1.0),
      observation,
    )
    first_state, first_observation = self._rows.reset(
      tf.identity(self._tasks), self._noise(starts)
    )
    first = ts.TimeStep(
      tf.fill([self.batch_size], ts.StepType.FIRST),
      tf.zeros([self.batch_size]),
      tf.ones([self.batch_size]),
      first_observation,
    )
    self._elapsed.assign(tf.where(starts, 0, elapsed))
    return self._assign(
      *tf.nest.map_structure(
        lambda start, step: _select(starts, start, step),
        (first_state, first),
        (state, time_step),
      )
    )

  def _noise(self, starts):
    """Draws noise [N, ...] for the rows that start; 0 for the others."""
    return tf.cond(
      tf.reduce_any(starts),
      lambda: tf.ensure_shape(
        tf.numpy_function(self._draw, [starts], tf.float32), self._noise_shape
      ),
      lambda: tf.zeros(self._noise_shape),
    )

  def _draw(self, starts: types.Array) -> np.ndarray:
    noise = np.zeros(self._noise_shape, np.float32)
    num_rows = starts.reshape(self.num_tasks, -1).sum(axis=1)
    noise[starts] = self._environment.draw_noise(num_rows)
    return noise

  def _assign(self, state, time_step):
    """Stores what the rows are now; returns the time step."""
    tf.nest.map_structure(
      lambda variable, value: variable.assign(value),
      (self._state, self._time_step),
      (state, time_step),
    )
    return time_step


def _variable(value):
  return tf.Variable(value, trainable=False)


def _zeros(spec, num_rows):
  return tf.nest.map_structure(
    lambda s: _variable(tf.zeros([num_rows, *s.shape], s.dtype)), spec
  )


def _select(rows, one, other):
  inner = [tf.newaxis] * (one.shape.rank - 1)
  return tf.where(rows[(..., *inner)], one, other)
