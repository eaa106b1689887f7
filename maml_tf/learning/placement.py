"""How an agent computes, decided by the device that it learns on."""

from typing import Any
from typing import NamedTuple

from maml_tf.core import checks
from maml_tf.core import devices
from maml_tf.core import plain_texts
from maml_tf.learning import one_task
from maml_tf.learning import task_map
from maml_tf.learning import task_memory


class Placement(NamedTuple):
  """Where and how the functions of tasks are computed.

  Attributes:
    kind: 'CPU', 'GPU' or 'TPU'.
    jit_compile: Whether XLA compiles them.
    chunk_size: The most tasks to vectorise together, see
      `task_map.map_chunks`.
  """

  kind: str
  jit_compile: bool
  chunk_size: task_map.ChunkSize

  def compiles_acting(self, environment: Any) -> bool:
    """Returns whether XLA compiles the policy's steps during collection.

    Beside an accelerator, a policy acts on the CPU in environments of Python,
    where XLA is slower: for 800 rows 2.9 ms a step, without it 2.0 ms. Only a
    run that asked for XLA on the CPU acts with it.

    Args:
      environment: The environment to act in.
    """
    return self.jit_compile and (
      self.kind == devices.CPU or is_in_graph(environment)
    )


def is_in_graph(environment: Any) -> bool:
  """Returns whether an environment's steps are TensorFlow's operations.

  Then policy and environment run on the accelerator together.
  """
  return getattr(environment, 'tensor_rows', None) is not None


def decide(
  task: one_task.OneTask,
  task_chunk_size: int | str | None,
  jit_compile: bool | None,
  allow_tf32: bool,
) -> Placement:
  """Decides what is None; the strategy of the scope names the device.

  On a CPU, chunks of one task fit into a processor's cache, and results do not
  depend on how tasks are divided. GPUs and TPUs need large operations: the
  update of 40 tasks took 0.0201 s on an H200 with all tasks at once and XLA,
  and 0.893 s on 3 CPU cores. There, TensorFlow's switch for short products is
  set, see `devices.set_tf32`.

  Args:
    task: The functions of one task.
    task_chunk_size: The most tasks to vectorise together; 'all'; or None.
    jit_compile: Whether XLA compiles; or None.
    allow_tf32: Whether products may be short.
  """
  kind = devices.kind()
  devices.set_tf32(kind, allow_tf32)
  if jit_compile is None:
    jit_compile = kind != devices.CPU
  chunk_size: task_map.ChunkSize
  if isinstance(task_chunk_size, str):
    chunk_size = None  # All tasks.
  elif task_chunk_size is not None:
    chunk_size = task_chunk_size
  elif kind == devices.CPU:
    chunk_size = 1
  else:
    num_bytes = devices.num_bytes(kind)
    chunk_size = task_memory.FittingChunk(num_bytes, jit_compile, task)
  return Placement(kind, jit_compile, chunk_size)


def check(task_chunk_size: Any, jit_compile: Any, allow_tf32: Any) -> None:
  """Raises ValueError unless the values are as for `decide`."""
  if isinstance(task_chunk_size, str):
    if task_chunk_size != 'all':
      raise ValueError(
        f'task_chunk_size is {task_chunk_size!r}: give an integer of at least'
        " 1, 'all', or None, with which the device decides"
      )
  elif task_chunk_size is not None:
    checks.integer('task_chunk_size', task_chunk_size, 1)
  if jit_compile is not None and not isinstance(jit_compile, bool):
    raise ValueError(
      f'jit_compile is {plain_texts.of(jit_compile)}: give True, False, or'
      ' None, with which the device decides'
    )
  checks.boolean('allow_tf32', allow_tf32)
