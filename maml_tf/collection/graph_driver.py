"""A driver that plays a whole stage in one compiled call.

It is for environments whose steps are TensorFlow operations. Random numbers are
drawn outside, from the same streams as elsewhere, and passed in.
"""

from collections.abc import Sequence
import time
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.collection import adapted_policy
from maml_tf.collection import graph_episodes
from maml_tf.collection import stage_holder
from maml_tf.core import cpu
from maml_tf.core import devices
from maml_tf.environments.in_graph import tensor_environment

# Parameters and activations of so many rows stay in a processor's cache, and
# the time between operations is small against theirs.
_ROWS = 2000


class GraphDriver:
  """Runs E episodes for every task, with the interface of `EpisodeDriver`.

  A chunk of tasks plays its episodes in one loop over time, and each processor
  plays one chunk at a time. So memory is that of the frames and of a chunk for
  each processor. No task's numbers depend on its chunk.

  Attributes:
    environment_seconds: 0: the environment's steps are part of the calls.
    policy_seconds: Wall time of the calls, over all runs.
  """

  def __init__(
    self,
    environment: tensor_environment.TensorEnvironment,
    policy: adapted_policy.AdaptedPolicy,
    holders: Sequence[stage_holder.StageHolder],
    horizon: int,
    jit_compile: bool = False,
    task_chunk_size: int | None = None,
  ):
    """Prepares the compiled call.

    Args:
      environment: N rows, grouped by task.
      policy: The policy.
      holders: Each gets every stage.
      horizon: The maximum number of transitions of an episode.
      jit_compile: Whether XLA compiles the loop of a chunk.
      task_chunk_size: The most tasks of a chunk. None: as many as have about
        2,000 rows on a CPU; all on the accelerator of the scope's strategy.
    """
    self._environment = environment
    self._holders = tuple(holders)
    self._chunk_size = _chunk_size(environment, task_chunk_size)
    episodes = graph_episodes.GraphEpisodes(
      environment.tensor_rows, policy, horizon
    )
    self._play_chunk = tf.function(
      episodes.play, autograph=False, jit_compile=jit_compile or None
    )
    self._play = tf.function(self._play_chunks, autograph=False)
    self.environment_seconds = 0.0
    self.policy_seconds = 0.0

  def run(
    self,
    policy_state: adapted_policy.Parameters,
    noise: tuple[np.ndarray, ...],
  ) -> None:
    """Collects one episode in every environment.

    Args:
      policy_state: The parameters, leaves [B, ...].
      noise: The noise of the actions, one array [B, horizon, E, *shape] for
        each of the policy's noise specs.
    """
    start = time.perf_counter()
    environment = self._environment
    starts = environment.draw_noise().reshape(
      environment.num_tasks,
      environment.environments_per_task,
      *environment.tensor_rows.noise_shape,
    )
    stage = self._play(
      policy_state,
      tf.constant(environment.tasks, tf.float32),
      tf.constant(starts),
      tuple(tf.constant(n) for n in noise),
    )
    # Reading a value waits for the computation: the time is its own.
    stage.reward[0, 0].numpy()
    for holder in self._holders:
      holder.hold(stage)
    self.policy_seconds += time.perf_counter() - start

  def _play_chunks(self, *per_task: Any) -> types.NestedTensor:
    """Plays a chunk at a time.

    Args:
      *per_task: The arguments of `GraphEpisodes.play` for B tasks.

    Returns:
      A `Trajectory`, leaves [B, T, ...].
    """
    num_tasks, chunk = self._environment.num_tasks, self._chunk_size
    num_chunks = -(-num_tasks // chunk)
    per_task = tf.nest.map_structure(
      lambda t: _divide(t, num_chunks, chunk), per_task
    )

    def play(index):
      return self._play_chunk(
        *tf.nest.map_structure(lambda t: t[index], per_task)
      )

    output = tf.function(play, autograph=False).get_concrete_function(
      tf.TensorSpec([], tf.int32)
    )
    # The loop stands for a single chunk, too: outside of one, TensorFlow would
    # fuse its operations with others and round differently.
    stage = tf.map_fn(
      play,
      tf.range(num_chunks),
      fn_output_signature=tf.nest.map_structure(
        lambda t: tf.TensorSpec(t.shape, t.dtype), output.structured_outputs
      ),
      parallel_iterations=cpu.count(),
    )
    return tf.nest.map_structure(
      lambda t: tf.reshape(t, [num_chunks * chunk, *t.shape[2:]])[:num_tasks],
      stage,
    )


def _chunk_size(environment, largest):
  """Returns the number of tasks of a chunk: as equal chunks as possible."""
  num_tasks = environment.num_tasks
  if largest is None:
    largest = max(1, _ROWS // environment.environments_per_task)
    if devices.kind() != devices.CPU:
      largest = num_tasks
    else:
      # Each processor gets a chunk.
      largest = min(largest, -(-num_tasks // cpu.count()))
  num_chunks = -(-num_tasks // largest)
  return -(-num_tasks // num_chunks)


def _divide(tensor, num_chunks, chunk):
  """Divides B tasks into chunks; the last chunk may repeat its last task."""
  missing = num_chunks * chunk - tensor.shape[0]
  if missing:
    last = tf.repeat(tensor[-1:], missing, axis=0)
    tensor = tf.concat([tensor, last], axis=0)
  return tf.reshape(tensor, [num_chunks, chunk, *tensor.shape[1:]])
