"""A family of TensorFlow operations as a `TaskEnvironment`."""

from collections.abc import Callable
from typing import Any

import gin
import numpy as np
import tensorflow as tf

from maml_tf.core import random_streams
from maml_tf.environments import task_environment
from maml_tf.environments import tasks as tasks_lib
from maml_tf.environments.in_graph import batched_rows
from maml_tf.environments.in_graph import tensor_tasks
from maml_tf.environments.rendering import renderer


@gin.configurable
class TensorEnvironment(task_environment.TaskEnvironment):
  """N = B*E rows of a `TensorTasks`, with the contract of any other family.

  Training, evaluation and adaptation play whole stages of it in one compiled
  call, see `maml_tf.collection.graph_driver`. Whoever steps it, as videos do,
  gets NumPy arrays from one compiled call a step.
  """

  def __init__(
    self,
    num_tasks: int = 20,
    environments_per_task: int = 20,
    horizon: int = 100,
    tasks: tensor_tasks.TensorTasks
    | Callable[[], tensor_tasks.TensorTasks] = gin.REQUIRED,
  ):
    """Creates N rows.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps after which an episode is truncated.
      tasks: The family, or its class.

    Raises:
      ValueError: The family is not a `TensorTasks`, or what it returns does not
        fit its specs.
    """
    family = tasks if isinstance(tasks, tensor_tasks.TensorTasks) else tasks()
    if not isinstance(family, tensor_tasks.TensorTasks):
      raise ValueError(
        f'tasks is a {type(family).__name__}: give a subclass of TensorTasks'
      )
    self._family = family
    self.task_label = family.task_label
    self._batched_rows = batched_rows.BatchedRows(family)
    super().__init__(
      family.observation_spec,
      family.action_spec,
      family.task_shape,
      num_tasks,
      environments_per_task,
      horizon,
    )
    self._compiled_reset = tf.function(
      self._batched_rows.reset, autograph=False
    )
    self._compiled_step = tf.function(self._batched_rows.step, autograph=False)
    self._state = self._zero_state()

  @property
  def tensor_rows(self) -> batched_rows.BatchedRows:
    """The family, vectorised over rows."""
    return self._batched_rows

  @property
  def task_list(self) -> tasks_lib.TaskList | None:
    return self._family.task_list

  @property
  def num_kinds(self) -> int:
    return self._family.num_kinds

  def sample_tasks(self, n: int, rng: np.random.Generator) -> Any:
    return self._family.sample_tasks(n, rng)

  def sample_task(self, index: int, rng: np.random.Generator) -> Any:
    return self._family.sample_task(index, rng)

  def held_out_task(self, index: int, rng: np.random.Generator) -> Any:
    return self._family.held_out_task(index, rng)

  def observed_numbers(self, task: Any) -> np.ndarray | None:
    return self._family.observed_numbers(task)

  def seed(self, seed: Any) -> None:
    if 0 not in self._batched_rows.noise_shape:
      super().seed(seed)
      return
    # Nothing is drawn: a generator for each task would take its time.
    unused = np.random.default_rng(0)
    self._generators = [
      unused for _ in random_streams.keys_of_seed(seed, self._num_tasks)
    ]

  def draw_noise(self, num_rows: np.ndarray | None = None) -> np.ndarray:
    """Draws the noise of starts from the streams that `seed` has set.

    Args:
      num_rows: An int array [B]: how many rows of each task start. None: all.

    Returns:
      A float32 array [K, ...], grouped by task.
    """
    if num_rows is None:
      num_rows = np.full(self.num_tasks, self.environments_per_task)
    noise = [
      self._draw_starts(self._generators[b], int(num_rows[b]))
      for b in np.flatnonzero(num_rows)
    ]
    return np.concatenate(noise).astype(np.float32)

  def row_tasks(self) -> np.ndarray:
    """Returns the task of every row, a float32 array [N, ...]."""
    self._ensure_tasks()
    return np.asarray(self._row_tasks, np.float32)

  def render_state(self) -> np.ndarray:
    if type(self._family).render_state is tensor_tasks.TensorTasks.render_state:
      return super().render_state()  # It refuses.
    return self._family.render_state(self._state)

  def create_renderer(
    self, task: np.ndarray, states: np.ndarray, width: int, height: int
  ) -> renderer.Renderer:
    return self._family.create_renderer(task, states, width, height)

  def prepare_rendering(self) -> None:
    self.render_state()

  def describe_task(self, task: np.ndarray) -> str:
    return self._family.describe_task(task)

  def _cannot_be_rendered(self):
    return (
      super()
      ._cannot_be_rendered()
      .replace(type(self).__name__, type(self._family).__name__)
    )

  def _check_tasks(self, tasks):
    self._family._check_tasks(tasks)

  def _draw_starts(self, generator, num_rows):
    if 0 in self._batched_rows.noise_shape:
      return np.zeros((num_rows, *self._batched_rows.noise_shape))
    return np.asarray(self._family.draw_noise(generator, num_rows))

  def _reset_rows(self, rows, starts):
    # All rows at once: another number of rows would be another graph.
    noise = np.zeros(
      (self.batch_size, *self._batched_rows.noise_shape), np.float32
    )
    noise[rows] = starts
    state, observation = self._compiled_reset(
      tf.constant(self.row_tasks()), tf.constant(noise)
    )

    def replace(array, tensor):
      array[rows] = tensor.numpy()[rows]

    tf.nest.map_structure(replace, self._state, state)
    return tf.nest.map_structure(lambda t: t.numpy()[rows], observation)

  def _advance(self, action):
    action = tf.nest.map_structure(
      lambda part, spec: tf.constant(part, spec.dtype),
      action,
      self._action_spec,
    )
    state = tf.nest.map_structure(tf.constant, self._state)
    tasks = tf.constant(self.row_tasks())
    results = self._compiled_step(tasks, state, action)
    # Copies: arrays of tensors are read-only.
    results = tf.nest.map_structure(lambda t: np.array(t.numpy()), results)
    self._state, *rest = results
    return tuple(rest)

  def _zero_state(self):
    return tf.nest.map_structure(
      lambda spec: np.zeros(
        (self.batch_size, *spec.shape), spec.dtype.as_numpy_dtype
      ),
      self._batched_rows.state_spec,
    )
