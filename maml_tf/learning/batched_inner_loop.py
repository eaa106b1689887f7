"""One adaptation step for each of B tasks: the inner loop, vectorised."""

import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import meta_batch
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import one_task
from maml_tf.learning import task_map


class BatchedInnerLoop:
  """Adapts the parameters of B tasks, each on a prepared stage of its own."""

  def __init__(
    self,
    task: one_task.OneTask,
    chunk_size: task_map.ChunkSize,
    jit_compile: bool,
  ):
    """Stores the parts.

    Args:
      task: The functions of one task.
      chunk_size: See `task_map.map_chunks`.
      jit_compile: Whether XLA compiles the step.
    """
    self._task = task
    self._chunk_size = chunk_size
    self._adapt = task_map.compile_for_frames(self._adapt_tasks, jit_compile)

  def step(
    self,
    stage: meta_batch.Stage,
    policy_state: inner_loop_lib.Parameters,
    step: types.Int,
    step_size: types.Tensor | None = None,
  ) -> inner_loop_lib.Parameters:
    """Takes one adaptation step.

    Args:
      stage: A `Stage`, leaves [B, T, ...].
      policy_state: The parameters that collected it, leaves [B, ...].
      step: The index of the step, from 0. It is an integer, the same for all
        tasks, or an integer tensor [B].
      step_size: A scalar that replaces the inner loop's step sizes. None: no
        replacement.

    Returns:
      The new policy state, leaves [B, ...].
    """
    inner_loop = self._task.inner_loop
    step_sizes = tuple(tf.identity(v) for v in inner_loop.variables_tuple)
    # Only learned step sizes depend on the step.
    if not step_sizes:
      step = 0
    elif isinstance(step, int):
      step = max(min(step, inner_loop.num_steps - 1), 0)
    return self._adapt(stage, policy_state, step_sizes, step, step_size)

  def _adapt_tasks(self, stage, policy_state, step_sizes, step, step_size):
    def adapt_task(task):
      parameters, task_stage, *own_step = task
      return self._task.adapt(
        inner_loop_lib.Theta(parameters, step_sizes),
        (task_stage,),
        first_step=own_step[0] if own_step else step,
        step_size=step_size,
      ).parameters

    tasks = (policy_state, stage)
    if tf.is_tensor(step):
      tasks += (step,)
    return task_map.vmap_in_chunks(adapt_task, tasks, self._chunk_size)
