"""As many tasks are one chunk as a device's memory holds."""

import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from maml_tf.core import parameters
from maml_tf.learning import actor_networks
from maml_tf.learning import network_checks
from maml_tf.learning import task_memory
from maml_tf.learning import value_networks

OBSERVATION = tf.TensorSpec((3,), tf.float32)
ACTION = tensor_spec.BoundedTensorSpec((2,), tf.float32, -1, 1)


@pytest.fixture(name='networks', params=['policy', 'policy and value'])
def create_networks(request):
  """The networks, the distributions and the observation's spec."""
  actor = actor_networks.create_actor_network(OBSERVATION, ACTION, (5,))
  value = None
  if 'value' in request.param:
    value = value_networks.create_value_network(OBSERVATION, actor, (7,))
  distributions = network_checks.check_networks(
    actor, value, ts.time_step_spec(OBSERVATION), ACTION
  )
  network = parameters.ParameterizedNetwork(actor, value)
  return network, distributions, OBSERVATION


def _stages(num_tasks=6, num_frames=10, num_stages=2):
  """Frames without contents: only their number counts."""
  step_type = tf.zeros([num_tasks, num_frames], tf.int32)
  stage = trajectory.Trajectory(step_type, *[step_type] * 6)
  return (stage,) * num_stages


def _chunk(networks, num_bytes, stages=None, jit_compile=True):
  chunk = task_memory.FittingChunk(num_bytes, jit_compile, *networks)
  size = chunk(stages or _stages())
  assert chunk.smallest == size
  return size


def test_the_networks_numbers_are_counted(networks):
  counted = task_memory.numbers_per_frame(*networks)
  # The product, its sum with the bias, and the tanh of each hidden unit; one
  # number at least for the means and deviations of two actions. The value
  # network has seven units and an output of its own.
  least = 3 * 5 + 2 * 2 + networks[0].has_values * (3 * 7 + 1)
  assert least <= counted <= 4 * least


def test_a_chunk_fits_into_the_memory(networks):
  assert _chunk(networks, None) is None  # The memory is not known.
  assert _chunk(networks, 1e9) is None  # All tasks fit.
  # Less than a task: one is tried alone.
  assert _chunk(networks, 1e3) == 1
  # Half of the memory is used, and XLA holds four copies of float32 numbers.
  numbers = task_memory.numbers_per_frame(*networks)
  of_network = sum(s.shape.num_elements() for s in networks[0].spec)
  a_task = 4 * 4 * (2 * 10 * numbers + 2 * of_network)
  assert _chunk(networks, 2 * 3.5 * a_task) == 3
  assert _chunk(networks, 2 * 6.01 * a_task) is None
  assert _chunk(networks, 2 * 5.99 * a_task) == 5


def test_longer_and_more_stages_and_graph_mode_take_more(networks):
  sizes = [
    _chunk(networks, 3e6, _stages(1000)),
    _chunk(networks, 3e6, _stages(1000, num_frames=30)),
    _chunk(networks, 3e6, _stages(1000, num_frames=30, num_stages=4)),
    _chunk(networks, 3e6, _stages(1000, num_frames=30), jit_compile=False),
  ]
  assert sizes[0] > 2 * sizes[1]
  # Rounded down.
  assert sizes[1] // 2 - 1 <= sizes[2] <= sizes[1] // 2
  assert sizes[1] > 4 * sizes[3]


def test_an_unknown_number_of_frames_or_tasks_is_not_limited(networks):
  chunk = task_memory.FittingChunk(1.0, True, *networks)
  for shape in ([6, None], [None, 10]):

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.int32)])
    def choose(step_type):
      assert chunk(trajectory.Trajectory(step_type, *[step_type] * 6)) is None

    choose.get_concrete_function()
