"""A family of tasks as TensorFlow operations, written for one row."""

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np
from tf_agents.typing import types

from maml_tf.environments import tasks as tasks_lib
from maml_tf.environments.rendering import renderer


class TensorTasks(tasks_lib.TaskFamily):
  """Start and step of one row, for one task. This package batches them.

  Subclasses implement `sample_tasks` and `draw_noise` with NumPy, `reset` and
  `step` with TensorFlow. They may also implement `task_list`, `_check_tasks`,
  `render_state`, `create_renderer` and `describe_task`.

  `reset` and `step` see one row, so no tensor has a batch axis. They are traced
  once and vectorised by `tf.vectorized_map`. Hence:

    - They are functions of their arguments: no variables, no random operations.
    - Choose with `tf.where`, not with `if` or `tf.cond` on a tensor.
    - Shapes are constant. Numbers are float32, counters int32.
    - No clipping is done for them: the policy may exceed the bounds of the
      action spec, so clip what the dynamics need.

  What a `state` is, is up to the family: a tensor or a nest of tensors. `step`
  returns one of the same structure, shapes and dtypes as `reset`.
  """

  def __init__(
    self,
    observation_spec: types.NestedArraySpec,
    action_spec: types.NestedArraySpec,
    task_shape: Sequence[int],
  ):
    """Stores the specs.

    Args:
      observation_spec: An `ArraySpec` [O] of one row's observation, or a nest.
      action_spec: A `BoundedArraySpec` [A] of one row's action, or a nest.
      task_shape: The shape of one task, `()` if it is a number.
    """
    self.observation_spec = observation_spec
    self.action_spec = action_spec
    self.task_shape = tuple(task_shape)

  @abc.abstractmethod
  def draw_noise(
    self, generator: np.random.Generator, num_rows: int
  ) -> np.ndarray:
    """Draws what is random about the starts of rows of one task.

    Args:
      generator: The task's generator, the only permitted source of randomness.
      num_rows: K, the number of rows that start.

    Returns:
      A float array [K, ...] in the order of the rows; [K, 0] if nothing is
      random.
    """

  @abc.abstractmethod
  def reset(
    self, task: types.Tensor, noise: types.Tensor
  ) -> tuple[types.NestedTensor, types.NestedTensor]:
    """Starts an episode of one row.

    Args:
      task: A float32 tensor of the shape of a task.
      noise: A float32 tensor: one row of what `draw_noise` drew.

    Returns:
      state: A tensor, or a nest of tensors.
      observation: A tensor of the observation spec, or a nest.
    """

  @abc.abstractmethod
  def step(
    self,
    task: types.Tensor,
    state: types.NestedTensor,
    action: types.NestedTensor,
  ) -> tuple[
    types.NestedTensor, types.NestedTensor, types.Tensor, types.Tensor
  ]:
    """Advances one row by one step.

    A row whose episode has ended may be stepped on until the others have ended,
    too. The results are ignored.

    Args:
      task: A float32 tensor of the shape of a task.
      state: As `reset` or the last `step` returned it.
      action: A tensor of the action spec, or a nest: as the policy sampled it.

    Returns:
      state: Like the argument.
      observation: A tensor of the observation spec, or a nest.
      reward: A float32 scalar.
      terminated: A bool scalar: whether the task is over. The horizon, which
        truncates episodes, is not the family's.
    """

  def render_state(self, state: Any) -> np.ndarray:
    """Returns what a renderer needs, a float64 array [N, S].

    Args:
      state: A nest of arrays [N, ...]: the states of the rows.
    """
    raise NotImplementedError

  def create_renderer(
    self, task: np.ndarray, states: np.ndarray, width: int, height: int
  ) -> renderer.Renderer:
    """Creates a renderer of one row; see `RenderedRows.create_renderer`."""
    raise NotImplementedError

  def describe_task(self, task: np.ndarray) -> str:
    """Returns what a film calls a task, in one short line."""
    return f'task {tasks_lib.name(task)}'
