"""As many tasks are one chunk as a device's memory holds."""

import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from maml_tf.core import parameters
from maml_tf.learning import actor_networks
from maml_tf.learning import baselines
from maml_tf.learning import inner_loop
from maml_tf.learning import network_checks
from maml_tf.learning import one_task
from maml_tf.learning import task_memory
from maml_tf.learning import value_networks

OBSERVATION = tf.TensorSpec((3,), tf.float32)
ACTION = tensor_spec.BoundedTensorSpec((2,), tf.float32, -1, 1)


@pytest.fixture(name='task', params=['policy', 'policy and value'])
def create_task(request):
  """The functions of one task."""
  actor = actor_networks.create_actor_network(OBSERVATION, ACTION, (5,))
  value = None
  if 'value' in request.param:
    value = value_networks.create_value_network(OBSERVATION, actor, (7,))
  distributions = network_checks.check_networks(
    actor, value, ts.time_step_spec(OBSERVATION), ACTION
  )
  return one_task.OneTask(
    parameters.ParameterizedNetwork(actor, value),
    distributions,
    inner_loop.InnerLoop(),
    None,
    value and baselines.ValueLoss(),
  )


def _stages(num_tasks=6, num_frames=10, num_stages=2):
  """Frames without contents: only their number counts."""
  step_type = tf.zeros([num_tasks, num_frames], tf.int32)
  return (_stage(step_type),) * num_stages


def _stage(step_type):
  observation = tf.zeros([*step_type.shape, *OBSERVATION.shape])
  return trajectory.Trajectory(step_type, observation, *[step_type] * 5)


def _chunk(task, num_bytes, stages=None, jit_compile=True):
  chunk = task_memory.FittingChunk(num_bytes, jit_compile, task)
  size = chunk(stages or _stages())
  assert chunk.smallest == size
  return size


def test_the_networks_numbers_are_counted(task):
  counted = task_memory.numbers_per_frame(task, OBSERVATION)
  # The product, its sum with the bias, and the tanh of each hidden unit; one
  # number at least for the means and deviations of two actions. The value
  # network has seven units and an output of its own.
  least = 3 * 5 + 2 * 2 + task.has_values * (3 * 7 + 1)
  assert least <= counted <= 4 * least


def test_a_chunk_fits_into_the_memory(task):
  assert _chunk(task, None) is None  # The memory is not known.
  assert _chunk(task, 1e9) is None  # All tasks fit.
  # Less than a task: one is tried alone.
  assert _chunk(task, 1e3) == 1
  # Half of the memory is used, and XLA holds four copies of float32 numbers.
  numbers = task_memory.numbers_per_frame(task, OBSERVATION)
  of_network = sum(s.shape.num_elements() for s in task.network.spec)
  a_task = 4 * 4 * (2 * 10 * numbers + 2 * of_network)
  assert _chunk(task, 2 * 3.5 * a_task) == 3
  assert _chunk(task, 2 * 6.01 * a_task) is None
  # Five of six would leave one alone: a chunk divides the tasks evenly.
  assert _chunk(task, 2 * 5.99 * a_task) == 3


def test_longer_and_more_stages_and_graph_mode_take_more(task):
  def fitting(num_frames=10, num_stages=2, jit_compile=True):
    chunk = task_memory.FittingChunk(None, jit_compile, task)
    (stage,) = _stages(1, num_frames, 1)
    return int(1.5e6 / chunk.bytes_a_task(stage, [num_frames] * num_stages))

  sizes = [
    fitting(),
    fitting(num_frames=30),
    fitting(num_frames=30, num_stages=4),
    fitting(num_frames=30, jit_compile=False),
  ]
  assert sizes[0] > 2 * sizes[1]
  # Rounded down.
  assert sizes[1] // 2 - 1 <= sizes[2] <= sizes[1] // 2
  assert sizes[1] > 4 * sizes[3]


def test_an_unknown_number_of_frames_or_tasks_is_not_limited(task):
  chunk = task_memory.FittingChunk(1.0, True, task)
  for shape in ([6, None], [None, 10]):

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.int32)])
    def choose(step_type):
      stage = trajectory.Trajectory(*[step_type] * 7)
      assert chunk(stage) is None

    choose.get_concrete_function()
