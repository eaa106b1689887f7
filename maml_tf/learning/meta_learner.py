"""The compiled meta-train step under a strategy."""

import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent

from maml_tf.core import finite_checks
from maml_tf.core import meta_batch
from maml_tf.learning import maml_agent


class MetaLearner:
  """Trains an agent on meta-batches and divides their tasks over replicas.

  If the agent uses XLA and there is one replica, XLA compiles the agent's whole
  step. With several replicas, each compiles only the functions that loop over
  tasks.
  """

  def __init__(
    self,
    agent: maml_agent.MamlAgent,
    strategy: tf.distribute.Strategy | None = None,
    num_workers: int = 1,
  ):
    """Prepares the train step.

    Args:
      agent: The agent, which was created in the strategy's scope.
      strategy: The strategy. None: the default strategy.
      num_workers: The number of processes that share the strategy. Each gives
        its own tasks to its own replicas.
    """
    self._agent = agent
    self._strategy = strategy or tf.distribute.get_strategy()
    self._num_replicas = self._strategy.num_replicas_in_sync // num_workers
    self._train = tf.function(self._train_on_replicas, autograph=False)
    self._loss_info_spec = None

  @property
  def agent(self) -> maml_agent.MamlAgent:
    """The agent in training."""
    return self._agent

  def check_num_tasks(self, num_tasks: int) -> None:
    """Raises ValueError unless this process' replicas can share the tasks."""
    if num_tasks % self._num_replicas:
      raise ValueError(
        f'{num_tasks} tasks cannot be divided over {self._num_replicas}'
        f' replicas: give a multiple of {self._num_replicas}'
      )

  def trace(self, batch: meta_batch.MetaBatch) -> None:
    """Traces the graph for meta-batches of this shape, without training.

    Args:
      batch: A `MetaBatch`, as for `run`.
    """
    train = self._train.get_concrete_function(self._distribute(batch))
    self._loss_info_spec = tf.nest.map_structure(
      lambda t: tf.TensorSpec(t.shape, t.dtype), train.structured_outputs
    )

  def skipped_loss_info(self) -> tf_agent.LossInfo:
    """Returns the result for a skipped iteration: a `LossInfo` of NaN.

    Its shapes are those of the graph that `trace` made.

    Raises:
      ValueError: `trace` was not called.
    """
    if self._loss_info_spec is None:
      raise ValueError('the learner has no graph yet: call trace first')
    return tf.nest.map_structure(
      lambda spec: np.full(spec.shape, np.nan), self._loss_info_spec
    )

  def run(self, batch: meta_batch.MetaBatch) -> tf_agent.LossInfo:
    """Takes one meta-train step.

    Args:
      batch: A `MetaBatch`, leaves [B, T, ...], of this process' tasks. B is a
        multiple of the number of this process' replicas.

    Returns:
      A `LossInfo` whose extra is a `MamlLossInfo`: means over the tasks of all
      processes.

    Raises:
      ValueError: The batch has the wrong structure, shape or type, or B is not
        a multiple of the number of replicas.
      finite_checks.NonFiniteError: A loss, a gradient or a parameter is not
        finite. Of the agent only the step counter has changed.
    """
    self._agent.check_meta_batch(batch)
    loss_info = self._train(self._distribute(batch))
    if loss_info.extra.is_taken.numpy() < 0.5:
      raise _non_finite(loss_info.extra.finite_tasks.numpy())
    return loss_info

  def _distribute(self, batch):
    """Gives each replica of this process an equal share of the tasks."""
    if self._strategy.num_replicas_in_sync == 1:
      return batch
    num_tasks = batch.query.reward.shape[0]
    self.check_num_tasks(num_tasks)
    share = num_tasks // self._num_replicas

    def value_fn(context):
      first = context.replica_id_in_sync_group % self._num_replicas * share
      # Trajectories share tensors with the stages prepared from them.
      parts = {id(t): t[first : first + share] for t in tf.nest.flatten(batch)}
      return tf.nest.map_structure(lambda t: parts[id(t)], batch)

    return self._strategy.experimental_distribute_values_from_function(value_fn)

  def _train_on_replicas(self, batch):
    loss_info = self._strategy.run(self._agent.train, args=(batch,))
    # Every replica reports its share of the means over all tasks.
    return tf.nest.map_structure(
      lambda value: tf.cast(self._sum_over_replicas(value), tf.float32),
      loss_info,
    )

  def _sum_over_replicas(self, value):
    here, *_ = self._strategy.experimental_local_results(value)
    # A reduction between hosts cannot take tensors without elements.
    if here.shape.num_elements() == 0:
      return here
    return self._strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)


def _non_finite(finite_tasks):
  """Returns the error, which names the first task that is not finite."""
  bad = np.flatnonzero(finite_tasks < 0.5)
  if bad.size:
    return finite_checks.NonFiniteError('loss or meta-gradient', int(bad[0]))
  return finite_checks.NonFiniteError('result of the update')
