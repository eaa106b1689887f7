"""The compiled meta-train step under a strategy, and its checkpoints."""

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.utils import common

from maml_tf import meta_batch
from maml_tf.learning import maml_agent


class MetaLearner:
  """Trains an agent on meta-batches, their tasks divided over replicas."""

  def __init__(
    self,
    agent: maml_agent.MamlAgent,
    strategy: tf.distribute.Strategy | None = None,
  ):
    """Compiles the train step.

    Args:
      agent: Created in the strategy's scope.
      strategy: None: the default strategy.
    """
    self._agent = agent
    self._strategy = strategy or tf.distribute.get_strategy()
    self._train = common.function(self._train_on_replicas)

  @property
  def agent(self) -> maml_agent.MamlAgent:
    """The agent that is trained."""
    return self._agent

  def check_num_tasks(self, num_tasks: int) -> None:
    """Raises ValueError unless the replicas can share B tasks equally."""
    num_replicas = self._strategy.num_replicas_in_sync
    if num_tasks % num_replicas:
      raise ValueError(
        f'{num_tasks} tasks cannot be divided over {num_replicas} replicas: '
        f'give a multiple of {num_replicas}'
      )

  def run(self, batch: meta_batch.MetaBatch) -> tf_agent.LossInfo:
    """Takes one meta-train step.

    Args:
      batch: A `MetaBatch`, leaves [B, T, ...]; B is a multiple of the number of
        replicas.

    Returns:
      A `LossInfo` whose extra is a `MamlLossInfo`, means over all B tasks.

    Raises:
      ValueError: B is not a multiple of the number of replicas.
    """
    return self._train(self._distribute(batch))

  def _distribute(self, batch):
    """Gives each replica an equal share of the tasks."""
    num_replicas = self._strategy.num_replicas_in_sync
    if num_replicas == 1:
      return batch
    num_tasks = batch.query.reward.shape[0]
    self.check_num_tasks(num_tasks)
    share = num_tasks // num_replicas

    def value_fn(context):
      first = context.replica_id_in_sync_group * share
      return tf.nest.map_structure(lambda t: t[first : first + share], batch)

    return self._strategy.experimental_distribute_values_from_function(value_fn)

  def _train_on_replicas(self, batch):
    loss_info = self._strategy.run(self._agent.train, args=(batch,))
    # Every replica reports its share of the means over all tasks.
    return tf.nest.map_structure(
      lambda value: self._strategy.reduce(
        tf.distribute.ReduceOp.SUM, value, axis=None
      ),
      loss_info,
    )
