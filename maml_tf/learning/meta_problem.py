"""A meta-batch as functions of theta: losses, gradients, KL products."""

import functools

import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import meta_batch
from maml_tf.core import replicas
from maml_tf.learning import finite_updates
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import one_task
from maml_tf.learning import task_map


class MeanFunctions:
  """The functions of one task, vectorised over this replica's tasks, compiled.

  Each takes a tuple of the arguments that all tasks share and a nest of tensors
  [B, ...]. It returns the float64 mean over the tasks, and a tensor [B]: 1 for
  tasks whose numbers are all finite, else 0.

  Attributes:
    meta_gradient: (theta, KL coefficients), `PreparedBatch` -> `TaskLoss` and
      the gradient of the outer loss.
    objective_gradient: The same without the query's value loss.
    loss: (theta, KL coefficients), `PreparedBatch` -> `TaskLoss`.
    kl_hvp: (theta, vector), `PreparedBatch` -> the Hessian of the query's KL
      times the vector.
    inner_kl: (theta,), support stages -> the inner KL of each.
    reptile_direction: (theta,), `PreparedBatch` -> phi - theta.
    jit_compile: Whether XLA compiles them.
  """

  def __init__(
    self,
    task: one_task.OneTask,
    chunk_size: task_map.ChunkSize = None,
    jit_compile: bool = False,
  ):
    """Wraps the functions; each compiles at its first call.

    Args:
      task: The functions of one task.
      chunk_size: See `task_map.map_chunks`.
      jit_compile: Whether XLA compiles them.
    """

    def mean_of(fn):
      return tf.function(
        functools.partial(_mean_over_tasks, fn, chunk_size),
        autograph=False,
        jit_compile=jit_compile,
        # TensorFlow would copy a function to each of its calls, and optimise
        # ten copies.
        experimental_attributes=None if jit_compile else {'_noinline': True},
      )

    self.jit_compile = jit_compile
    self.meta_gradient = mean_of(task.meta_gradient)
    self.objective_gradient = mean_of(task.objective_gradient)
    self.loss = mean_of(task.loss)
    self.kl_hvp = mean_of(task.kl_hvp)
    self.inner_kl = mean_of(task.inner_kl)
    self.reptile_direction = mean_of(task.reptile_direction)


class MetaProblem:
  """One meta-batch as functions of theta, a `Theta` of tensors.

  All results are means over the tasks of all replicas, equal on every replica.
  Only the finite tasks, tensors [B], are those of this replica.

  Attributes:
    batch: The meta-batch, a `PreparedBatch` of this replica's tasks.
    kl_coefficients: A tensor [X]: weights of the inner KLs.
    in_loop: Whether an update repeats its steps in a loop, see `repetition`.
      It does so for XLA, unless several replicas add up their results.
  """

  def __init__(
    self,
    functions: MeanFunctions,
    batch: meta_batch.PreparedBatch,
    kl_coefficients: types.Tensor,
  ):
    """Stores the meta-batch.

    Args:
      functions: The agent's functions.
      batch: A `PreparedBatch`, leaves [B, T, ...], of this replica's tasks.
      kl_coefficients: A tensor [X]: weights of the inner KLs.
    """
    self._functions = functions
    self.in_loop = functions.jit_compile and replicas.count() == 1
    self.batch = batch
    self.kl_coefficients = kl_coefficients

  def gradient(
    self, theta: inner_loop_lib.Theta
  ) -> tuple[one_task.TaskLoss, inner_loop_lib.Theta, types.Tensor]:
    """Returns the loss, its gradient and the finite tasks, [B] of 0 and 1."""
    means, finite_tasks = self._functions.meta_gradient(
      (theta, self.kl_coefficients), self.batch
    )
    return *_over_replicas(means, theta), finite_tasks

  def objective_gradient(
    self, theta: inner_loop_lib.Theta
  ) -> tuple[one_task.TaskLoss, inner_loop_lib.Theta, types.Tensor]:
    """Does the same as `gradient` without the query's value loss."""
    means, finite_tasks = self._functions.objective_gradient(
      (theta, self.kl_coefficients), self.batch
    )
    return *_over_replicas(means, theta), finite_tasks

  def loss(self, theta: inner_loop_lib.Theta) -> one_task.TaskLoss:
    """Returns the outer loss and its parts."""
    means, _ = self._functions.loss((theta, self.kl_coefficients), self.batch)
    return _over_replicas(means, theta)

  def loss_and_kl(
    self, theta: inner_loop_lib.Theta
  ) -> tuple[types.Tensor, types.Tensor]:
    """Returns the outer loss and KL(behaviour || adapted policy), nats."""
    task_loss = self.loss(theta)
    return task_loss.loss, task_loss.terms.kl

  def objective_and_kl(
    self, theta: inner_loop_lib.Theta
  ) -> tuple[types.Tensor, types.Tensor]:
    """Does the same as `loss_and_kl` without the query's value loss."""
    task_loss = self.loss(theta)
    return task_loss.objective, task_loss.terms.kl

  def kl_hvp(
    self, theta: inner_loop_lib.Theta, vector: inner_loop_lib.Theta
  ) -> inner_loop_lib.Theta:
    """Returns the Hessian of `loss_and_kl`'s KL times a vector."""
    means, _ = self._functions.kl_hvp((theta, vector), self.batch)
    return _over_replicas(means, theta)

  def inner_kl(self, theta: inner_loop_lib.Theta) -> types.Tensor:
    """Returns the inner KL of each support stage, a tensor [X], nats."""
    if not self.batch.support:
      return tf.zeros([0], tf.nest.flatten(theta)[0].dtype)
    means, _ = self._functions.inner_kl((theta,), self.batch.support)
    return _over_replicas(means, theta)

  def reptile_direction(
    self, theta: inner_loop_lib.Theta
  ) -> tuple[one_task.TaskLoss, inner_loop_lib.Theta, types.Tensor]:
    """Returns the loss, the mean of phi - theta, and the finite tasks, [B].

    phi has adapted to all stages, including the query.
    """
    means, finite_tasks = self._functions.reptile_direction(
      (theta,), self.batch
    )
    return self.loss(theta), _over_replicas(means, theta), finite_tasks


def _mean_over_tasks(fn, chunk_size, shared, tasks):
  per_task = task_map.map_chunks(
    functools.partial(tf.vectorized_map, functools.partial(fn, *shared)),
    tasks,
    chunk_size,
  )
  return replicas.local_mean(per_task), finite_updates.finite_tasks(per_task)


def _over_replicas(means, theta):
  """Returns the mean over replicas in theta's dtype."""
  dtype = tf.nest.flatten(theta)[0].dtype
  return tf.nest.map_structure(
    lambda t: tf.cast(t, dtype), replicas.mean(means)
  )
