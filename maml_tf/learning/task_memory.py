"""How many tasks fit into a device's memory together."""

from typing import Any

import tensorflow as tf
from tf_agents.trajectories import trajectory
from tf_agents.typing import types

from maml_tf.core import meta_batch
from maml_tf.learning import one_task
from maml_tf.learning import task_map

# How often a function of one task holds, at its peak, what its networks compute
# for the frames of all stages. XLA's own analysis says 0.7 to 0.9 for
# meta-gradients, and 2.2 to 2.9 for the Hessian of the trust region. In graph
# mode, where operations run side by side, a trust region held 20 on a GPU.
# `results/task_memory/` has the measurements.
_COPIES_OF_FRAMES = {True: 4, False: 24}
# The same for the parameters, per stage: 1.5 and 3.0.
_COPIES_OF_PARAMETERS = {True: 4, False: 16}
# The rest is for the meta-batch, for code and for other processes.
_USABLE_SHARE = 0.5


class FittingChunk:
  """A chunk size: as many tasks as the memory of a device holds.

  Attributes:
    smallest: The smallest chunk that was chosen so far, if it was not all
      tasks; None if all tasks fitted.
  """

  def __init__(
    self, num_bytes: float | None, jit_compile: bool, task: one_task.OneTask
  ):
    """Stores the parts.

    Args:
      num_bytes: The memory of the device. None: it is not known, and all tasks
        are one chunk.
      jit_compile: Whether XLA compiles the functions of tasks.
      task: The functions of one task.
    """
    self._num_bytes = num_bytes
    self._jit_compile = jit_compile
    self._task = task
    self.smallest = None

  def __call__(self, tasks: types.NestedTensor) -> int | None:
    """Returns the most tasks that fit; None: all of them do.

    Args:
      tasks: A nest of tensors [B, ...] with `Stage`s or `Trajectory`s in it.
    """
    num_tasks = tf.nest.flatten(tasks)[0].shape[0]
    stages = _stages(tasks)
    lengths = [stage.step_type.shape[1] for stage in stages]
    if self._num_bytes is None or None in (num_tasks, *lengths) or not stages:
      return None
    usable = self._num_bytes * _USABLE_SHARE
    fitting = usable / self.bytes_a_task(stages[0], lengths)
    if fitting >= num_tasks:
      return None
    chunk = task_map.chunk_of(num_tasks, max(int(fitting), 1))
    self.smallest = min(chunk, self.smallest or chunk)
    return chunk

  def bytes_a_task(
    self, stage: meta_batch.Stage | trajectory.Trajectory, lengths: list[int]
  ) -> int:
    """Returns the memory that a function needs for a task.

    Args:
      stage: One of its stages, leaves [B, T, ...].
      lengths: T of each stage.
    """
    observation_spec = tf.nest.map_structure(
      lambda t: tf.TensorSpec(t.shape[2:], t.dtype), stage.observation
    )
    per_frame = numbers_per_frame(self._task, observation_spec)
    parameters = sum(s.shape.num_elements() for s in self._task.network.spec)
    return 4 * (
      _COPIES_OF_FRAMES[self._jit_compile] * per_frame * sum(lengths)
      + _COPIES_OF_PARAMETERS[self._jit_compile] * parameters * len(lengths)
    )


def numbers_per_frame(
  task: one_task.OneTask, observation_spec: types.NestedTensorSpec
) -> int:
  """Counts the numbers that the networks compute for one frame.

  Args:
    task: The functions of one task.
    observation_spec: A nest of `TensorSpec` without a batch axis.
  """

  def evaluate(parameters, observation, step_type):
    options = {'step_type': step_type, 'network_state': ()}
    output, _ = task.network(parameters, observation, **options)
    value = ()
    if task.has_values:
      value = task.values(parameters, observation, step_type)
    return task.distributions.to_tensors(output), value

  one_frame = tf.nest.map_structure(
    lambda s: tf.TensorSpec([1, *s.shape], s.dtype), observation_spec
  )
  traced = tf.function(evaluate, autograph=False).get_concrete_function(
    task.network.spec, one_frame, tf.TensorSpec([1], tf.int32)
  )
  return sum(
    output.shape.num_elements() or 0
    for operation in traced.graph.get_operations()
    for output in operation.outputs
    if operation.type not in ('Placeholder', 'Const')
    and output.dtype.is_floating
  )


def _stages(nest: Any) -> list[Any]:
  """Returns the stages in a nest."""
  if isinstance(nest, (meta_batch.Stage, trajectory.Trajectory)):
    return [nest]
  if isinstance(nest, (tuple, list)):
    return [stage for part in nest for stage in _stages(part)]
  return []
