"""The start and the step of one row, checked and vectorised over N rows."""

from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.environments.in_graph import tensor_tasks

# The kernels of a processor compute so many numbers at once, and the rest of an
# array one by one, where sines and exponentials round differently. A whole
# number of groups gives each row the same bits in any company.
_GROUP = 16


class BatchedRows:
  """A family's `reset` and `step` for N rows, leaves [N, ...].

  Both are plain functions of tensors, to be called in a `tf.function`.
  """

  def __init__(self, tasks: tensor_tasks.TensorTasks):
    """Traces the family once.

    Args:
      tasks: The family.

    Raises:
      ValueError: What it returns does not fit its specs, or cannot be
        vectorised.
    """
    self._tasks = tasks
    self._name = type(tasks).__name__
    self._noise_shape = self._checked_noise_shape()
    self._observation = tf.nest.map_structure(_tensor, tasks.observation_spec)
    self._action = tf.nest.map_structure(_tensor, tasks.action_spec)
    self._state = self._checked_state()
    self._check_vectorises()

  @property
  def noise_shape(self) -> tuple[int, ...]:
    """The shape of one row's noise."""
    return self._noise_shape

  @property
  def state_spec(self) -> types.NestedTensorSpec:
    """The specs of one row's state."""
    return self._state

  def reset(
    self, tasks: types.Tensor, noise: types.Tensor
  ) -> tuple[types.NestedTensor, types.NestedTensor]:
    """Starts N rows.

    Args:
      tasks: A float32 tensor [N, ...]: the task of every row.
      noise: A float32 tensor [N, ...].

    Returns:
      States and observations, leaves [N, ...].
    """
    return _in_groups(lambda row: self._reset(*row), (tasks, noise))

  def step(
    self,
    tasks: types.Tensor,
    state: types.NestedTensor,
    action: types.NestedTensor,
  ) -> tuple[
    types.NestedTensor, types.NestedTensor, types.Tensor, types.Tensor
  ]:
    """Advances N rows.

    Args:
      tasks: A float32 tensor [N, ...]: the task of every row.
      state: The states, leaves [N, ...].
      action: The actions, leaves [N, ...].

    Returns:
      States, observations, rewards and terminated, leaves [N, ...].
    """
    return _in_groups(lambda row: self._step(*row), (tasks, state, action))

  def _reset(self, task, noise):
    state, observation = self._tasks.reset(task, noise)
    return _converted(state), self._cast(observation)

  def _step(self, task, state, action):
    state, observation, reward, terminated = self._tasks.step(
      task, state, action
    )
    return (
      tf.nest.map_structure(
        lambda given, spec: tf.convert_to_tensor(given, spec.dtype),
        state,
        self._state,
      ),
      self._cast(observation),
      tf.convert_to_tensor(reward),
      tf.convert_to_tensor(terminated),
    )

  def _cast(self, observation):
    """Makes tensors of constants; other dtypes stay, to be refused."""
    return tf.nest.map_structure(
      lambda given, spec: tf.convert_to_tensor(given, dtype_hint=spec.dtype),
      observation,
      self._observation,
    )

  def _checked_noise_shape(self):
    noise = np.asarray(self._tasks.draw_noise(np.random.default_rng(0), 3))
    if noise.ndim < 1 or len(noise) != 3 or noise.dtype.kind not in 'biuf':
      raise ValueError(
        f'{self._name}.draw_noise returns {noise.dtype} of shape {noise.shape}'
        ' for 3 rows: give an array of numbers of shape (3, ...)'
      )
    return noise.shape[1:]

  def _checked_state(self):
    """Traces `reset` and `step` for one row; returns the specs of a state."""
    task = tf.TensorSpec(self._tasks.task_shape, tf.float32)
    noise = tf.TensorSpec(self._noise_shape, tf.float32)
    state, observation = self._outputs('reset', 2, task, noise)
    self._check('reset', 'observation', observation, self._observation)
    spec = tf.nest.map_structure(_tensor, state)
    self._state = spec
    after, observation, reward, terminated = self._outputs(
      'step', 4, task, spec, self._action
    )
    self._check('step', 'state', after, spec)
    self._check('step', 'observation', observation, self._observation)
    self._check('step', 'reward', reward, tf.TensorSpec((), tf.float32))
    self._check('step', 'terminated', terminated, tf.TensorSpec((), tf.bool))
    return spec

  def _outputs(self, method, number, *arguments):
    """Traces a method of the family; returns its `number` outputs as specs."""

    def trace(*given):
      outputs = getattr(self._tasks, method)(*given)
      if not isinstance(outputs, (tuple, list)) or len(outputs) != number:
        raise ValueError(
          f'{self._name}.{method} returns {_describe(outputs)}: give'
          f' {number} results, as TensorTasks.{method} describes'
        )
      return tuple(_converted(output) for output in outputs)

    traced = tf.function(trace, autograph=False)
    outputs = traced.get_concrete_function(*arguments).structured_outputs
    return tf.nest.map_structure(_tensor, tuple(outputs))

  def _check(self, method, name, given, expected):
    """Raises ValueError unless specs have a structure, shapes and dtypes."""
    try:
      tf.nest.assert_same_structure(given, expected)
      fits = all(
        g.shape == e.shape and g.dtype == e.dtype
        for g, e in zip(tf.nest.flatten(given), tf.nest.flatten(expected))
      )
    except (ValueError, TypeError):
      fits = False
    if not fits:
      raise ValueError(
        f'{self._name}.{method} returns {_describe(given)} as {name}, not'
        f' {_describe(expected)}: cast or reshape it'
      )

  def _check_vectorises(self):
    """Raises ValueError if an operation has no vectorised form."""

    def rows(spec):
      return tf.nest.map_structure(
        lambda s: tf.TensorSpec([_GROUP, *s.shape], s.dtype), spec
      )

    task = rows(tf.TensorSpec(self._tasks.task_shape, tf.float32))
    noise = rows(tf.TensorSpec(self._noise_shape, tf.float32))
    for method, arguments in (
      ('reset', (task, noise)),
      ('step', (task, rows(self._state), rows(self._action))),
    ):
      try:
        tf.function(
          getattr(self, method), autograph=False
        ).get_concrete_function(*arguments)
      except ValueError as error:
        line = str(error).strip().splitlines()[0]
        raise ValueError(
          f'{self._name}.{method} cannot be vectorised over rows: {line}'
        ) from error


def _in_groups(fn, rows):
  """Maps a function of one row over N rows, a multiple of `_GROUP`."""
  num_rows = tf.nest.flatten(rows)[0].shape[0]
  missing = -num_rows % _GROUP
  if missing:
    rows = tf.nest.map_structure(
      lambda t: tf.concat([t, tf.repeat(t[-1:], missing, axis=0)], 0), rows
    )
  results = tf.vectorized_map(fn, rows, fallback_to_while_loop=False)
  if missing:
    results = tf.nest.map_structure(lambda t: t[:num_rows], results)
  return results


def _tensor(spec: Any) -> tf.TensorSpec:
  return tf.TensorSpec(spec.shape, spec.dtype)


def _converted(nest):
  return tf.nest.map_structure(tf.convert_to_tensor, nest)


def _describe(specs):
  def describe(spec):
    if hasattr(spec, 'dtype') and hasattr(spec, 'shape'):
      return f'{tf.as_dtype(spec.dtype).name} {list(spec.shape)}'
    return type(spec).__name__

  return str(tf.nest.map_structure(describe, specs)).replace("'", '')
