"""One line on the devices of a run: which ones it uses, and for what."""

from maml_tf.core import cpu
from maml_tf.core import devices
from maml_tf.core import gpu_libraries
from maml_tf.core import phrases
from maml_tf.environments import task_environment
from maml_tf.learning import placement as placement_lib
from maml_tf.learning import task_memory
from maml_tf.run import workers as worker_group


def line(
  placement: placement_lib.Placement,
  workers: worker_group.WorkerGroup,
  environment: task_environment.TaskEnvironment,
) -> str:
  """Returns the line of this process.

  Args:
    placement: That of the agent, whose functions have been traced.
    workers: The processes of the run.
    environment: The tasks of this process.
  """
  num_replicas = workers.strategy.num_replicas_in_sync // workers.num_workers
  if placement.kind == devices.CPU:
    what = _on_cpu(num_replicas)
  else:
    what = _on_accelerator(
      placement,
      num_replicas,
      environment.num_tasks // num_replicas,
      placement_lib.is_in_graph(environment),
    )
  if workers.num_workers > 1:
    what = f'{workers.num_workers} workers, of which this one {what}'
  return f'train: {what}'


def _on_cpu(num_replicas):
  what = f'on {_cores()}'
  if num_replicas > 1:
    # The user has chosen logical CPUs.
    return f'{what}, as {num_replicas} replicas'
  problem = gpu_libraries.problem()
  if problem is None:
    return what
  return (
    f'{what}: there is a GPU, but TensorFlow does not use it: {problem}; or set'
    " CUDA_VISIBLE_DEVICES='' to mean the CPU"
  )


def _on_accelerator(placement, num_replicas, num_tasks, is_in_graph):
  verbs = 'learns, acts and simulates' if is_in_graph else 'learns'
  how = 'with XLA' if placement.jit_compile else 'without XLA'
  where = _names(placement.kind, num_replicas)
  at_once = _at_once(placement.chunk_size, num_tasks, num_replicas)
  what = f'{verbs} on {where} {how}, {at_once}'
  if not is_in_graph:
    what += f'; acts and simulates on {_cores()}'
  return what


def _names(kind, num_replicas):
  """Returns how many devices of which model there are."""
  if kind == devices.TPU:
    return phrases.count(num_replicas, 'TPU core')
  gpus = devices.gpus()
  first = gpus[0]
  details = [first.name] if first.name else []
  if first.num_bytes is not None:
    details.append(f'{first.num_bytes / 2**30:.0f} GiB')
  text = phrases.count(num_replicas, 'GPU')
  if num_replicas < len(gpus):
    text = f'{num_replicas} of {phrases.count(len(gpus), "GPU")}'
  if details:
    text += f' ({", ".join(details)}{" each" * (num_replicas > 1)})'
  return text


def _at_once(chunk_size, num_tasks, num_replicas):
  of_each = ' of each' * (num_replicas > 1)
  reason = ''
  if isinstance(chunk_size, task_memory.FittingChunk):
    chunk_size, reason = chunk_size.smallest, ', which is what its memory holds'
  if chunk_size is None or chunk_size >= num_tasks:
    return f'all {num_tasks} tasks{of_each} at once'
  return f'{chunk_size} of the {num_tasks} tasks{of_each} at once{reason}'


def _cores():
  return phrases.count(cpu.count(), 'CPU core')
